"""An installation whose log and projections agree, filled without stages: what audits are tested and measured on."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from headwater.access.clauses import row_readers
from headwater.audit.recording import Verification
from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing
from headwater.clients.kafka.topics import create_topics, desired_topics
from headwater.clients.milvus import MilvusVectorIndex
from headwater.ports.rows import ChunkRow
from headwater.retry import RetryPolicy, retry
from headwater.settings import Settings
from schemas.codec import encode
from schemas.events.base import Position, Store
from schemas.events.documents import (
    Access,
    Clause,
    DocumentChanged,
    DocumentOp,
    DocumentProgressed,
    ProgressOutcome,
)
from schemas.ids import Principal, document_key, progress_key
from schemas.topics import Topic
from tests.support.events import changed, progressed
from tests.support.installations import installed_stores
from tests.support.rows import chunk_row
from tests.support.stack import RunningStack

LONG_AGO = timedelta(hours=1)
_BATCH = 60
_PATIENCE = RetryPolicy(attempts=5, first_delay_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A log and its projections, open for tests to write to: rightly, or wrongly."""

    settings: Settings
    producer: EventProducer
    vectors: MilvusVectorIndex
    keywords: ElasticsearchKeywordIndex
    documents: ElasticsearchDocuments

    async def log(self, states: Iterable[DocumentChanged], *, chunks: int) -> None:
        """Append documents to the log, and both stores' reports that they are complete, or gone."""
        remaining = iter(states)
        while batch := list(islice(remaining, _BATCH)):
            records = [record for state in batch for record in self._records(state, chunks)]
            await self.producer.send_many(records)

    async def write(self, states: Iterable[DocumentChanged], *, chunks: int) -> None:
        """Write the rows of documents to both stores, and their states to the read model."""
        remaining = iter(states)
        while batch := list(islice(remaining, _BATCH)):
            await retry(partial(self._write, batch, chunks), policy=_PATIENCE)  # a busy machine: writes can be repeated

    async def _write(self, batch: Sequence[DocumentChanged], chunks: int) -> None:
        rows = [row for state in batch for row in rows_of_state(state, chunks=chunks)]
        await self.vectors.upsert(rows, some_vectors(len(rows), self.settings.milvus.dimension))
        await self.keywords.upsert(rows)
        await self.documents.record_states([(state, Position(topic="log", partition=0, offset=0)) for state in batch])

    async def publish(self, *states: DocumentChanged, chunks: int = 3) -> None:
        """Do both: afterwards log and projections agree."""
        await self.log(states, chunks=chunks)
        await self.write([state for state in states if state.op is DocumentOp.UPSERTED], chunks=chunks)

    def _records(self, state: DocumentChanged, chunks: int) -> Iterator[Outgoing]:
        key = document_key(state.tenant_id, state.document_id)
        yield Outgoing(topic=topic_of(self.settings, Topic.DOCUMENTS_CHANGED), key=key, value=encode(state))
        topic, generation = topic_of(self.settings, Topic.DOCUMENTS_PROGRESSED), self.settings.generation
        for store in Store:
            report = reported(state, store, rows=chunks)
            yield Outgoing(
                topic=topic,
                key=progress_key(state.tenant_id, state.document_id, generation, store),
                partition_key=key,
                value=encode(replace(report, generation=generation)),
            )


def never_behind(verification: Verification) -> Verification:
    """Return it without the question for the stages' lag: here no stage runs, and what it would read grows old."""

    async def no() -> bool:
        return False

    return replace(verification, auditor=replace(verification.auditor, behind=no))


def state_of(name: str, *, revision: int = 7, readers: Sequence[str] = ("everyone",)) -> DocumentChanged:
    """A document that was admitted long ago."""
    access = Access(clauses=(Clause(principals=tuple(map(Principal, readers))),))
    return changed(name, revision=revision, access=access, admitted_at=datetime.now(UTC) - LONG_AGO)


def deleted_state(name: str, *, revision: int = 8) -> DocumentChanged:
    """A document that was deleted long ago."""
    return replace(state_of(name, revision=revision), op=DocumentOp.DELETED, access=Access(), content=None, title="")


def reported(state: DocumentChanged, store: Store, *, rows: int) -> DocumentProgressed:
    """A store's report that a state is complete in it, or gone."""
    gone = state.op is DocumentOp.DELETED
    return progressed(
        store,
        state.external_id,
        revision=state.revision,
        outcome=ProgressOutcome.GONE if gone else ProgressOutcome.COMPLETE,
        rows=0 if gone else rows,
        tenant_id=state.tenant_id,
        document_id=state.document_id,
    )


def rows_of_state(state: DocumentChanged, *, chunks: int, ordinals: Iterable[int] | None = None) -> list[ChunkRow]:
    """The rows of a state, or those with these ordinals."""
    readers, readers_second = row_readers(state.access)
    return [
        chunk_row(
            tenant=state.tenant_id,
            document=state.document_id,
            revision=state.revision,
            ordinal=ordinal,
            total=chunks,
            readers=readers,
            readers_second=readers_second,
        )
        for ordinal in (range(chunks) if ordinals is None else ordinals)
    ]


def some_vectors(count: int, dimension: int) -> NDArray[np.float32]:
    """Unit vectors that nobody searches by."""
    raw = np.random.default_rng(count).normal(size=(count, dimension))
    unit: NDArray[np.float64] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32)


@asynccontextmanager
async def audited_world(stack: RunningStack, *, dimension: int, **audit: float) -> AsyncIterator[World]:
    """Make topics, indices and a collection of its own; remove them at the end."""
    async with AsyncExitStack() as opened:
        installed = await opened.enter_async_context(installed_stores(stack, dimension=dimension))
        kafka = installed.kafka.model_copy(update={"topic_prefix": f"t{uuid4().hex[:8]}.", "partitions": 2})
        settings = installed.model_copy(
            update={
                "kafka": kafka,
                # What a test has just written must be judged at once.
                "audit": installed.audit.model_copy(
                    update={"share": 1.0, "grace_s": 60.0, "sweep_leeway_s": 0.001} | audit
                ),
                "stages": installed.stages.model_copy(update={"removal_grace_s": 0.001}),
            }
        )
        await create_topics(settings)
        opened.push_async_callback(KafkaAdmin(settings.kafka).delete, [each.name for each in desired_topics(settings)])
        yield World(
            settings=settings,
            producer=await opened.enter_async_context(EventProducer.open(settings, client_id="test")),
            vectors=await opened.enter_async_context(MilvusVectorIndex.open(settings.milvus, settings.generation)),
            keywords=await opened.enter_async_context(
                ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation)
            ),
            documents=await opened.enter_async_context(ElasticsearchDocuments.open(settings.elasticsearch)),
        )
