"""Dead letters through the API: run again from the head, or sent again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headwater.ports.heads import Head
from headwater.settings import ApiSettings, Settings
from schemas.codec import encode
from schemas.events import (
    CanaryMeasured,
    DocumentSubmitted,
    EventResolved,
    FeedbackReceived,
    Lane,
    LetterState,
)
from schemas.events.documents import NOBODY, DocumentOp, ProgressOutcome, SubmissionOp
from schemas.ids import (
    SYSTEM_TENANT,
    KnowledgeBaseId,
    Revision,
)
from tests.support.api import ACME, ALL_SCOPES, FakeApi, fake_api
from tests.support.golden import golden
from tests.support.heads import put
from tests.support.letters import (
    CHANGED,
    OTHER,
    SUBMITTED,
    WIKI,
    Body,
    admit,
    call,
    document,
    ended,
    park,
    resolutions,
    said,
    verdicts,
)


@pytest.fixture
async def hurried() -> AsyncIterator[FakeApi]:
    """A replica whose requests are over soon."""
    async with fake_api(Settings(api=ApiSettings(request_timeout_s=0.3))) as running:
        yield running


class TestReplayOfDocuments:
    async def test_the_newest_revision_runs_again_and_an_older_letter_is_superseded(self, api: FakeApi) -> None:
        await admit(api, "a", 5)
        await park(api, "a", 1, revision=4)
        await park(api, "a", 2, revision=5)
        report = await call(api, "replay", policy="park")
        assert verdicts(report) == [("rerun", 2), ("superseded", 1)]
        assert report["results"][0]["token"]
        (rerun,) = api.log.sent(DocumentSubmitted)
        assert isinstance(rerun, DocumentSubmitted)
        assert (rerun.op, rerun.expected_revision, rerun.lane) == (SubmissionOp.RERUN, 5, Lane.LIVE)
        assert (rerun.source, rerun.external_id, rerun.actor) == (WIKI, "a", "user:ada")
        assert api.heads.documents[ACME, document("a")].revision == 6
        assert resolutions(api) == [(2, LetterState.REPLAYED), (1, LetterState.SUPERSEDED)]
        assert said(api) == [
            ("parked.replay", f"parked/{CHANGED}/0/2", "replayed", None),
            ("parked.replay", f"parked/{CHANGED}/0/1", "superseded", "the document is at 6"),
        ]

    async def test_a_dry_run_says_the_same_and_does_nothing(self, api: FakeApi) -> None:
        await admit(api, "a", 5)
        await admit(api, "b", 9)
        await park(api, "a", 1)
        await park(api, "b", 2)
        await park(api, None, 3, topic="rag.directory.submitted")
        report = await call(api, "replay", dry_run=True)
        assert report["dry_run"]
        assert verdicts(report) == [("refused", 3), ("superseded", 2), ("rerun", 1)]
        assert report["results"][1]["detail"] == "the document is at 9"
        assert api.log.events == []

    async def test_a_deletion_runs_again(self, api: FakeApi) -> None:
        await admit(api, "a", 5, op=DocumentOp.DELETED)
        await park(api, "a", 1)
        assert verdicts(await call(api, "replay", policy="park")) == [("rerun", 1)]
        assert api.heads.documents[ACME, document("a")].op is DocumentOp.DELETED

    async def test_an_erased_document_leaves_nothing_to_run(self, api: FakeApi) -> None:
        await park(api, "a", 1)
        assert verdicts(await call(api, "replay")) == [("superseded", 1)]

    async def test_the_lane_and_the_limit_are_the_caller_s(self, api: FakeApi) -> None:
        for offset, name in enumerate("abc"):
            await admit(api, name, 5)
            await park(api, name, offset)
        report = await call(api, "replay", policy="park", lane="backfill", limit=2)
        assert verdicts(report) == [("rerun", 2), ("rerun", 1)]
        assert [event.lane for event in api.log.sent(DocumentSubmitted)] == [Lane.BACKFILL] * 2  # type: ignore[attr-defined]  # as asked for
        rest = await call(api, "replay", policy="park", cursor=report["cursor"])
        assert verdicts(rest) == [("rerun", 0)]

    async def test_letters_are_named_or_filtered(self, api: FakeApi) -> None:
        for offset, name in enumerate("abc"):
            await admit(api, name, 5)
            await park(api, name, offset, stage="embed" if name == "b" else "prepare")
        named = [{"topic": CHANGED, "partition": 0, "offset": 0}]
        assert verdicts(await call(api, "replay", origins=named, dry_run=True)) == [("rerun", 0)]
        assert verdicts(await call(api, "replay", stage="embed", dry_run=True)) == [("rerun", 1)]
        unknown = {"origins": [*named, {"topic": CHANGED, "partition": 0, "offset": 9}]}
        answer = await api.client.post("/v1/parked/replay", headers=await api.key(), json=unknown)
        assert (answer.status_code, api.log.events) == (404, [])

    async def test_what_was_replayed_is_not_run_twice(self, api: FakeApi) -> None:
        await admit(api, "a", 5)
        letter = await park(api, "a", 1)
        await call(api, "replay", policy="park")
        await api.documents.record_resolved([each for each in api.log.events if isinstance(each, EventResolved)])
        assert verdicts(await call(api, "replay")) == []
        named = [{"topic": CHANGED, "partition": 0, "offset": letter.origin.offset}]
        assert verdicts(await call(api, "replay", origins=named)) == [("resolved", 1)]

    async def test_other_tenants_letters_are_not_touched(self, api: FakeApi) -> None:
        await park(api, "a", 1, tenant_id=OTHER)
        assert verdicts(await call(api, "replay")) == []
        assert (await call(api, "discard", reason="x"))["discarded"] == []

    @pytest.mark.parametrize(("action", "needed"), [("replay", {}), ("discard", {"reason": "x"})])
    async def test_only_administrators_resolve(self, api: FakeApi, action: str, needed: Body) -> None:
        for scopes, body, status in (
            (("read", "write"), {}, 403),
            (ALL_SCOPES, {"all_tenants": True}, 403),
            (ALL_SCOPES, {"limit": 101}, 422),
            (ALL_SCOPES, {"parked_from": "2026-01-01T00:00:00"}, 422),
        ):
            headers = await api.key(scopes=scopes)
            answer = await api.client.post(f"/v1/parked/{action}", headers=headers, json=needed | body)
            assert answer.status_code == status, answer.text


class TestPolicy:
    async def test_stop_waits_for_each_and_ends_with_the_first_that_fails_again(self, api: FakeApi) -> None:
        for offset, (name, outcome) in enumerate(
            (("late", ProgressOutcome.COMPLETE), ("bad", ProgressOutcome.FAILED), ("good", ProgressOutcome.COMPLETE))
        ):
            await admit(api, name, 5)
            await ended(api, name, 6, outcome)
            await park(api, name, offset)
        report = await call(api, "replay")
        assert [(each["origin"]["offset"], each["ended"]) for each in report["results"]] == [(2, "done"), (1, "failed")]
        assert report["stopped"] == "failed_again"
        assert resolutions(api) == [(2, LetterState.REPLAYED), (1, LetterState.REPLAYED)]
        rest = await call(api, "replay", cursor=report["cursor"])
        assert [(each["origin"]["offset"], each["ended"]) for each in rest["results"]] == [(0, "done")]
        assert rest["stopped"] is None

    async def test_park_goes_on_without_waiting(self, api: FakeApi) -> None:
        for offset, name in enumerate("ab"):
            await admit(api, name, 5)
            await ended(api, name, 6, ProgressOutcome.FAILED)
            await park(api, name, offset)
        report = await call(api, "replay", policy="park")
        assert [each["ended"] for each in report["results"]] == [None, None]
        assert report["stopped"] is None

    async def test_what_does_not_end_in_time_is_said(self, hurried: FakeApi) -> None:
        for offset, name in enumerate("ab"):
            await admit(hurried, name, 5)
            await park(hurried, name, offset)
        report = await call(hurried, "replay")
        assert [each["ended"] for each in report["results"]] == ["pending"]
        assert report["stopped"] == "time"

    async def test_admission_that_is_away_is_said(self, hurried: FakeApi) -> None:
        await admit(hurried, "a", 5)
        await park(hurried, "a", 1)
        headers = await hurried.key()
        hurried.log.held = True
        report = (await hurried.client.post("/v1/parked/replay", headers=headers, json={})).json()
        assert (report["results"][0]["ended"], report["stopped"]) == ("pending", "time")


class TestReplayOfOtherEvents:
    @pytest.mark.parametrize(
        ("event", "stage"),
        [(golden(FeedbackReceived, "incorrect"), "feedback"), (golden(CanaryMeasured, "failed"), "analytics")],
    )
    async def test_what_is_known_by_an_id_of_its_own_is_sent_again(
        self, api: FakeApi, event: FeedbackReceived | CanaryMeasured, stage: str
    ) -> None:
        event = replace(event, tenant_id=ACME)
        letter = await park(api, None, 1, topic=event.topic.value, stage=stage)
        api.originals.values[letter.origin] = encode(event)
        assert verdicts(await call(api, "replay")) == [("resend", 1)]
        assert api.log.sent(type(event)) == [event]
        assert resolutions(api) == [(1, LetterState.REPLAYED)]

    @pytest.mark.parametrize(
        ("topic", "original", "verdict"),
        [
            ("rag.feedback.received", b"no event", "undecodable"),
            ("rag.feedback.received", None, "expired"),
            (SUBMITTED, b"no event", "undecodable"),
            ("rag.directory.submitted", b"no event", "refused"),
            ("rag.documents.ingested", b"no event", "refused"),
            (CHANGED, b"no event", "refused"),
            ("another.topic", b"no event", "refused"),
        ],
    )
    async def test_what_cannot_or_must_not_be_sent_again_stays_parked(
        self, api: FakeApi, topic: str, original: bytes | None, verdict: str
    ) -> None:
        letter = await park(api, None, 1, topic=topic)
        if original is not None:
            api.originals.values[letter.origin] = original
        report = await call(api, "replay")
        assert verdicts(report) == [(verdict, 1)]
        assert report["results"][0]["detail"]
        assert api.log.events == []

    async def test_an_event_of_another_tenant_than_its_letter_is_refused(self, api: FakeApi) -> None:
        letter = await park(api, None, 1, topic="rag.feedback.received")
        api.originals.values[letter.origin] = encode(replace(golden(FeedbackReceived, "incorrect"), tenant_id=OTHER))
        assert verdicts(await call(api, "replay")) == [("refused", 1)]


class TestReplayOfSubmissions:
    """Parked by an admission that could not read them; by now it can."""

    @staticmethod
    async def parked_submission(api: FakeApi, *, at_ms: int, **changes: Any) -> DocumentSubmitted:
        submission = put(source=WIKI, **changes)
        letter = await park(api, None, 1, topic=SUBMITTED, tenant_id=None, stage="admit")
        api.documents.parked[letter.origin] = replace(
            api.documents.parked[letter.origin], parked_at=api.clock() + timedelta(milliseconds=at_ms)
        )
        api.originals.values[letter.origin] = encode(submission)
        return submission

    @staticmethod
    async def replayed(api: FakeApi, **body: Any) -> Body:
        return await call(api, "replay", scopes=(*ALL_SCOPES, "system"), all_tenants=True, **body)

    async def test_it_is_sent_again_for_nothing_but_the_state_that_is_seen_now(self, api: FakeApi) -> None:
        submission = await self.parked_submission(api, at_ms=0)
        assert verdicts(await self.replayed(api, policy="park")) == [("resend", 1)]
        assert api.log.sent(DocumentSubmitted) == [replace(submission, expected_revision=Revision(0))]
        assert said(api)[-1][:3] == ("parked.replay", f"parked/{SUBMITTED}/0/1", "replayed")
        assert [event.tenant_id for event in api.log.sent(EventResolved)] == [SYSTEM_TENANT]

    async def test_what_was_admitted_since_supersedes_it(self, api: FakeApi) -> None:
        submission = await self.parked_submission(api, at_ms=0)
        now_ms = int(api.clock().timestamp() * 1000)
        for revision, verdict in ((now_ms + 1, "superseded"), (now_ms - 1, "resend")):
            head = Head(
                tenant_id=ACME,
                document_id=submission.document_id,
                knowledge_base=KnowledgeBaseId("handbook"),
                source=WIKI,
                revision=Revision(revision),
                op=DocumentOp.UPSERTED,
                access=NOBODY,
                directory_position=0,
            )
            api.heads.documents[ACME, submission.document_id] = head
            assert verdicts(await self.replayed(api, dry_run=True)) == [(verdict, 1)]
        await self.replayed(api, policy="park")
        (sent,) = api.log.sent(DocumentSubmitted)
        assert isinstance(sent, DocumentSubmitted)
        assert sent.expected_revision == now_ms - 1

    async def test_a_precondition_of_its_own_stays(self, api: FakeApi) -> None:
        submission = await self.parked_submission(api, at_ms=0, expected_revision=Revision(77))
        report = await self.replayed(api)
        assert api.log.sent(DocumentSubmitted) == [submission]
        assert (report["results"][0]["ended"], report["stopped"]) == ("not_admitted", "failed_again")
