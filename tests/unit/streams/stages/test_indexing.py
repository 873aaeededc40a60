"""Both index stages' common part, with a store in memory."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from headwater.errors import RetryableError
from headwater.rows import rows
from schemas.events import ChunkBatch, DocumentProgressed
from schemas.events.base import Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import GenerationName, Revision, document_key
from schemas.topics import Topic
from streams.harness.delivery import Outcome
from streams.harness.errors import WrongGenerationError
from streams.harness.stage import Failure
from streams.indexing.looks import Looks
from streams.indexing.stage import IndexStage
from streams.indexing.step import IncompleteRevisionError
from tests.support.events import GENERATION, HANDBOOK, TENANT, chunk, embedded, prepared
from tests.support.heads import head_of_revision
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.stores import FakeKeywordIndex

COMPLETE, GONE, FAILED = ProgressOutcome.COMPLETE, ProgressOutcome.GONE, ProgressOutcome.FAILED


class Bench:
    def __init__(self) -> None:
        self.index, self.publisher = FakeKeywordIndex(), FakePublisher()
        self.delivery = FakeDelivery().make()
        self.drop = 0  # rows that the next write loses
        self.stage = self.new_stage()

    def new_stage(self) -> IndexStage:
        """Return a stage that knows nothing, as after a restart."""
        return IndexStage(
            store=Store.KEYWORDS,
            name="index-keywords",
            index=self.index,
            looks=Looks(self.index),
            write=self._write,
            publisher=self.publisher,
            generation=GENERATION,
        )

    async def _write(self, batch: ChunkBatch) -> None:
        await self.index.upsert(rows(batch)[self.drop :])

    async def handle(self, batch: ChunkBatch) -> Outcome:
        return await self.stage.handle(batch, self.delivery)

    @property
    def reports(self) -> list[DocumentProgressed]:
        return self.publisher.events(Topic.DOCUMENTS_PROGRESSED)

    async def stored(self) -> dict[Revision, int]:
        return dict(await self.index.revisions(TENANT, HANDBOOK))


def batches(*, revision: int = 7, of: int = 2) -> list[ChunkBatch]:
    """A revision in batches of two chunks."""
    return [
        replace(
            prepared(revision=revision),
            batch=number,
            last=number == of - 1,
            total=2 * of,
            chunks=(chunk(2 * number), chunk(2 * number + 1)),
        )
        for number in range(of)
    ]


def deletion(revision: int = 8) -> ChunkBatch:
    return prepared(revision=revision, chunks=0, op=DocumentOp.DELETED)


async def test_a_revision_is_reported_when_all_of_its_rows_are_there() -> None:
    bench, (first, last) = Bench(), batches()
    await bench.handle(first)
    assert bench.reports == []
    await bench.handle(last)
    (report,) = bench.reports
    assert (report.outcome, report.rows, report.revision) == (COMPLETE, 4, 7)
    assert report.trail.indexed_at is not None
    assert await bench.stored() == {7: 4}


async def test_a_report_lies_in_its_documents_partition() -> None:
    bench = Bench()
    await bench.handle(prepared())
    (emission,) = bench.publisher.emissions
    assert emission.key == f"acme/{HANDBOOK}/g1/keywords".encode()
    assert emission.routed_by == document_key(TENANT, HANDBOOK)


async def test_older_rows_stay_for_the_sweeper() -> None:
    bench = Bench()
    await bench.handle(prepared(revision=7))
    await bench.handle(prepared(revision=9, chunks=1))
    assert await bench.stored() == {7: 2, 9: 1}
    assert [report.revision for report in bench.reports] == [7, 9]


async def test_a_deletion_removes_confirms_and_reports() -> None:
    bench = Bench()
    await bench.handle(prepared(revision=7))
    await bench.handle(deletion())
    assert await bench.stored() == {}
    assert [report.outcome for report in bench.reports] == [COMPLETE, GONE]


async def test_a_deletion_whose_rows_are_still_seen_is_tried_again() -> None:
    bench = Bench()
    await bench.handle(prepared(revision=7))

    async def nothing(*_: object, **__: object) -> int:
        return 0

    bench.index.remove_older = nothing  # type: ignore[method-assign]  # a store that lags
    with pytest.raises(RetryableError):
        await bench.handle(deletion())
    assert [report.outcome for report in bench.reports] == [COMPLETE]


async def test_a_document_that_comes_back_is_complete_again() -> None:
    bench = Bench()
    for batch in (prepared(revision=7), deletion(8), prepared(revision=9)):
        await bench.handle(batch)
    assert await bench.stored() == {9: 2}
    assert bench.reports[-1].outcome is COMPLETE


async def test_an_older_event_after_a_newer_one_writes_nothing_also_after_a_restart() -> None:
    bench = Bench()
    await bench.handle(prepared(revision=9))
    for stage in (bench.stage, bench.new_stage()):
        bench.stage = stage
        assert await bench.handle(prepared(revision=7)) is Outcome.SUPERSEDED
    assert await bench.stored() == {9: 2}
    assert len(bench.reports) == 1


async def test_a_repeated_event_changes_nothing_and_says_the_same() -> None:
    bench = Bench()
    for stage in (bench.stage, bench.stage, bench.new_stage()):
        bench.stage = stage
        assert await bench.handle(prepared()) is Outcome.DONE
    assert await bench.stored() == {7: 2}
    assert len({report.event_id for report in bench.reports}) == 1


async def test_a_revision_that_stays_short_is_poison() -> None:
    bench = Bench()
    bench.drop = 1
    with pytest.raises(IncompleteRevisionError, match="shows 1 rows"):
        await bench.handle(prepared())
    assert bench.reports == []


@pytest.mark.parametrize("behind", [6, 7])
async def test_a_short_revision_is_poison_whatever_else_follows_it(behind: int) -> None:
    bench = Bench()
    bench.drop = 1
    bench.delivery.successor.delivery = FakeDelivery().make(prepared(revision=behind))
    with pytest.raises(IncompleteRevisionError):
        await bench.handle(prepared(revision=7))


async def test_a_short_revision_that_a_newer_one_follows_is_superseded() -> None:
    bench = Bench()
    bench.drop = 1
    repeated, newer = FakeDelivery().make(prepared(revision=7)), FakeDelivery().make(prepared(revision=8))
    bench.delivery.successor.delivery, repeated.successor.delivery = repeated, newer
    assert await bench.handle(prepared(revision=7)) is Outcome.SUPERSEDED
    assert bench.reports == []


@pytest.mark.parametrize(("known", "outcome"), [(8, Outcome.SUPERSEDED), (7, None), (None, None)])
async def test_a_worker_that_slept_asks_the_hosts_replica_before_it_parks(
    known: int | None, outcome: Outcome | None
) -> None:
    bench = Bench()
    bench.drop = 1
    replica = SimpleNamespace(
        head=lambda tenant, document: None if known is None else head_of_revision(tenant, document, Revision(known))
    )
    bench.stage = replace(bench.stage, heads=replica)
    if outcome is None:
        with pytest.raises(IncompleteRevisionError):
            await bench.handle(prepared(revision=7))
    else:
        assert await bench.handle(prepared(revision=7)) is outcome
        assert bench.reports == []


async def test_a_failure_upstream_is_reported_and_nobody_waits_for_the_rest() -> None:
    bench, (first, last) = Bench(), batches()
    failure = replace(first, chunks=(), failed_stage="embed", failed_error="TextTooLongError", failed_reason="too long")
    await bench.handle(failure)
    await bench.handle(last)
    (report,) = bench.reports
    assert (report.outcome, report.stage, report.error) == (FAILED, "embed", "TextTooLongError")
    assert await bench.stored() == {}


async def test_a_replay_of_a_failed_revision_completes_it() -> None:
    bench, (first, last) = Bench(), batches()
    await bench.stage.give_up(first, bench.delivery, Failure(stage="index-keywords", error="E", reason="r"))
    await bench.handle(last)
    for batch in (first, last):
        await bench.handle(batch)
    assert [report.outcome for report in bench.reports] == [FAILED, COMPLETE]
    assert await bench.stored() == {7: 4}


async def test_vectors_are_counted_over_all_batches_once() -> None:
    bench = Bench()
    first, last = (embedded(each) for each in batches())  # type: ignore[arg-type]  # prepared ones
    for batch in (first, first, replace(last, embedded=0, reused=2)):
        await bench.handle(batch)
    (report,) = bench.reports
    assert (report.embedded, report.reused) == (2, 2)


async def test_a_document_without_text_is_complete_with_no_rows() -> None:
    bench = Bench()
    await bench.handle(prepared(chunks=0))
    (report,) = bench.reports
    assert (report.outcome, report.rows) == (COMPLETE, 0)


async def test_another_generations_event_is_refused() -> None:
    bench = Bench()
    foreign = prepared(generation=GenerationName("g2"))
    with pytest.raises(WrongGenerationError):
        await bench.handle(foreign)
    await bench.stage.give_up(foreign, bench.delivery, Failure(stage="s", error="e", reason="r"))
    assert bench.reports == []
