"""The heavy lane of `prepare`: handed over, worked on by page ranges, resumed, given up when superseded."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from headwater.generations.policy import ChunkPolicy
from headwater.settings import LimitSettings, TenantLimits
from schemas.events import ChunksPrepared, DocumentChanged
from schemas.events.base import Lane, Position
from schemas.ids import DocumentId, Revision, TenantId
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Dispatcher, Limits
from streams.harness.handing_over import position_header
from streams.harness.watchdog import Progress
from streams.prepare.agent import PrepareStage
from streams.prepare.configuration import pages_of
from streams.prepare.errors import HeavyDocumentError, LimitExceededError, MalformedDocumentError
from streams.prepare.heavy import HeavyLane, position_of
from streams.prepare.pages import PageRange, join_ranges, load_range
from streams.prepare.parsed import BlockKind
from streams.prepare.prepared import Prepared, prepare
from tests.support.blobs import FakeBlobStore, pieces_of
from tests.support.cache import FakeCache
from tests.support.events import GENERATION, TENANT, changed
from tests.support.heads import head_of_revision
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.waiting import reached

IN_THE_LOG = Position(topic="rag.documents.changed", partition=0, offset=77)


def joined(ranges: Sequence[PageRange]) -> Prepared:
    return prepare(join_ranges(ranges), ChunkPolicy(), lambda text: len(text.split()))


class PagedPool:
    """Takes each line for a page. The lane's pool refuses more than three as heavy; the heavy one reads by ranges."""

    def __init__(self, *, heavy_pages: int | None) -> None:
        self.read: list[int] = []
        self.rested = 0
        self.on_read: Callable[[], None] = lambda: None
        self._heavy_pages = heavy_pages

    async def prepare(self, content: bytes | Path, *, max_pages: int, **_: object) -> Prepared:
        lines = _lines(content, max_pages)
        if self._heavy_pages is not None and len(lines) > self._heavy_pages:
            raise HeavyDocumentError("pages")
        return joined([_range(lines, 0, len(lines))])

    async def read_pages(self, content: Path, *, first: int, count: int, max_pages: int, **_: object) -> bytes:
        self.read.append(first)
        self.on_read()
        return _range(_lines(content, max_pages), first, count).dump()

    async def join(self, ranges: Sequence[bytes]) -> Prepared:
        return joined([load_range(each) for each in ranges])

    async def rest(self) -> None:
        self.rested += 1


def _lines(content: bytes | Path, max_pages: int) -> list[str]:
    lines = (content if isinstance(content, bytes) else content.read_bytes()).decode().split("\n")
    if len(lines) > max_pages:
        raise LimitExceededError(f"more than {max_pages} pages")
    return lines


def _range(lines: list[str], first: int, count: int) -> PageRange:
    pages = enumerate(lines[first : first + count], start=first + 1)
    blocks = tuple((BlockKind.PARAGRAPH, line, page) for page, line in pages)
    return PageRange(media_type="application/pdf", title="", total=len(lines), blocks=blocks)


class Replica:
    """What the host's follower knows."""

    def __init__(self) -> None:
        self.revision: Revision | None = None

    def head(self, tenant: TenantId, document: DocumentId) -> object:
        return None if self.revision is None else head_of_revision(tenant, document, self.revision)


