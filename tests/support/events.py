"""Builders of example events: valid ones, of which a test names only what it is about."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np

from schemas.events import (
    Access,
    BlobRef,
    Chunk,
    ChunksEmbedded,
    ChunksPrepared,
    Clause,
    DocumentChanged,
    DocumentProgressed,
    FeedbackReceived,
    QueryExecuted,
    embedding_text,
)
from schemas.events.base import Lane, Position, Store
from schemas.events.chunks import ChunkKind
from schemas.events.documents import DocumentOp, ProgressOutcome, Trail
from schemas.events.queries import FeedbackType, QueryKind, RetrievedPassage
from schemas.ids import (
    EVERYONE,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    Revision,
    SourceId,
    TenantId,
    document_id,
)

TENANT = TenantId("acme")
SOURCE = SourceId("handbook")
GENERATION = GenerationName("g1")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HANDBOOK = document_id(TENANT, SOURCE, "handbook.md")
READERS = Access(clauses=(Clause(principals=(EVERYONE,)),))


def blob_ref(content: bytes) -> BlobRef:
    """Return the reference of a content."""
    return BlobRef(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def changed(external_id: str = "handbook.md", *, revision: int = 7, **fields: Any) -> DocumentChanged:
    """A document's state in the log."""
    event = DocumentChanged(
        event_id=uuid4(),
        tenant_id=TENANT,
        occurred_at=NOON,
        observed_at=NOON,
        document_id=document_id(TENANT, SOURCE, external_id),
        knowledge_base=KnowledgeBaseId("company"),
        source=SOURCE,
        external_id=external_id,
        revision=Revision(revision),
        source_version=None,
        op=DocumentOp.UPSERTED,
        lane=Lane.LIVE,
        title="Handbook",
        url=None,
        media_type="text/markdown",
        language=None,
        content=blob_ref(b"# Handbook"),
        access=READERS,
        attributes={},
        links=(),
        classification=None,
        retain_until=None,
        holds=(),
        region=None,
        admitted_at=NOON,
        directory_position=0,
        submitted=position(topic="rag.documents.submitted"),
    )
    return replace(event, **fields)


def deleted(external_id: str = "handbook.md", *, revision: int = 8) -> DocumentChanged:
    """A deletion in the log."""
    return changed(external_id, revision=revision, op=DocumentOp.DELETED, content=None, title="")


def position(*, topic: str = "rag.documents.changed", partition: int = 0, offset: int = 0) -> Position:
    """A place in Kafka."""
    return Position(topic=topic, partition=partition, offset=offset)


def trail() -> Trail:
    """Where a revision came from."""
    return Trail(
        submitted=position(topic="rag.documents.submitted"),
        changed=position(),
        submission_occurred_at=NOON,
        submission_observed_at=NOON,
        admitted_at=NOON,
        prepared_at=NOON,
    )


def chunk(ordinal: int, text: str | None = None) -> Chunk:
    """A passage; its text names its ordinal unless given."""
    words = text if text is not None else f"passage {ordinal}"
    return Chunk(
        ordinal=ordinal,
        text=words,
        kind=ChunkKind.TEXT,
        section=("Handbook",),
        page=None,
        start=ordinal * 100,
        end=ordinal * 100 + len(words),
        parent_start=0,
        parent_end=10_000,
        text_hash=hashlib.sha256(embedding_text("Handbook", ("Handbook",), words).encode()).hexdigest(),
    )


def prepared(external_id: str = "handbook.md", *, revision: int = 7, chunks: int = 2, **fields: Any) -> ChunksPrepared:
    """The only batch of a revision, unless `batch`, `last` and `total` say otherwise."""
    event = ChunksPrepared(
        event_id=uuid4(),
        tenant_id=TENANT,
        occurred_at=NOON,
        observed_at=NOON,
        document_id=document_id(TENANT, SOURCE, external_id),
        revision=Revision(revision),
        generation=GENERATION,
        knowledge_base=KnowledgeBaseId("company"),
        source=SOURCE,
        external_id=external_id,
        op=DocumentOp.UPSERTED,
        lane=Lane.LIVE,
        title="Handbook",
        url=None,
        media_type="text/markdown",
        language=None,
        access=READERS,
        attributes={},
        content_title="Handbook",
        canonical=blob_ref(b"canonical"),
        batch=0,
        last=True,
        total=chunks,
        failed_stage=None,
        failed_error=None,
        failed_reason=None,
        trail=trail(),
        chunks=tuple(chunk(each) for each in range(chunks)),
    )
    return replace(event, **fields)


def embedded(batch: ChunksPrepared, *, dimension: int = 4) -> ChunksEmbedded:
    """The same batch with a unit vector for every chunk."""
    vector = np.eye(1, dimension, dtype="<f4")[0].tobytes()
    same = {name: getattr(batch, name) for name in batch.__dataclass_fields__ if name != "topic"}
    return ChunksEmbedded(
        **same,
        vectors=(vector,) * len(batch.chunks),
        dimension=dimension,
        embedded=len(batch.chunks),
        reused=0,
    )


def progressed(
    store: Store,
    external_id: str = "handbook.md",
    *,
    revision: int = 7,
    outcome: ProgressOutcome = ProgressOutcome.COMPLETE,
    **fields: Any,
) -> DocumentProgressed:
    """A store's report."""
    event = DocumentProgressed(
        event_id=uuid4(),
        tenant_id=TENANT,
        occurred_at=NOON,
        observed_at=NOON,
        document_id=document_id(TENANT, SOURCE, external_id),
        revision=Revision(revision),
        generation=GENERATION,
        store=store,
        outcome=outcome,
        lane=Lane.LIVE,
        rows=2,
        embedded=1,
        reused=1,
        stage=None,
        error=None,
        reason=None,
        trail=replace(trail(), indexed_at=NOON.replace(second=1)),
    )
    return replace(event, **fields)


def feedback(query_id: str = "q1", *, rating: int = 5, type_: FeedbackType = FeedbackType.HELPFUL) -> FeedbackReceived:
    """A caller's word on an answer."""
    return FeedbackReceived(
        event_id=uuid4(),
        tenant_id=TENANT,
        occurred_at=NOON,
        observed_at=NOON,
        query_id=query_id,
        user=Principal("user:ann"),
        rating=rating,
        type=type_,
        comment=None,
    )


def executed(query_id: str = "q1") -> QueryExecuted:
    """A query that found two passages of one document."""
    passages = tuple(
        RetrievedPassage(document_id=HANDBOOK, revision=Revision(7), ordinal=ordinal, score=0.5) for ordinal in (0, 1)
    )
    return QueryExecuted(
        event_id=uuid4(),
        tenant_id=TENANT,
        occurred_at=NOON,
        observed_at=NOON,
        query_id=query_id,
        kind=QueryKind.ANSWER,
        user=Principal("user:ann"),
        knowledge_bases=(),
        generation=GENERATION,
        mode="hybrid",
        question="where?",
        passages=passages,
        answered=True,
        cache_hit=False,
        degraded=(),
        prompt_tokens=10,
        completion_tokens=5,
        timings_ms={"total": 12.0},
    )
