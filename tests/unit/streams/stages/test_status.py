"""Stage `status` with a read model in memory."""

from dataclasses import replace
from typing import Any

from headwater.freshness.legs import Leg
from headwater.freshness.objectives import Promise
from headwater.telemetry.metrics import FRESHNESS_JUDGED, FRESHNESS_LEG_SECONDS
from schemas.events import (
    AuditRecorded,
    DocumentChanged,
    DocumentIngested,
    DocumentProgressed,
    EventParked,
    EventResolved,
)
from schemas.events.base import Lane, Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import GenerationName, TenantId
from schemas.topics import Topic
from streams.harness.delivery import Outcome
from streams.status.agent import StatusStage, Writers
from streams.status.timing import Timing
from tests.support.events import HANDBOOK, NOON, TENANT, changed, deleted, position, progressed, trail
from tests.support.golden import golden
from tests.support.read_model import FakeDocuments
from tests.support.stages import FakeDelivery, FakePublisher

TIMING = Timing(
    targets={Promise.WORDS: 1_000, Promise.MEANING: 2_000},
    canary=TenantId("the-canary"),
    generation=lambda: GenerationName("g1"),
)
VECTORS, KEYWORDS = Store.VECTORS, Store.KEYWORDS


class Bench:
    def __init__(self) -> None:
        self.model, self.publisher, self.records = FakeDocuments(), FakePublisher(), FakeDelivery()
        self.restart()

    def restart(self) -> None:
        """Forget what only the worker's memory holds."""
        self.stage = StatusStage(
            model=self.model,
            writers=Writers.of(self.model),
            publisher=self.publisher,
            timing=TIMING,
        )

    async def handle(
        self, *events: DocumentChanged | DocumentProgressed | EventParked | EventResolved | AuditRecorded
    ) -> list[Outcome]:
        return [await self.stage.handle(event, self.records.make(event)) for event in events]

    @property
    def facts(self) -> list[DocumentIngested]:
        return self.publisher.events(Topic.DOCUMENTS_INGESTED)

    @property
    def reports(self) -> list[DocumentProgressed]:
        return self.publisher.events(Topic.DOCUMENTS_PROGRESSED)


async def test_a_revision_is_a_public_fact_when_both_stores_show_it() -> None:
    bench = Bench()
    await bench.handle(changed(), progressed(KEYWORDS))
    assert bench.facts == []
    later = NOON.replace(second=3)
    await bench.handle(progressed(VECTORS, trail=replace(trail(), indexed_at=later)))
    (fact,) = bench.facts
    assert (fact.document_id, fact.revision, fact.op, fact.chunks) == (HANDBOOK, 7, DocumentOp.UPSERTED, 2)
    assert fact.freshness_ms == 3000
    assert (fact.lane, fact.prepared_at) == (Lane.LIVE, NOON)
    assert (fact.searchable_by_words_at, fact.searchable_by_meaning_at) == (NOON.replace(second=1), later)


async def test_repeats_do_not_repeat_the_fact_and_after_a_restart_it_is_the_same() -> None:
    bench = Bench()
    await bench.handle(changed(), progressed(KEYWORDS), progressed(VECTORS), progressed(VECTORS), progressed(KEYWORDS))
    assert len(bench.facts) == 1
    bench.restart()
    await bench.handle(progressed(VECTORS))
    assert len({fact.event_id for fact in bench.facts}) == 1


async def test_revisions_of_two_stores_that_differ_are_no_fact() -> None:
    bench = Bench()
    await bench.handle(changed(), progressed(KEYWORDS, revision=7), progressed(VECTORS, revision=6))
    assert bench.facts == []


async def test_a_failure_in_one_store_is_no_fact() -> None:
    bench = Bench()
    failed = progressed(VECTORS, outcome=ProgressOutcome.FAILED, stage="embed", error="E", reason="r")
    await bench.handle(changed(), progressed(KEYWORDS), failed)
    assert bench.facts == []


async def test_a_deletion_everywhere_is_a_fact() -> None:
    bench = Bench()
    gone = [progressed(store, revision=8, outcome=ProgressOutcome.GONE, rows=0) for store in Store]
    await bench.handle(deleted(), *gone)
    (fact,) = bench.facts
    assert (fact.op, fact.revision) == (DocumentOp.DELETED, 8)


async def test_generations_do_not_complete_each_other() -> None:
    bench = Bench()
    await bench.handle(changed(), progressed(KEYWORDS), progressed(VECTORS, generation=GenerationName("g2")))
    assert bench.facts == []


async def test_a_zombies_lower_report_is_followed_by_the_higher_one_again() -> None:
    bench = Bench()
    outcomes = await bench.handle(changed(revision=9), progressed(VECTORS, revision=9), progressed(VECTORS, revision=8))
    assert outcomes[-1] is Outcome.SUPERSEDED
    (again,) = bench.reports
    assert (again.store, again.revision) == (VECTORS, 9)
    await bench.handle(again)
    assert len(bench.reports) == 1, "the repeat itself is not repeated"


async def test_a_log_read_again_from_its_beginning_is_not_repeated_into_the_topic() -> None:
    bench = Bench()
    history = [progressed(VECTORS, revision=revision) for revision in range(1, 30)]
    await bench.handle(changed(revision=29), *history)
    bench.restart()
    await bench.handle(*history)
    assert len(bench.reports) <= 1