class Bench:
    def __init__(self, folder: Path, limits: LimitSettings | None = None) -> None:
        self.blobs, self.cache, self.publisher, self.replica = FakeBlobStore(), FakeCache(), FakePublisher(), Replica()
        self.pool, self.heavy_pool = PagedPool(heavy_pages=3), PagedPool(heavy_pages=None)
        self.folder, self.deliveries = folder, FakeDelivery()
        self.limits = limits or LimitSettings()
        self.stage = self.worker()

    def worker(self) -> PrepareStage:
        """A process that has just started."""
        return PrepareStage(
            blobs=self.blobs,
            cache=self.cache,
            pool=self.pool,  # type: ignore[arg-type]  # what the stage uses of it
            publisher=self.publisher,
            policy=ChunkPolicy(),
            tokenizer="words",
            generation=GENERATION,
            incoming=self.folder,
            bulk_parses=asyncio.Semaphore(1),
            heavy=HeavyLane(
                pool=self.heavy_pool,  # type: ignore[arg-type]  # what the lane uses of it
                cache=self.cache,
                pages_at_once=2,
                heavy_bytes=100,
                progress=Progress(),
                max_pages=partial(pages_of, self.limits),
            ),
            heads=self.replica,  # type: ignore[arg-type]  # what the stage uses of it
            max_pages=partial(pages_of, self.limits),
        )

    async def document(self, pages: int, *, revision: int = 7) -> DocumentChanged:
        content = "\n".join(f"p{number}" for number in range(pages)).encode()
        return changed(content=await self.blobs.write(TENANT, pieces_of(content)), revision=revision)

    def first_time(self) -> Delivery:
        return self.deliveries.make()

    def deferred(self) -> Delivery:
        return self.deliveries.make(topic=Topic.DOCUMENTS_DEFERRED, headers=position_header(IN_THE_LOG))

    @property
    def sent(self) -> list[ChunksPrepared]:
        return self.publisher.events(Topic.CHUNKS_PREPARED)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("pages", [4, 60], ids=["many pages", "many bytes"])
async def test_a_heavy_revision_is_handed_over_whole_with_its_place_in_the_log(bench: Bench, pages: int) -> None:
    event, delivery = await bench.document(pages), bench.first_time()
    assert await bench.stage.handle(event, delivery) is Outcome.DONE
    (handed,) = bench.publisher.emissions
    assert (handed.topic, handed.event) == (Topic.DOCUMENTS_DEFERRED, event)
    assert position_of(handed.headers) == delivery.origin


async def test_a_worker_that_defers_nothing_reads_it_by_ranges_at_once(bench: Bench) -> None:
    event, delivery = await bench.document(4), bench.first_time()
    assert await replace(bench.stage, defers=False).handle(event, delivery) is Outcome.DONE
    assert bench.heavy_pool.read == [0, 2]
    assert {each.topic for each in bench.publisher.emissions} == {Topic.CHUNKS_PREPARED}
    assert bench.sent[0].trail.changed == delivery.origin


async def test_ranges_give_what_the_whole_would_have_given_and_name_the_log(bench: Bench) -> None:
    event = await bench.document(7)
    await bench.stage.handle(event, bench.deferred())
    assert bench.heavy_pool.read == [0, 2, 4, 6]
    whole = await PagedPool(heavy_pages=None).prepare("\n".join(f"p{n}" for n in range(7)).encode(), max_pages=9)
    assert [chunk for batch in bench.sent for chunk in batch.chunks] == list(whole.chunks)
    assert bench.sent[0].trail.changed == IN_THE_LOG
    assert bench.heavy_pool.rested == 1
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize("pages", [3, 60], ids=["its turn", "the heavy lane"])
@pytest.mark.parametrize("mine", [None, 2, 100])
async def test_a_tenant_may_have_its_own_limit_of_pages(tmp_path: Path, pages: int, mine: int | None) -> None:
    own = {} if mine is None else {TENANT: TenantLimits(max_pages=mine)}
    bench = Bench(tmp_path, LimitSettings(max_pages=2 if mine == 100 else 50, tenants=own))
    event = await bench.document(pages)
    delivery = bench.first_time() if pages == 3 else bench.deferred()
    if pages <= pages_of(bench.limits, TENANT):
        assert await bench.stage.handle(event, delivery) is Outcome.DONE
    else:
        with pytest.raises(LimitExceededError):
            await bench.stage.handle(event, delivery)


def test_no_limit_of_pages_is_said_by_null() -> None:
    limits = LimitSettings.model_validate({"tenants": {TENANT: {"max_pages": None}}})
    assert pages_of(limits, TENANT) > 10**9
    assert pages_of(limits, TenantId("another")) == 5_000


