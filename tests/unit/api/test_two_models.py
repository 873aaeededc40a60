"""Two generations with different embedding models: a question is asked in the space of the rows it is compared to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from headwater.errors import FatalError, RetryableError
from headwater.generations.models import need_of
from headwater.generations.records import first_generation, known_generations, new_generation
from headwater.ports.models import Embedder, EmbeddingNeed
from headwater.settings import Settings, TritonSettings
from query_api.models import check_embedder, open_models
from query_api.runtime import Models, Runtime, Stores
from schemas.events.base import Lane, Store
from schemas.events.directory import DirectoryKind, Generation, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName
from tests.support.answering import AnsweringApi, FailingKeywords, FailingVectors, answering_api
from tests.support.api import ACME
from tests.support.asking import LEAVE, post
from tests.support.models import FakeEmbedder

G1, G2 = GenerationName("g1"), GenerationName("g2")
FIRST = first_generation(G1)
SECOND = new_generation(
    G2, policy="structure-1", created_at=datetime(2026, 3, 1, tzinfo=UTC), model="small", dimension=12
)


@dataclass
class TwoGenerations:
    """Implements Generations and Embedders: each generation has stores, and a model with a dimension, of its own."""

    stored: dict[GenerationName, Stores]
    embedders: dict[EmbeddingNeed, FakeEmbedder] = field(
        default_factory=lambda: {need_of(each): FakeEmbedder(dimension=each.dimension) for each in (FIRST, SECOND)}
    )

    async def stores(self, generation: GenerationName) -> Stores:
        return self.stored[generation]

    def of(self, need: EmbeddingNeed) -> Embedder:
        return self.embedders[need]

    def asked(self) -> dict[int, list[str]]:
        """Return what was embedded by each dimension since the last look."""
        found = {each.model.dimension: list(each.texts) for each in self.embedders.values()}
        for each in self.embedders.values():
            each.calls.clear()
        return found


@pytest.fixture
async def both() -> AsyncIterator[tuple[AnsweringApi, TwoGenerations, dict[str, str]]]:
    """A document in both generations, each row with a vector of its generation's length."""
    async with answering_api() as replica:
        stored = {
            G1: Stores(vectors=replica.vectors, keywords=replica.keywords),
            G2: Stores(vectors=FailingVectors(), keywords=FailingKeywords()),
        }
        generations = TwoGenerations(stored)
        models = Models(embedders=generations, reranker=replica.reranker, generator=replica.generator)
        replica.api.app.state.runtime = replace(replica.api.runtime, generations=generations, models=models)
        document = await replica.publish("leave.md", LEAVE)
        rows = list(replica.vectors.rows.values())
        for record, stores in ((FIRST, stored[G1]), (SECOND, stored[G2])):
            embedder = generations.of(need_of(record))
            vectors = await embedder.embed([row.text for row in rows], lane=Lane.LIVE)
            await stores.vectors.upsert(rows, vectors)
            await stores.keywords.upsert(rows)
        head = replica.api.heads.documents[ACME, document]
        complete = {(name, store): head.revision for name in (G1, G2) for store in Store}
        replica.api.heads.documents[ACME, document] = replace(head, complete=complete)
        generations.asked()
        yield replica, generations, await replica.api.key("ada", scopes=("read", "system"))


async def put(replica: AnsweringApi, record: Generation) -> None:
    await replica.api.put(DirectoryKind.GENERATION, record.name, record, tenant=SYSTEM_TENANT)
    serving = [
        each.record for each in known_generations(replica.api.directory) if each.record.state is GenerationState.SERVING
    ]
    replica.api.directory.generation = max(serving, key=lambda each: each.switched).name


async def test_questions_follow_the_switch_and_the_way_back(
    both: tuple[AnsweringApi, TwoGenerations, dict[str, str]],
) -> None:
    replica, generations, ada = both

    async def ask(**body: Any) -> tuple[str, list[str], int]:
        found = await post(replica, "/search", ada, query="annual leave", mode="vector", **body)
        return found["meta"]["generation"], found["meta"]["degraded"], len(found["hits"])

    await put(replica, FIRST)
    await put(replica, SECOND)
    assert await ask() == ("g1", [], 1)
    assert generations.asked() == {384: ["annual leave"], 12: []}

    assert await ask(generation="g2") == ("g2", [], 1), "a comparison asks the one that does not serve"
    assert generations.asked() == {384: [], 12: ["annual leave"]}

    await put(replica, replace(SECOND, state=GenerationState.SERVING, switched=2))
    assert await ask() == ("g2", [], 1)
    assert generations.asked() == {384: [], 12: ["annual leave"]}

    await put(replica, replace(FIRST, switched=3))
    assert await ask() == ("g1", [], 1)
    assert generations.asked() == {384: ["annual leave"], 12: []}


class Opened:
    """Stands for TritonEmbedder: notes what was opened for which need. `error` is raised instead."""

    def __init__(self, error: Exception | None = None) -> None:
        self.needs: list[EmbeddingNeed] = []
        self.error = error

    @asynccontextmanager
    async def open(self, _settings: TritonSettings, need: EmbeddingNeed) -> AsyncIterator[Embedder]:
        self.needs.append(need)
        if self.error is not None:
            raise self.error
        yield FakeEmbedder(dimension=need.dimension)


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Opened:
    opened = Opened()
    monkeypatch.setattr("query_api.models.TritonEmbedder", opened)
    return opened


SETTINGS = Settings(triton=TritonSettings(url="127.0.0.1:1", request_timeout_s=2))


async def test_each_model_is_opened_once_when_it_is_first_asked(triton: Opened) -> None:
    async with open_models(SETTINGS) as models:
        for record in (SECOND, FIRST, SECOND):
            vectors = await models.embedders.of(need_of(record)).embed(["leave"], lane=Lane.LIVE)
            assert vectors.shape == (1, record.dimension)
    assert triton.needs == [need_of(SECOND), need_of(FIRST)]


def runtime_of(replica: AnsweringApi, models: Models) -> Runtime:
    serving = SimpleNamespace(
        settings=SETTINGS, directory=replica.api.directory, models=models, now=lambda: datetime.now(UTC)
    )
    return cast(Runtime, serving)


async def test_a_replica_starts_with_the_model_of_the_generation_that_serves(
    replica: AnsweringApi, triton: Opened
) -> None:
    async with open_models(SETTINGS) as models:
        runtime = runtime_of(replica, models)
        await check_embedder(runtime)
        await put(replica, FIRST)
        await put(replica, replace(SECOND, state=GenerationState.SERVING, switched=2))
        await check_embedder(runtime)
        assert triton.needs == [need_of(FIRST), need_of(SECOND)]

        triton.error = FatalError("model small: unknown model")
        triton.needs.clear()
        await put(replica, replace(SECOND, state=GenerationState.SERVING, switched=2, dimension=13))
        with pytest.raises(FatalError, match="small"):
            await check_embedder(runtime)
        triton.error = RetryableError("away")
        with structlog.testing.capture_logs() as logs:
            await check_embedder(runtime)
        assert [(each["event"], each["dependency"]) for each in logs] == [("model_away", "embedder")]
