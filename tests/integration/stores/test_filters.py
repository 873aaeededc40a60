"""Random rows, callers and filters full of hostile text: both real stores select what the filter means, no row more."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.milvus import MilvusVectorIndex
from headwater.ports.rows import ChunkRow, KeywordIndex, Scope, VectorIndex
from tests.support.filters import hostile_rows, scopes
from tests.support.installations import installed_stores
from tests.support.rows import DIMENSION, vectors_for
from tests.support.stack import RunningStack
from tests.support.stores import FakeKeywordIndex

ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Trio:
    """The same rows in both stores and in memory."""

    runner: asyncio.Runner
    rows: list[ChunkRow]
    vectors: VectorIndex
    keywords: KeywordIndex
    memory: FakeKeywordIndex


@pytest.fixture(scope="module")
def trio(stack: RunningStack) -> Iterator[Trio]:
    with asyncio.Runner() as runner:
        resources = AsyncExitStack()
        try:
            yield runner.run(_filled(stack, resources, runner))
        finally:
            runner.run(resources.aclose())


async def _filled(stack: RunningStack, resources: AsyncExitStack, runner: asyncio.Runner) -> Trio:
    own = await resources.enter_async_context(installed_stores(stack, dimension=DIMENSION))
    vectors = await resources.enter_async_context(MilvusVectorIndex.open(own.milvus, own.generation))
    keywords = await resources.enter_async_context(ElasticsearchKeywordIndex.open(own.elasticsearch, own.generation))
    rows, memory = hostile_rows(ROWS), FakeKeywordIndex()
    await vectors.upsert(rows, vectors_for(ROWS))
    await keywords.upsert(rows)
    await memory.upsert(rows)
    return Trio(runner=runner, rows=rows, vectors=vectors, keywords=keywords, memory=memory)


@pytest.mark.real
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes)
def test_both_stores_select_exactly_what_a_filter_means(trio: Trio, scope: Scope) -> None:
    ids = [row.row_id for row in trio.rows]

    async def compare() -> None:
        wanted = {row.row_id for row in await trio.memory.fetch(scope, ids)}
        near = await trio.vectors.search(scope, vectors_for(1)[0], limit=ROWS)
        assert {hit.row.row_id for hit in near} == wanted
        assert {row.row_id for row in await trio.vectors.fetch(scope, ids)} == wanted
        matching = await trio.keywords.search(scope, "ferries", limit=ROWS)
        assert {hit.row.row_id for hit in matching} == wanted
        assert {row.row_id for row in await trio.keywords.fetch(scope, ids)} == wanted

    trio.runner.run(compare())
