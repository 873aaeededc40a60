"""The sweeper on the real broker and both real stores, killed and started again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.milvus import MilvusVectorIndex
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.events.base import Store
from schemas.events.documents import DocumentProgressed
from schemas.ids import Revision, document_key, progress_key
from schemas.topics import Topic
from streams.sweep.agent import sweep
from tests.support.golden import golden
from tests.support.installations import installed_stores
from tests.support.polling import until
from tests.support.rows import ACME, DIMENSION, HANDBOOK, rows_of, vectors_for
from tests.support.stack import RunningStack

pytestmark = pytest.mark.real


@pytest.fixture
async def own(stack: RunningStack) -> AsyncIterator[Settings]:
    """Stores and a topic of this test's own, and a grace of half a second."""
    async with installed_stores(stack, dimension=DIMENSION) as installed:
        settings = installed.model_copy(
            update={
                "kafka": installed.kafka.model_copy(update={"topic_prefix": f"t{uuid4().hex[:8]}."}),
                "stages": installed.stages.model_copy(update={"removal_grace_s": 0.5}),
            }
        )
        admin = KafkaAdmin(settings.kafka)
        topic = topic_of(settings, Topic.DOCUMENTS_PROGRESSED)
        await admin.create(topic, partitions=2, replication_factor=1, config={})
        yield settings
        await admin.delete([topic])


async def test_a_sweeper_that_was_stopped_goes_on_where_it_was(own: Settings) -> None:
    async with (
        MilvusVectorIndex.open(own.milvus, own.generation) as vectors,
        ElasticsearchKeywordIndex.open(own.elasticsearch, own.generation) as keywords,
        EventProducer.open(own, client_id="test") as producer,
    ):
        indices = (vectors, keywords)
        for revision in (7, 8, 9):
            rows = rows_of(HANDBOOK, revision=revision, chunks=3)
            await vectors.upsert(rows, vectors_for(3))
            await keywords.upsert(rows)

        async def revisions() -> list[dict[Revision, int]]:
            return [dict(await index.revisions(ACME, HANDBOOK)) for index in indices]

        async def swept_to(revision: int) -> bool:
            return all(min(found) == revision for found in await revisions())

        sweeping = asyncio.create_task(sweep(own, Health()))
        await _report(producer, own, revision=8)
        assert await until(lambda: swept_to(8), within_s=60)
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await _report(producer, own, revision=9)
        assert min((await revisions())[0]) == 8

        sweeping = asyncio.create_task(sweep(own, Health()))
        assert await until(lambda: swept_to(9), within_s=60)
        assert await revisions() == [{Revision(9): 3}] * 2
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping


async def _report(producer: EventProducer, settings: Settings, *, revision: int) -> None:
    for store in Store:
        event = replace(
            golden(DocumentProgressed, "complete"),
            tenant_id=ACME,
            document_id=HANDBOOK,
            revision=Revision(revision),
            store=store,
            generation=settings.generation,
            occurred_at=datetime.now(UTC),
        )
        await producer.send(
            Topic.DOCUMENTS_PROGRESSED,
            event,
            key=progress_key(ACME, HANDBOOK, settings.generation, store),
            partition_key=document_key(ACME, HANDBOOK),
        )
