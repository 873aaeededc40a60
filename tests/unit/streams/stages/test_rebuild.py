"""A store refilled from the log by the stages' own work, with everything in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from headwater.errors import PoisonError
from headwater.ports.rows import ChunkIndex
from headwater.rows import rows
from schemas.events import BlobRef, ChunkBatch, ChunksEmbedded
from schemas.events.base import Lane, Store
from schemas.events.documents import ProgressOutcome
from schemas.ids import document_id
from schemas.topics import Topic
from streams.embed.agent import EmbedStage
from streams.harness.delivery import Outcome
from streams.harness.stage import Failure
from streams.index_vectors.step import vectors_of
from streams.indexing.looks import Looks
from streams.indexing.stage import IndexStage
from streams.prepare.agent import PrepareStage
from streams.rebuild.stage import RebuildStage
from tests.support.blobs import pieces_of
from tests.support.cache import FakeCache
from tests.support.events import GENERATION, SOURCE, TENANT, changed, deleted
from tests.support.models import FakeEmbedder
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.stores import FakeKeywordIndex, FakeVectorIndex
from tests.unit.streams.stages.test_prepare import Bench as PrepareBench

DOCUMENT = document_id(TENANT, SOURCE, "handbook.md")


class Bench:
    """Both rebuilds side by side, with the caches that the usual stages would have filled."""

    def __init__(self, folder: Path) -> None:
        self.bench = PrepareBench(folder)
        self.log, self.delivery = FakePublisher(), FakeDelivery().make()
        self.words, self.meaning = FakeKeywordIndex(), FakeVectorIndex()
        self.embedder, self.vectors = FakeEmbedder(), FakeCache()
        prepare: PrepareStage = self.bench.stage
        self.keywords = RebuildStage(
            prepare=prepare,
            embed=None,
            index=self._index(Store.KEYWORDS, self.words, self._write_words),
            publisher=self.log,
        )
        self.both = RebuildStage(
            prepare=prepare,
            embed=EmbedStage(
                embedder=self.embedder, cache=self.vectors, publisher=FakePublisher(), generation=GENERATION
            ),
            index=self._index(Store.VECTORS, self.meaning, self._write_vectors),
            publisher=self.log,
        )

    def _index(self, store: Store, index: ChunkIndex, write: Callable[[ChunkBatch], Awaitable[None]]) -> IndexStage:
        return IndexStage(
            store=store,
            name=f"index-{store}",
            index=index,
            looks=Looks(index),
            write=write,
            publisher=self.log,
            generation=GENERATION,
        )

    async def _write_words(self, batch: ChunkBatch) -> None:
        await self.words.upsert(rows(batch))

    async def _write_vectors(self, batch: ChunkBatch) -> None:
        assert isinstance(batch, ChunksEmbedded)
        await self.meaning.upsert(rows(batch), vectors_of(batch))

    async def store(self, text: str) -> BlobRef:
        return await self.bench.blobs.write(TENANT, pieces_of(text.encode()))

    @property
    def reports(self) -> list[tuple[Store, int, ProgressOutcome, Lane]]:
        said = self.log.events(Topic.DOCUMENTS_PROGRESSED)
        return [(each.store, each.revision, each.outcome, each.lane) for each in said]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_revision_goes_from_the_log_to_one_store_and_no_topic_sees_its_chunks(bench: Bench) -> None:
    event = changed(content=await bench.store("some words"), revision=7)
    await bench.keywords.handle(event, bench.delivery)
    assert dict(await bench.words.revisions(TENANT, DOCUMENT)) == {7: 1}
    assert dict(await bench.meaning.revisions(TENANT, DOCUMENT)) == {}
    assert bench.reports == [(Store.KEYWORDS, 7, ProgressOutcome.COMPLETE, Lane.BACKFILL)]
    assert {each.topic for each in bench.log.emissions} == {Topic.DOCUMENTS_PROGRESSED}
    assert bench.bench.sent == []


async def test_vectors_come_from_the_cache(bench: Bench) -> None:
    event = changed(content=await bench.store("some words"), revision=7)
    await bench.both.handle(event, bench.delivery)
    embedded = list(bench.embedder.texts)
    await bench.both.handle(event, bench.delivery)
    assert embedded
    assert bench.embedder.texts == embedded
    assert len(bench.bench.pool.parsed) == 1
    assert dict(await bench.meaning.revisions(TENANT, DOCUMENT)) == {7: 1}


async def test_a_deletion_takes_rows_out_and_a_failure_is_reported(bench: Bench) -> None:
    await bench.keywords.handle(changed(content=await bench.store("words"), revision=7), bench.delivery)
    await bench.keywords.handle(deleted(revision=8), bench.delivery)
    assert dict(await bench.words.revisions(TENANT, DOCUMENT)) == {}
    broken = changed(content=await bench.store(" "), revision=9)
    with pytest.raises(PoisonError):
        await bench.keywords.handle(broken, bench.delivery)
    failure = Failure(stage="rebuild-keywords", error="EmptyDocumentError", reason="no text")
    await bench.keywords.give_up(broken, bench.delivery, failure)
    assert [outcome for _, _, outcome, _ in bench.reports] == [
        ProgressOutcome.COMPLETE,
        ProgressOutcome.GONE,
        ProgressOutcome.FAILED,
    ]


async def test_documents_side_by_side_do_not_mix(bench: Bench) -> None:
    names = [f"page-{number}.md" for number in range(8)]
    events = [changed(name, content=await bench.store(f"text of {name}")) for name in names]
    await asyncio.gather(*(bench.both.handle(event, bench.delivery) for event in events))
    for name in names:
        assert dict(await bench.meaning.revisions(TENANT, document_id(TENANT, SOURCE, name))) == {7: 1}


@pytest.mark.parametrize("store", ["keywords", "both"])
async def test_a_heavy_revision_is_read_at_once_and_deferred_to_nobody(bench: Bench, store: str) -> None:
    event = changed(content=await bench.store("words" + " " * 2_000_000), revision=7)
    rebuild: RebuildStage = getattr(bench, store)
    assert await rebuild.handle(event, bench.delivery) is Outcome.DONE
    assert bench.bench.heavy_pool.parsed
    assert bench.bench.pool.parsed == []
    assert {each.topic for each in bench.log.emissions} == {Topic.DOCUMENTS_PROGRESSED}
    assert bench.bench.publisher.emissions == []
