"""Dead letters through the API: seen by administrators, or left."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from schemas.events import (
    DocumentSubmitted,
    EventResolved,
    LetterState,
)
from schemas.ids import (
    Principal,
)
from tests.support.api import ACME, ALL_SCOPES, FakeApi
from tests.support.letters import CHANGED, OTHER, admit, call, document, park, said, verdicts


class TestListing:
    async def test_letters_are_for_the_tenants_administrators(self, api: FakeApi) -> None:
        await park(api, "a", 1)
        await park(api, "a", 2, tenant_id=OTHER)
        shown = (await api.client.get("/v1/parked", headers=await api.key())).json()
        assert [(letter["origin"]["offset"], letter["state"]) for letter in shown["letters"]] == [(1, "parked")]
        assert [(cause["stage"], cause["count"]) for cause in shown["causes"]] == [("prepare", 1)]
        refused = await api.client.get("/v1/parked", headers=await api.key("eve", scopes=("read", "write")))
        assert refused.status_code == 403

    async def test_letters_are_filtered(self, api: FakeApi) -> None:
        await park(api, "a", 1)
        await park(api, "b", 2, stage="embed")
        await park(api, "c", 3, error="LimitExceededError")
        headers = await api.key()
        for params, offsets in (
            ({"stage": "embed"}, [2]),
            ({"error": "LimitExceededError"}, [3]),
            ({"document_id": document("a")}, [1]),
            ({"parked_from": (api.clock() + timedelta(seconds=2)).isoformat()}, [3, 2]),
            ({"parked_until": (api.clock() + timedelta(seconds=2)).isoformat()}, [1]),
            ({"state": "replayed"}, []),
        ):
            shown = (await api.client.get("/v1/parked", headers=headers, params=params)).json()
            assert [letter["origin"]["offset"] for letter in shown["letters"]] == offsets

    async def test_letters_of_all_tenants_are_for_operators(self, api: FakeApi) -> None:
        await park(api, None, 1, tenant_id=None)
        for scopes, status in ((ALL_SCOPES, 403), ((*ALL_SCOPES, "system"), 200)):
            headers = await api.key(scopes=scopes)
            for path in ("/v1/parked", f"/v1/parked/{CHANGED}/0/1"):
                answer = await api.client.get(path, headers=headers, params={"all_tenants": True})
                assert answer.status_code == status

    async def test_operators_look_at_one_tenant_and_deal_with_its_letters_alone(self, api: FakeApi) -> None:
        await park(api, "a", 1)
        await park(api, "a", 2, tenant_id=OTHER)
        await park(api, None, 3, tenant_id=None)
        operator = (*ALL_SCOPES, "system")
        for scopes, tenant, status in ((ALL_SCOPES, OTHER, 403), (ALL_SCOPES, ACME, 200), (operator, OTHER, 200)):
            headers, theirs = await api.key(scopes=scopes), {"tenant": str(tenant)}
            answer = await api.client.get("/v1/parked", headers=headers, params=theirs)
            assert answer.status_code == status
            for action in ("replay", "discard"):
                body = {"dry_run": True} | theirs | ({"reason": "x"} if action == "discard" else {})
                assert (await api.client.post(f"/v1/parked/{action}", headers=headers, json=body)).status_code == status
        shown = answer.json()
        assert [letter["tenant_id"] for letter in shown["letters"]] == [OTHER]
        assert [cause["count"] for cause in shown["causes"]] == [1]
        both: dict[str, Any] = {"tenant": OTHER, "all_tenants": True}
        narrowed = (await api.client.get("/v1/parked", headers=headers, params=both)).json()
        assert narrowed["letters"] == shown["letters"]
        foreign = [{"topic": CHANGED, "partition": 0, "offset": 1}]
        named = {"tenant": OTHER, "origins": foreign}
        assert (await api.client.post("/v1/parked/replay", headers=headers, json=named)).status_code == 404
        done = await call(api, "discard", scopes=operator, tenant=OTHER, reason="known")
        assert [each["offset"] for each in done["discarded"]] == [2]

    async def test_one_letter_shows_what_was_done_about_it(self, api: FakeApi) -> None:
        letter = await park(api, "a", 1)
        await call(api, "discard", reason="damaged at its source")
        await api.documents.record_resolved([each for each in api.log.events if isinstance(each, EventResolved)])
        headers = await api.key()
        shown = (await api.client.get(f"/v1/parked/{CHANGED}/0/1", headers=headers)).json()
        assert (shown["state"], shown["resolution"]["actor"]) == ("discarded", "user:ada")
        assert (shown["resolution"]["reason"], shown["resolution"]["at"]) == (
            "damaged at its source",
            api.clock().isoformat().replace("+00:00", "Z"),
        )
        for path in (f"/v1/parked/{CHANGED}/0/2", f"/v1/parked/{letter.origin.topic}/1/1"):
            assert (await api.client.get(path, headers=headers)).status_code == 404
        elsewhere = await park(api, "a", 7, tenant_id=OTHER)
        hidden = await api.client.get(f"/v1/parked/{CHANGED}/0/{elsewhere.origin.offset}", headers=headers)
        assert hidden.status_code == 404


class TestDiscard:
    async def test_letters_are_left_for_a_reason(self, api: FakeApi) -> None:
        await admit(api, "a", 5)
        await park(api, "a", 1)
        await park(api, "a", 2, stage="embed")
        looked = await call(api, "discard", stage="embed", reason="known", dry_run=True)
        assert ([each["offset"] for each in looked["discarded"]], api.log.events) == ([2], [])
        done = await call(api, "discard", stage="embed", reason="known")
        assert [each["offset"] for each in done["discarded"]] == [2]
        (event,) = api.log.sent(EventResolved)
        assert isinstance(event, EventResolved)
        assert (event.state, event.actor, event.reason) == (LetterState.DISCARDED, Principal("user:ada"), "known")
        assert said(api) == [("parked.discard", f"parked/{CHANGED}/0/2", "discarded", "known")]
        assert api.log.sent(DocumentSubmitted) == []

    async def test_a_discarded_letter_can_still_be_replayed_by_name(self, api: FakeApi) -> None:
        await admit(api, "a", 5)
        letter = await park(api, "a", 1)
        await call(api, "discard", reason="too early")
        await api.documents.record_resolved([each for each in api.log.events if isinstance(each, EventResolved)])
        assert verdicts(await call(api, "replay")) == []
        named: list[Mapping[str, Any]] = [{"topic": letter.origin.topic, "partition": 0, "offset": 1}]
        assert verdicts(await call(api, "replay", origins=named, policy="park")) == [("rerun", 1)]

    async def test_a_reason_is_needed(self, api: FakeApi) -> None:
        answer = await api.client.post("/v1/parked/discard", headers=await api.key(), json={"reason": ""})
        assert (answer.status_code, answer.json()["field"]) == (422, "reason")
