"""Migrations on the real stores: repeatable, concurrent, reversible, and careful."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.elasticsearch.connection import IndexMissingError
from headwater.clients.elasticsearch.connection import open_client as open_elasticsearch
from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.milvus import MilvusVectorIndex
from headwater.clients.milvus.connection import CollectionMissingError
from headwater.clients.milvus.connection import open_client as open_milvus
from headwater.errors import FatalError
from headwater.migrations import Migration, MigrationState, Migrator, open_migrator
from headwater.migrations.model import Findings, Target
from headwater.migrations.runner import ForceNeededError
from headwater.settings import Settings
from schemas.ids import GenerationName, Revision
from tests.support.installations import own_settings, remove_records
from tests.support.rows import ACME, DIMENSION, HANDBOOK, chunk_row, rows_of, scope_of, vectors_for
from tests.support.stack import RunningStack

pytestmark = pytest.mark.real


@pytest.fixture
async def own(stack: RunningStack) -> AsyncIterator[Settings]:
    settings = own_settings(stack, dimension=DIMENSION)
    yield settings
    for generation in ("g1", "g2"):
        async with open_migrator(settings.model_copy(update={"generation": GenerationName(generation)})) as migrator:
            await migrator.rollback(to=0, force=True)
    await remove_records(settings)


async def states(migrator: Migrator) -> list[MigrationState]:
    return [planned.state for planned in await migrator.plan()]


async def test_a_life_from_plan_to_rollback(own: Settings) -> None:
    async with open_migrator(own) as first, open_migrator(own) as second:
        assert await states(first) == [MigrationState.PENDING] * 7
        await asyncio.gather(first.apply(), second.apply())
        assert await states(second) == [MigrationState.APPLIED] * 7
        assert list(await first.apply()) == []

        with pytest.raises(ForceNeededError, match="--force"):
            await first.rollback(to=2)
        assert await states(first) == [MigrationState.APPLIED] * 7
        assert [planned.number for planned in await first.rollback(to=2, force=True)] == [7, 6, 5, 4, 3]
        assert await states(first) == [MigrationState.APPLIED] * 2 + [MigrationState.PENDING] * 5
        assert [planned.number for planned in await first.apply()] == [3, 4, 5, 6, 7]


async def test_one_that_rewrites_data_says_so_and_needs_force(own: Settings) -> None:
    ran: list[str] = []

    async def note(target: Target) -> Findings:
        ran.append(target.generation)
        return {}

    async def undo(target: Target) -> None:
        ran.remove(target.generation)

    rewriting = Migration(
        number=900,
        name="reanalyse",
        per_generation=True,
        apply=note,
        revert=undo,
        revert_destroys="nothing of worth",
        apply_rewrites="every keyword row",
    )
    async with open_elasticsearch(own.elasticsearch) as elasticsearch, open_milvus(own.milvus) as milvus:
        target = Target(settings=own, generation=own.generation, elasticsearch=elasticsearch, milvus=milvus)
        migrator = Migrator(target, (rewriting,))
        assert [planned.warning for planned in await migrator.plan()] == ["every keyword row"]
        with pytest.raises(ForceNeededError, match="every keyword row"):
            await migrator.apply()
        assert ran == []
        await migrator.apply(force=True)
        await migrator.apply()
        assert ran == ["g1"]
        await migrator.rollback(to=0, force=True)
        assert ran == []


async def test_generations_live_side_by_side(own: Settings) -> None:
    g2 = own.model_copy(update={"generation": GenerationName("g2")})
    async with open_migrator(own) as first, open_migrator(g2) as second:
        await first.apply()
        assert [planned.number for planned in await second.apply()] == [3, 4, 7]
        async with ElasticsearchKeywordIndex.open(own.elasticsearch, own.generation) as keywords:
            await keywords.upsert([chunk_row()])
            await second.rollback(to=2, force=True)
            assert len(await keywords.search(scope_of(), "ferries", limit=5)) == 1


async def test_a_missing_store_is_fatal_and_never_made_up_on_the_way(own: Settings) -> None:
    async with (
        open_migrator(own) as migrator,
        ElasticsearchKeywordIndex.open(own.elasticsearch, own.generation) as keywords,
        MilvusVectorIndex.open(own.milvus, own.generation) as vectors,
    ):
        await migrator.apply()
        await keywords.upsert([chunk_row()])
        await vectors.upsert([chunk_row()], vectors_for(1))
        await migrator.rollback(to=2, force=True)
        with pytest.raises(IndexMissingError, match="migrate"):
            await keywords.upsert([chunk_row()])
        with pytest.raises(IndexMissingError):
            await keywords.search(scope_of(), "ferries", limit=5)
        with pytest.raises(CollectionMissingError, match="migrate"):
            await vectors.upsert([chunk_row()], vectors_for(1))
        with pytest.raises(CollectionMissingError):
            await vectors.search(scope_of(), vectors_for(1)[0], limit=5)


async def test_another_length_of_vectors_is_refused_clearly(own: Settings) -> None:
    async with open_migrator(own) as migrator:
        await migrator.apply()
        async with open_elasticsearch(own.elasticsearch) as client:
            # As after a crash between the collection and its record: the step runs again on what it made.
            await client.delete(index=f"{own.elasticsearch.index_prefix}-migrations", id="0004-g1", refresh=True)
        longer = own.model_copy(update={"milvus": own.milvus.model_copy(update={"dimension": DIMENSION + 1})})
        async with open_migrator(longer) as mistaken:
            with pytest.raises(FatalError, match="HEADWATER_MILVUS__DIMENSION"):
                await mistaken.apply()
        assert [planned.number for planned in await migrator.apply()] == [4]


async def test_what_was_found_is_on_record(own: Settings) -> None:
    async with open_migrator(own) as migrator:
        await migrator.apply()
    async with open_elasticsearch(own.elasticsearch) as client:
        name = chunks_name(own.elasticsearch, own.generation)
        meta = (await client.indices.get_mapping(index=name))[name]["mappings"]["_meta"]
        record = await client.get(index=f"{own.elasticsearch.index_prefix}-migrations", id="0003-g1")
    assert meta["analyzer"] in {"english", "hunspell", "standard"}
    assert record["_source"]["findings"]["analyzer"] == meta["analyzer"]


async def test_rows_are_seen_by_another_client_at_once(own: Settings) -> None:
    async with (
        open_migrator(own) as migrator,
        MilvusVectorIndex.open(own.milvus, own.generation) as writer,
        MilvusVectorIndex.open(own.milvus, own.generation) as reader,
    ):
        await migrator.apply()
        for revision in range(1, 31):
            await writer.upsert(rows_of(HANDBOOK, revision=revision, chunks=5), vectors_for(5))
            hits = await reader.search(scope_of(), vectors_for(1)[0], limit=5 * revision)
            assert len(hits) == 5 * revision
        assert await writer.remove_older(ACME, HANDBOOK, than=Revision(30)) == 145
        assert len(await reader.search(scope_of(), vectors_for(1)[0], limit=200)) == 5
