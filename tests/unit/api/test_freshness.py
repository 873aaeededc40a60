"""GET /v1/freshness on fakes: who may read what, and whether the promises are kept."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from headwater.ports.freshness import StageLag
from headwater.settings import Settings
from schemas.events.base import Lane
from schemas.events.canaries import CanaryMeasured, CanaryOutcome, CanaryStep
from schemas.events.documents import DocumentIngested
from schemas.ids import GenerationName, Revision, TenantId
from tests.support.api import ACME, FakeApi
from tests.support.freshness import FakeFreshness, FakeLags
from tests.support.golden import golden

CANARY = TenantId(Settings().canary.tenant)
ADMIN = ("admin",)
SYSTEM = ("system",)


async def report(api: FakeApi, *, scopes: tuple[str, ...] = ADMIN, **params: int) -> dict[str, Any]:
    answer = await api.client.get("/v1/freshness", headers=await api.key(scopes=scopes), params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def objective(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in body["objectives"] if each["name"] == name)


def model_of(api: FakeApi) -> FakeFreshness:
    assert isinstance(api.runtime.freshness, FakeFreshness)
    return api.runtime.freshness


async def ingest(api: FakeApi, *words_ms: int, tenant: TenantId = ACME, lane: Lane = Lane.LIVE) -> None:
    begun = api.clock() - timedelta(minutes=1)
    facts = [
        replace(
            golden(DocumentIngested, "with_stage_times"),
            tenant_id=tenant,
            lane=lane,
            revision=Revision(nth),
            occurred_at=begun,
            observed_at=begun,
            admitted_at=begun,
            prepared_at=begun,
            embedded_at=begun,
            searchable_by_words_at=begun + timedelta(milliseconds=ms),
            searchable_by_meaning_at=begun + timedelta(milliseconds=ms),
        )
        for nth, ms in enumerate(words_ms, start=len(model_of(api).analytics.ingestions))
    ]
    await model_of(api).analytics.record_ingestions(facts)


async def rounds(api: FakeApi, count: int = 1, *, fail: frozenset[CanaryStep] = frozenset(), ms: int = 40) -> None:
    example = golden(CanaryMeasured, "failed")
    steps = tuple(
        replace(
            each,
            outcome=CanaryOutcome.FAILED if each.step in fail else CanaryOutcome.PASSED,
            duration_ms=10_000 if each.step in fail else ms,
        )
        for each in example.steps
    )
    await model_of(api).record_rounds(
        [
            replace(
                example,
                tenant_id=CANARY,
                event_id=uuid4(),
                steps=steps,
                occurred_at=api.clock() - timedelta(seconds=30),
            )
            for _ in range(count)
        ]
    )


async def test_without_events_nothing_is_claimed(api: FakeApi) -> None:
    body = await report(api)
    assert (body["met"], body["canary"]["last_round_at"]) == (None, None)
    assert [each["met"] for each in body["objectives"]] == [None] * 3


async def test_quick_edits_and_a_healthy_canary_meet_the_objectives(api: FakeApi) -> None:
    await ingest(api, 80, 90, 100)
    await rounds(api, 3)
    body = await report(api)
    assert body["met"] is True
    assert {each["error_budget_left"] for each in body["objectives"]} == {1.0}
    legs = {leg["name"]: leg for leg in body["legs"]}
    assert (legs["words"]["count"], legs["words"]["p50_ms"]) == (3, 90)
    assert objective(body, "hidden")["views"][1]["total"] == 6


async def test_what_never_arrives_breaks_its_promise_alone_however_many_documents_went_well(api: FakeApi) -> None:
    await ingest(api, *[80] * 1_000)
    await rounds(api, 4, fail=frozenset({CanaryStep.FOUND_BY_MEANING, CanaryStep.EDIT_FOUND_BY_MEANING}))
    body = await report(api)
    assert (objective(body, "words")["met"], objective(body, "hidden")["met"]) == (True, True)
    meaning = objective(body, "meaning")
    assert (meaning["met"], meaning["burn_rate"], meaning["recent_burn_rate"]) == (False, 20.0, 20.0)
    assert [view["met"] for view in meaning["views"]] == [True, False]
    assert body["met"] is False
    assert body["canary"]["partitions"][0]["failed"] == {"found_by_meaning": 4, "edit_found_by_meaning": 4}


async def test_late_is_not_met_even_when_nothing_failed(api: FakeApi) -> None:
    await rounds(api, 1, ms=600)
    body = await report(api)
    assert [each["met"] for each in body["objectives"]] == [True, True, False], "hidden has half a second"


async def test_a_backfill_breaks_no_promise(api: FakeApi) -> None:
    await ingest(api, 60_000, lane=Lane.BACKFILL)
    assert (await report(api))["met"] is None


async def test_the_window_is_what_is_asked_for(api: FakeApi) -> None:
    await ingest(api, 80)
    await rounds(api)
    api.clock.advance(2 * 3600)
    assert (await report(api))["met"] is None
    assert (await report(api, window_s=3 * 3600))["met"] is True


async def test_an_administrator_sees_their_tenant_and_an_operator_all(api: FakeApi) -> None:
    await ingest(api, 80)
    await ingest(api, 90, 100, tenant=TenantId("rival"))
    await ingest(api, 5_000, tenant=CANARY)
    mine, all_of_it = await report(api), await report(api, scopes=SYSTEM)
    counts = [objective(body, "words")["views"][0]["total"] for body in (mine, all_of_it)]
    assert counts == [1, 3], "the canary's own documents are no customer's"
    assert (mine["installation"], all_of_it["installation"]) == (False, True)


async def test_operators_see_what_waits_even_without_figures(api: FakeApi) -> None:
    lags = api.runtime.lags
    assert isinstance(lags, FakeLags)
    old, new = api.clock() - timedelta(seconds=90), api.clock() - timedelta(seconds=2)
    lags.waiting = (
        StageLag(stage="embed", group="g", events=3, oldest=new),
        StageLag(stage="index-vectors", group="g", events=7, oldest=old),
        StageLag(stage="status", group="g", events=0, oldest=None),
    )
    body = await report(api, scopes=SYSTEM)
    assert (body["oldest"]["stage"], body["oldest"]["age_ms"]) == ("index-vectors", 90_000)
    assert [each["events"] for each in body["waiting"]] == [3, 7, 0]
    assert (await report(api))["waiting"] is None
    lags.away = True
    assert (await report(api, scopes=SYSTEM))["waiting"] is None


async def test_what_waits_is_asked_of_the_generation_that_serves(api: FakeApi) -> None:
    lags = api.runtime.lags
    assert isinstance(lags, FakeLags)
    for serving in (None, GenerationName("g2")):
        api.directory.generation = serving
        await report(api, scopes=SYSTEM)
    assert lags.asked == [api.runtime.settings.generation, "g2"]


@pytest.mark.parametrize("scopes", [("read",), ("write",), ("read", "write")])
async def test_others_may_not_read_it(api: FakeApi, scopes: tuple[str, ...]) -> None:
    answer = await api.client.get("/v1/freshness", headers=await api.key(scopes=scopes))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


ROUND = {
    "round_id": "01900000-0000-7000-8000-0000000000c1",
    "began_at": "2026-03-02T09:15:00Z",
    "document_id": "d" * 32,
    "partition": 2,
    "steps": [{"step": "write", "outcome": "failed", "duration_ms": 12, "error": "timeout"}],
}


async def test_the_canary_reports_a_round(api: FakeApi) -> None:
    await api.tenant(CANARY)
    headers = await api.key(tenant=CANARY, scopes=("write",))
    answer = await api.client.post("/v1/freshness/rounds", headers=headers, json=ROUND)
    assert answer.status_code == 202, answer.text
    [event] = api.log.sent(CanaryMeasured)
    assert isinstance(event, CanaryMeasured)
    assert (str(event.event_id), event.partition, event.steps[0].error) == (ROUND["round_id"], 2, "timeout")


async def test_nobody_else_reports_rounds(api: FakeApi) -> None:
    answer = await api.client.post("/v1/freshness/rounds", headers=await api.key(), json=ROUND)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert api.log.sent(CanaryMeasured) == []


@pytest.mark.parametrize(
    "change", [{"partition": -1}, {"steps": []}, {"began_at": "2026-03-02T09:15:00"}, {"note": "text"}]
)
async def test_a_malformed_round_is_refused(api: FakeApi, change: dict[str, Any]) -> None:
    await api.tenant(CANARY)
    headers = await api.key(tenant=CANARY, scopes=("write",))
    answer = await api.client.post("/v1/freshness/rounds", headers=headers, json={**ROUND, **change})
    assert answer.status_code == 422