async def test_a_letter_is_recorded() -> None:
    bench = Bench()
    letter = EventParked(
        origin=position(),
        key=b"k",
        value=b"v",
        headers=(),
        stage="prepare",
        generation=GenerationName("g1"),
        error="EmptyDocumentError",
        reason="no text",
        attempts=1,
        parked_at=NOON,
        tenant_id=TENANT,
        document_id=HANDBOOK,
        revision=changed().revision,
    )
    await bench.handle(letter)
    assert [each.error for each in bench.model.parked.values()] == ["EmptyDocumentError"]


async def test_what_was_done_about_a_letter_is_recorded() -> None:
    bench = Bench()
    resolved = golden(EventResolved, "replayed")
    assert await bench.handle(resolved, resolved.letter) == [Outcome.DONE, Outcome.DONE]
    assert bench.model.resolved == {resolved.letter.origin: resolved}
    assert set(bench.model.parked) == {resolved.letter.origin}


async def test_the_newest_refused_submission_of_a_document_is_kept() -> None:
    bench = Bench()
    refused = replace(
        golden(AuditRecorded, "refused"),
        resource=f"documents/{HANDBOOK}",
        action="documents.put",
        reason="quota_documents: the tenant has room for 5: raise max_documents",
    )
    older = replace(refused, reason="invalid: title: empty", observed_at=refused.observed_at.replace(year=2025))
    assert await bench.handle(refused, older) == [Outcome.DONE, Outcome.DONE]
    kept = await bench.model.last_refusal(refused.tenant_id, HANDBOOK)
    assert kept is not None
    assert (kept.reason, kept.detail) == ("quota_documents", "the tenant has room for 5: raise max_documents")
    assert (kept.action, kept.actor, kept.refused_at) == ("documents.put", refused.actor, refused.observed_at)


async def test_a_submission_older_than_what_is_known_counts_as_refused() -> None:
    bench = Bench()
    stale = replace(golden(AuditRecorded, "refused"), outcome="superseded", reason="stale: source_version: 9 was seen")
    await bench.handle(stale)
    (kept,) = bench.model.refusals.values()
    assert kept.reason == "stale"


async def test_other_audit_events_are_passed_over() -> None:
    bench = Bench()
    refused = golden(AuditRecorded, "refused")
    others = [
        golden(AuditRecorded, "accepted"),
        replace(refused, outcome="submitted", reason=None),
        replace(refused, resource="users/ada"),
        replace(refused, outcome="explained", reason="as user:bob"),
        replace(refused, action="documents.read", reason="documents.read needs a key with the scope read"),
        replace(refused, action="documents.rerun", reason="invalid: actor: missing"),
    ]
    assert set(await bench.handle(*others)) == {Outcome.DONE}
    assert bench.model.refusals == {}


def judged(objective: str, verdict: str) -> float:
    counter = FRESHNESS_JUDGED.labels(objective=objective, view="documents", verdict=verdict)
    return float(counter._value.get())


async def test_live_edits_are_judged_against_their_objective_and_nothing_else_is() -> None:
    bench = Bench()
    before = {each: judged(*each) for each in (("words", "within"), ("words", "late"), ("meaning", "late"))}
    slow = replace(trail(), indexed_at=NOON.replace(second=3))
    await bench.handle(
        changed(),
        progressed(KEYWORDS),
        progressed(VECTORS, trail=slow),
        progressed(KEYWORDS, "bulk.md", trail=slow, lane=Lane.BACKFILL),
        progressed(KEYWORDS, "gone.md", trail=slow, outcome=ProgressOutcome.GONE),
        progressed(KEYWORDS, "broken.md", trail=slow, outcome=ProgressOutcome.FAILED),
        progressed(KEYWORDS, "probe.md", trail=slow, tenant_id=TenantId("the-canary")),
        progressed(KEYWORDS, trail=slow, generation=GenerationName("g2")),
    )
    assert {each: judged(*each) - count for each, count in before.items()} == {
        ("words", "within"): 1,
        ("words", "late"): 0,
        ("meaning", "late"): 1,
    }


async def test_after_a_switch_the_generation_that_serves_now_is_judged() -> None:
    bench, serving = Bench(), ["g1"]
    bench.stage = replace(bench.stage, timing=replace(TIMING, generation=lambda: GenerationName(serving[-1])))
    reports = [progressed(KEYWORDS, generation=GenerationName(name)) for name in ("g1", "g2", "g2")]
    await bench.handle(changed())
    before = judged("words", "within")
    await bench.handle(*reports)
    serving.append("g2")
    await bench.handle(*reports)
    assert judged("words", "within") - before == 1 + 2


async def test_each_leg_of_a_live_revision_is_timed_once_it_is_everywhere_and_of_nothing_else() -> None:
    def timed() -> dict[Leg, float]:
        return {leg: FRESHNESS_LEG_SECONDS.labels(leg=leg.value)._sum.get() for leg in Leg}

    async def live(**fields: Any) -> list[Outcome]:
        late = replace(trail(), indexed_at=NOON.replace(second=3))
        both = [progressed(store, trail=late, **fields) for store in (KEYWORDS, VECTORS)]
        return await bench.handle(*both, *both)

    bench, before = Bench(), timed()
    await bench.handle(changed(), changed("bulk.md"))
    await live()
    await live(external_id="bulk.md", lane=Lane.BACKFILL)
    await live(generation=GenerationName("g2"))
    after = timed()
    assert after[Leg.WORDS] - before[Leg.WORDS] == after[Leg.MEANING] - before[Leg.MEANING] == 3
    assert after[Leg.REMOVED] == before[Leg.REMOVED]
