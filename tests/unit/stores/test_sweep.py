"""The sweeper without a broker: what goes, when, in which order, and what a busy store or a rebalance means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from headwater.clients.kafka.records import Item, Offsets, Record
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.telemetry.management import Health
from schemas.codec import encode
from schemas.events.base import Position, Store
from schemas.events.documents import DocumentProgressed, ProgressOutcome
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from streams.sweep.step import Backlog, Partition, Removal, newest, removal_of
from streams.sweep.worker import Sweeper
from tests.support.golden import golden
from tests.support.rows import ACME, HANDBOOK, OTHER, rows_of
from tests.support.stores import FakeKeywordIndex

G1 = GenerationName("g1")
TOPIC = "rag.documents.progressed"
GRACE_MS = 45_000


def report(
    *,
    revision: int = 9,
    document: DocumentId = HANDBOOK,
    store: Store = Store.KEYWORDS,
    outcome: ProgressOutcome = ProgressOutcome.COMPLETE,
    generation: GenerationName = G1,
) -> DocumentProgressed:
    return replace(
        golden(DocumentProgressed, "complete"),
        tenant_id=ACME,
        document_id=document,
        revision=Revision(revision),
        store=store,
        outcome=outcome,
        generation=generation,
    )


def record(offset: int, value: DocumentProgressed | bytes | None, *, written_ms: int = 0, partition: int = 0) -> Record:
    return Record(
        position=Position(topic=TOPIC, partition=partition, offset=offset),
        key=b"key",
        value=encode(value) if isinstance(value, DocumentProgressed) else value,
        headers=(),
        timestamp_ms=written_ms,
    )


@dataclass(slots=True)
class FakeReports:
    """Hands out what a test puts in, and remembers what was committed and paused."""

    assigned: frozenset[Partition] = frozenset({(TOPIC, 0), (TOPIC, 1)})
    ready: list[Item] = field(default_factory=list)
    committed: dict[int, int] = field(default_factory=dict)
    paused: frozenset[Partition] = frozenset()
    waits: list[float] = field(default_factory=list)
    refuse_commit: bool = False

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        self.waits.append(wait_s)
        items, self.ready = tuple(self.ready), []
        return items

    async def commit(self, offsets: Offsets) -> None:
        if self.refuse_commit:
            raise RetryableError("rebalancing")
        self.committed.update(offsets[TOPIC])

    async def pause(self, partitions: frozenset[Partition]) -> None:
        self.paused |= partitions

    async def resume(self, partitions: frozenset[Partition]) -> None:
        self.paused -= partitions


class BrokenIndex(FakeKeywordIndex):
    """Fails a removal with the error that a test sets."""

    error: Exception | None = None

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        if self.error is not None:
            raise self.error
        return await super().remove_older(tenant, document, than=than)


class Bench:
    """A sweeper with a clock that a test moves."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.reports, self.keywords, self.vectors = FakeReports(), BrokenIndex(), BrokenIndex()
        self.health = Health()
        self.sweeper = Sweeper(
            reports=self.reports,
            indices={Store.KEYWORDS: self.keywords, Store.VECTORS: self.vectors},
            generation=G1,
            backlog=Backlog(grace_ms=GRACE_MS),
            health=self.health,
            now_ms=lambda: self.now_ms,
            most_waiting=4,
        )

    async def step(self, *items: Item, at_ms: int | None = None) -> None:
        self.reports.ready.extend(items)
        self.now_ms = self.now_ms if at_ms is None else at_ms
        await self.sweeper.step()

    async def sweep(self, *items: Item) -> None:
        """Read at zero, and look again when the grace has passed."""
        await self.step(*items, at_ms=0)
        await self.step(at_ms=GRACE_MS)

    async def revisions(self, index: FakeKeywordIndex, document: DocumentId = HANDBOOK) -> Mapping[Revision, int]:
        return await index.revisions(ACME, document)


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    for index in (bench.keywords, bench.vectors):
        for revision in (7, 8, 9):
            await index.upsert(rows_of(HANDBOOK, revision=revision, chunks=2))
    return bench


async def test_older_rows_go_after_the_grace_and_only_then_is_it_committed(bench: Bench) -> None:
    await bench.step(record(5, report(revision=9)), at_ms=1_000)
    await bench.step(at_ms=1_000 + GRACE_MS - 1)
    assert await bench.revisions(bench.keywords) == {7: 2, 8: 2, 9: 2}
    assert bench.reports.committed == {}
    await bench.step(at_ms=1_000 + GRACE_MS)
    assert await bench.revisions(bench.keywords) == {9: 2}
    assert await bench.revisions(bench.vectors) == {7: 2, 8: 2, 9: 2}
    assert bench.reports.committed == {0: 6}


