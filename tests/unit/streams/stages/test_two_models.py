"""Two generations with different models, from chunks to rows: vectors of each in its own index, caches never mixed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import headwater.clients.triton.embedder
import streams.embed.agent
import streams.prepare.agent
from headwater.generations.records import first_generation, new_generation
from headwater.ports.models import EmbeddingNeed
from headwater.rows import rows
from headwater.settings import Settings, TritonSettings
from schemas.events import ChunkBatch, ChunksEmbedded
from schemas.events.base import Store
from schemas.events.directory import Generation
from schemas.events.documents import ProgressOutcome
from schemas.ids import GenerationName, document_id
from schemas.topics import Topic
from streams.embed.agent import EMBED, EmbedStage
from streams.harness.stage import Resources
from streams.index_vectors.step import vectors_of
from streams.indexing.looks import Looks
from streams.indexing.stage import IndexStage
from streams.prepare.agent import PREPARE, PrepareStage
from tests.support.cache import FakeCache
from tests.support.events import SOURCE, TENANT, prepared
from tests.support.models import FakeEmbedder
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.stores import FakeVectorIndex

G1, G2 = GenerationName("g1"), GenerationName("g2")
SECOND = new_generation(
    G2,
    policy="structure-1,max_tokens=128,max_context_tokens=48,min_tokens=32",
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    model="small",
    dimension=6,
)
DOCUMENT = document_id(TENANT, SOURCE, "handbook.md")


class Way:
    """One generation's embedder and index, with a cache that all generations share."""

    def __init__(self, generation: GenerationName, *, model: str, dimension: int, cache: FakeCache) -> None:
        self.generation = generation
        self.embedder, self.index, self.sent = FakeEmbedder(dimension=dimension), FakeVectorIndex(), FakePublisher()
        self.embedder.model = replace(self.embedder.model, name=model)
        self.embed = EmbedStage(embedder=self.embedder, cache=cache, publisher=self.sent, generation=generation)
        self.write = IndexStage(
            store=Store.VECTORS,
            name="index-vectors",
            index=self.index,
            looks=Looks(self.index),
            write=self._write,
            publisher=self.sent,
            generation=generation,
        )

    async def _write(self, batch: ChunkBatch) -> None:
        assert isinstance(batch, ChunksEmbedded)
        await self.index.upsert(rows(batch), vectors_of(batch))

    async def take(self) -> ChunksEmbedded:
        """Bring one document of three chunks to the index; return what the embedder sent."""
        delivery = FakeDelivery().make()
        await self.embed.handle(prepared(chunks=3, generation=self.generation), delivery)
        batch: ChunksEmbedded = self.sent.events(Topic.CHUNKS_EMBEDDED)[-1]
        await self.write.handle(batch, delivery)
        return batch

    @property
    def lengths(self) -> set[int]:
        return {len(vector) for vector in self.index.vectors.values()}


async def test_each_generation_has_rows_of_its_own_length_and_vectors_of_its_own_model() -> None:
    cache = FakeCache()
    first = Way(G1, model="large", dimension=8, cache=cache)
    second = Way(G2, model="small", dimension=6, cache=cache)
    one, two = await first.take(), await second.take()
    assert (first.lengths, second.lengths) == ({8}, {6})
    assert [(each.dimension, each.embedded, each.reused, each.trail.model) for each in (one, two)] == [
        (8, 3, 0, "large@1/fp32"),
        (6, 3, 0, "small@1/fp32"),
    ], "no text of one model is known to the other"
    again = [await way.take() for way in (first, second)]
    assert [(each.embedded, each.reused) for each in again] == [(0, 3), (0, 3)]
    assert [len(way.embedder.texts) for way in (first, second)] == [3, 3]
    (done, *_) = second.sent.events(Topic.DOCUMENTS_PROGRESSED)
    assert (done.generation, done.outcome, done.rows) == (G2, ProgressOutcome.COMPLETE, 3)


async def test_two_models_of_one_length_share_no_vector() -> None:
    cache = FakeCache()
    first = Way(G1, model="large", dimension=8, cache=cache)
    second = Way(G2, model="other", dimension=8, cache=cache)
    await first.take()
    assert ((await second.take()).embedded, len(second.embedder.texts)) == (3, 3)


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Resources:
    """A worker of the second generation; clients are opened on paper."""

    async def own_generation(settings: Settings) -> Generation:
        return {G1: first_generation(G1), G2: SECOND}[settings.generation]

    @asynccontextmanager
    async def open_cache(_: object) -> AsyncIterator[FakeCache]:
        yield FakeCache()

    for agent in (streams.embed.agent, streams.prepare.agent):
        monkeypatch.setattr(agent, "own_generation", own_generation)
        monkeypatch.setattr(agent, "RedisCache", SimpleNamespace(open=open_cache))
    settings = Settings.model_validate(
        {
            "generation": G2,
            "stages": {"datadir": tmp_path / "workers"},
            "blobs": {"url": f"file:{tmp_path / 'blobs'}"},
            "heads": {"folder": tmp_path / "heads"},
            "triton": {"tokenizer_file": tmp_path / "a.json", "tokenizer_pattern": str(tmp_path / "{model}.json")},
        }
    )
    return cast(Resources, SimpleNamespace(settings=settings, publisher=FakePublisher(), progress=None))


async def test_a_worker_asks_for_the_model_of_its_generation(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[EmbeddingNeed] = []

    @asynccontextmanager
    async def open_embedder(_settings: TritonSettings, need: EmbeddingNeed) -> AsyncIterator[FakeEmbedder]:
        asked.append(need)
        yield FakeEmbedder(dimension=need.dimension)

    triton = SimpleNamespace(open=open_embedder)
    monkeypatch.setattr(headwater.clients.triton.embedder, "TritonEmbedder", triton)
    async with EMBED.open(resources) as stage:
        assert isinstance(stage, EmbedStage)
    assert asked == [EmbeddingNeed(model="small", dimension=6, max_tokens=128)]


async def test_a_worker_measures_chunks_with_the_tokenizer_of_its_model(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[dict[str, Any]] = []

    @asynccontextmanager
    async def open_pool(**options: Any) -> AsyncIterator[None]:
        opened.append(options)
        yield None

    monkeypatch.setattr(streams.prepare.agent, "open_pool", open_pool)
    (tmp_path / "small.json").write_text("the small model's")
    (tmp_path / "a.json").write_text("the built-in one's")
    marks = []
    for generation in (G1, G2):
        settings = resources.settings.model_copy(update={"generation": generation})
        of = cast(Resources, SimpleNamespace(settings=settings, publisher=resources.publisher, progress=None))
        async with PREPARE.open(of) as stage:
            assert isinstance(stage, PrepareStage)
            marks.append((stage.tokenizer, stage.policy.max_tokens))
    assert [each["tokenizer_file"].name for each in opened] == ["a.json", "a.json", "small.json", "small.json"]
    assert marks[0][0] != marks[1][0], "texts that were cut for one tokenizer are not taken for the other's"
    assert [tokens for _, tokens in marks] == [256, 128]
