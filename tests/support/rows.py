"""Rows and scopes for tests of the stores."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from headwater.ports.rows import AllOf, ChunkRow, Filter, Scope
from schemas.events.chunks import ChunkKind
from schemas.events.documents import AttributeValue
from schemas.ids import EVERYONE, DocumentId, KnowledgeBaseId, Principal, Revision, SourceId, TenantId, row_id

DIMENSION = 8
ACME, RIVAL = TenantId("acme"), TenantId("rival")
HANDBOOK = DocumentId("0" * 31 + "1")
OTHER = DocumentId("0" * 31 + "2")
DOCS = KnowledgeBaseId("docs")
ANN = Principal("user:ann")


def chunk_row(
    *,
    tenant: TenantId = ACME,
    document: DocumentId = HANDBOOK,
    revision: int = 7,
    ordinal: int = 0,
    total: int = 1,
    text: str = "Ferries leave the harbour every morning",
    title: str = "Handbook",
    readers: tuple[Principal, ...] = (EVERYONE,),
    readers_second: tuple[Principal, ...] | None = None,
    knowledge_base: KnowledgeBaseId = DOCS,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> ChunkRow:
    """Build one row; what a test does not name is plain and the same for all."""
    return ChunkRow(
        row_id=row_id(document, Revision(revision), ordinal),
        tenant_id=tenant,
        document_id=document,
        revision=Revision(revision),
        ordinal=ordinal,
        total=total,
        knowledge_base=knowledge_base,
        source=SourceId("files"),
        external_id="handbook/ferries.md",
        title=title,
        url=None,
        media_type="text/markdown",
        language="en",
        text=text,
        kind=ChunkKind.TEXT,
        section=("Travel", "By sea"),
        page=None,
        start=ordinal * 100,
        end=ordinal * 100 + len(text),
        parent_start=0,
        parent_end=1_000,
        readers=readers,
        readers_second=readers if readers_second is None else readers_second,
        attributes={} if attributes is None else attributes,
        occurred_at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    )


def rows_of(document: DocumentId, *, revision: int, chunks: int, tenant: TenantId = ACME) -> list[ChunkRow]:
    """Build all rows of one revision."""
    return [
        chunk_row(tenant=tenant, document=document, revision=revision, ordinal=n, total=chunks) for n in range(chunks)
    ]


def with_external_id(row: ChunkRow, external_id: str) -> ChunkRow:
    """Return the row under another name at its source."""
    return replace(row, external_id=external_id)


def vectors_for(count: int) -> NDArray[np.float32]:
    """Return distinct unit vectors, shape [count, DIMENSION]; the same ones every time."""
    raw = np.random.default_rng(7).normal(size=(count, DIMENSION))
    unit: NDArray[np.float64] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32)


def scope_of(
    *principals: Principal,
    tenant: TenantId = ACME,
    knowledge_bases: tuple[KnowledgeBaseId, ...] | None = None,
    where: Filter | None = None,
) -> Scope:
    """Build a scope for these principals; without any, for a member of the tenant."""
    return Scope(
        tenant_id=tenant,
        principals=frozenset(principals or (ANN, EVERYONE)),
        knowledge_bases=knowledge_bases,
        where=AllOf(()) if where is None else where,
    )