@pytest.mark.parametrize("written_ms", [0, GRACE_MS * 1_000])
async def test_the_grace_is_the_same_whatever_the_brokers_clock_says(bench: Bench, written_ms: int) -> None:
    """Two machines' clocks may differ by an hour: rows must neither go at once nor stay for an hour (ADR 0070)."""
    await bench.step(record(5, report(), written_ms=written_ms), at_ms=GRACE_MS * 10)
    assert await bench.revisions(bench.keywords) == {7: 2, 8: 2, 9: 2}
    await bench.step(at_ms=GRACE_MS * 11)
    assert await bench.revisions(bench.keywords) == {9: 2}


async def test_a_late_report_removes_nothing_newer(bench: Bench) -> None:
    await bench.sweep(record(5, report(revision=8)))
    assert await bench.revisions(bench.keywords) == {8: 2, 9: 2}


async def test_a_deletion_removes_rows_that_a_zombie_wrote_again(bench: Bench) -> None:
    await bench.sweep(record(5, report(revision=10, outcome=ProgressOutcome.GONE)))
    assert await bench.revisions(bench.keywords) == {}


@pytest.mark.parametrize(
    "value",
    [
        report(outcome=ProgressOutcome.FAILED),
        report(generation=GenerationName("g2")),
        b"not a report",
        None,
    ],
)
async def test_what_lets_nothing_go_is_passed_over_at_once(
    bench: Bench, value: DocumentProgressed | bytes | None
) -> None:
    await bench.step(record(5, value, written_ms=0))
    assert await bench.revisions(bench.keywords) == {7: 2, 8: 2, 9: 2}
    assert bench.reports.committed == {0: 6}


async def test_what_waits_holds_back_the_position_of_what_follows(bench: Bench) -> None:
    await bench.step(record(5, report(), written_ms=0), record(6, None, written_ms=0))
    assert bench.reports.committed == {}
    await bench.step(at_ms=GRACE_MS)
    assert bench.reports.committed == {0: 7}


async def test_a_busy_store_is_waited_for_and_nothing_is_committed(bench: Bench) -> None:
    bench.keywords.error = RetryableError("restarting")
    await bench.sweep(record(5, report()))
    assert bench.reports.committed == {}
    assert bench.health.readiness()["stores"] == "RetryableError"
    bench.keywords.error = None
    await bench.step(at_ms=GRACE_MS + 500)  # too soon after the failure
    assert bench.reports.committed == {}
    await bench.step(at_ms=GRACE_MS + 1_000)
    assert bench.reports.committed == {0: 6}
    assert bench.health.readiness()["stores"] is None
    assert await bench.revisions(bench.keywords) == {9: 2}


async def test_a_commit_that_fails_is_repeated(bench: Bench) -> None:
    bench.reports.refuse_commit = True
    await bench.sweep(record(5, report()))
    bench.reports.refuse_commit = False
    await bench.step(at_ms=GRACE_MS + 1_000)
    assert bench.reports.committed == {0: 6}


@pytest.mark.parametrize("error", [FatalError("no such index"), PoisonError("refused")])
async def test_what_no_waiting_mends_ends_the_worker(bench: Bench, error: Exception) -> None:
    bench.keywords.error = error
    with pytest.raises(FatalError):
        await bench.sweep(record(5, report()))
    assert bench.reports.committed == {}


async def test_partitions_that_another_worker_has_now_are_left_alone(bench: Bench) -> None:
    await bench.step(record(5, report(), partition=0), record(8, None, partition=1))
    bench.reports.assigned = frozenset({(TOPIC, 1)})
    await bench.step(at_ms=GRACE_MS)
    assert await bench.revisions(bench.keywords) == {7: 2, 8: 2, 9: 2}
    assert bench.reports.committed == {1: 9}


async def test_a_full_partition_is_paused_and_the_others_read_on(bench: Bench) -> None:
    for n in range(4):
        await bench.step(record(n, report()), at_ms=n * 10)
    assert bench.reports.paused == {(TOPIC, 0)}
    await bench.step(at_ms=GRACE_MS)
    assert bench.reports.paused == {(TOPIC, 0)}
    await bench.step(at_ms=GRACE_MS + 10)
    await bench.step()
    assert bench.reports.paused == frozenset()


async def test_it_reads_until_something_is_due_and_never_longer_than_a_second(bench: Bench) -> None:
    await bench.step(record(5, report(), written_ms=0))
    await bench.step(at_ms=GRACE_MS - 5_000)
    await bench.step(at_ms=GRACE_MS - 300)
    assert bench.reports.waits == pytest.approx([1.0, 1.0, 0.3])


def test_the_newest_removal_of_a_document_covers_the_others() -> None:
    removals = [
        removal_of(report(revision=revision, document=document), generation=G1)
        for document in (HANDBOOK, OTHER)
        for revision in (7, 9, 8)
    ]
    kept: Sequence[Removal] = newest(removal for removal in removals if removal is not None)
    assert [(removal.document_id, removal.than) for removal in kept] == [(HANDBOOK, 9), (OTHER, 9)]