async def test_after_a_crash_a_successor_goes_on_with_the_next_range(bench: Bench) -> None:
    event = await bench.document(7)

    def die() -> None:
        if len(bench.heavy_pool.read) == 3:
            raise KeyboardInterrupt

    bench.heavy_pool.on_read = die
    with pytest.raises(KeyboardInterrupt):
        await bench.stage.handle(event, bench.deferred())
    assert bench.sent == []
    assert await bench.worker().handle(event, bench.deferred()) is Outcome.DONE
    assert bench.heavy_pool.read == [0, 2, 4, 4, 6]


async def test_a_cache_that_lost_its_ranges_costs_time_and_nothing_else(bench: Bench) -> None:
    bench.heavy_pool.on_read = bench.cache.clear
    await bench.stage.handle(await bench.document(7), bench.deferred())
    assert [each.last for each in bench.sent] == [True]


async def test_a_damaged_range_is_read_again(bench: Bench) -> None:
    event = await bench.document(7)
    await bench.stage.handle(event, bench.deferred())
    bench.cache.entries = dict.fromkeys(bench.cache.entries, b"damaged")
    await bench.worker().handle(event, bench.deferred())
    assert bench.heavy_pool.read == [0, 2, 4, 6] * 2


async def test_an_edit_that_this_worker_sees_ends_the_work_on_the_older_revision(bench: Bench) -> None:
    event = await bench.document(7)
    newer = await bench.document(2, revision=8)

    def edit() -> None:
        if len(bench.heavy_pool.read) == 2:
            bench.stage._learn(newer)

    bench.heavy_pool.on_read = edit
    assert await bench.stage.handle(event, bench.deferred()) is Outcome.SUPERSEDED
    assert (bench.heavy_pool.read, bench.sent) == ([0, 2], [])


async def test_a_newer_head_of_the_replica_ends_it_before_it_begins(bench: Bench) -> None:
    bench.replica.revision = Revision(8)
    event = await bench.document(7)
    assert await bench.stage.handle(event, bench.deferred()) is Outcome.SUPERSEDED
    assert (bench.heavy_pool.read, bench.sent) == ([], [])


async def test_what_others_wrote_to_the_topic_is_poison(bench: Bench) -> None:
    delivery = bench.deliveries.make(topic=Topic.DOCUMENTS_DEFERRED)
    with pytest.raises(MalformedDocumentError, match="headers: `changed`"):
        await bench.stage.handle(await bench.document(7), delivery)


async def test_heavy_work_takes_no_place_of_the_lanes() -> None:
    records, begun, gate = FakeDelivery(), list[Topic](), asyncio.Event()

    async def settle(delivery: Delivery) -> None:
        begun.append(delivery.topic)
        if delivery.topic is Topic.DOCUMENTS_DEFERRED:
            await gate.wait()
        delivery.settle()

    dispatcher = Dispatcher(
        settle,
        limits=Limits(live_keys=1, backfill_keys=1, buffer_bytes=100_000, own_keys={Topic.DOCUMENTS_DEFERRED: 1}),
        is_suspect=lambda _: False,
        on_fatal=lambda error: pytest.fail(str(error)),
        stage="test",
    )
    dispatcher.resume()
    for lane in (Lane.LIVE, Lane.BACKFILL):
        for number in range(3):
            key = b"acme/%d" % number
            await dispatcher.offer(records.make(key=key, lane=lane, topic=Topic.DOCUMENTS_DEFERRED))
    for lane in (Lane.LIVE, Lane.BACKFILL):
        await dispatcher.offer(records.make(key=b"acme/other", lane=lane))
    await reached(lambda: len(records.settled) == 2)
    assert begun.count(Topic.DOCUMENTS_DEFERRED) == 1
    gate.set()
    await reached(lambda: len(records.settled) == 8)
