"""Rows of the two stores and what is asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.events.chunks import ChunkKind
from schemas.events.documents import AttributeScalar, AttributeValue
from schemas.ids import DocumentId, KnowledgeBaseId, Principal, Revision, SourceId, TenantId

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """One chunk in a store. Both stores hold all of it, so that citations survive the loss of either."""

    row_id: str  # document#revision#ordinal: never overwritten by another revision
    tenant_id: TenantId
    document_id: DocumentId
    revision: Revision
    ordinal: int
    total: int  # rows of this revision: ordinal + 1 < total has a next one
    knowledge_base: KnowledgeBaseId
    source: SourceId
    external_id: str
    title: str
    url: str | None
    media_type: str | None
    language: str | None
    text: str
    kind: ChunkKind
    section: tuple[str, ...]
    page: int | None
    start: int
    end: int
    parent_start: int
    parent_end: int
    readers: tuple[Principal, ...]  # of the most selective clause; empty: nobody
    readers_second: tuple[Principal, ...]  # of the next one; where there is none, the first again
    attributes: Mapping[str, AttributeValue]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Equals:
    """A field has this value, or an array field contains it."""

    field: str  # `source`, `media_type`, `language`, `document_id`, `external_id`, or `attributes.NAME`
    value: AttributeScalar


@dataclass(frozen=True, slots=True)
class OneOf:
    """A field has one of these values."""

    field: str
    values: tuple[AttributeScalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A field lies in a closed range; an end may be open."""

    field: str
    low: AttributeScalar | None
    high: AttributeScalar | None


@dataclass(frozen=True, slots=True)
class Not:
    """None of what is inside."""

    inner: "Filter"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these; empty: everything."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these; empty: nothing."""

    parts: tuple["Filter", ...]


Filter: TypeAlias = Equals | OneOf | Between | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a caller may be shown at all. Every query to a store carries one; there is no query without."""

    tenant_id: TenantId
    principals: frozenset[Principal]  # closed over nested groups, `everyone` included where it applies
    knowledge_bases: tuple[KnowledgeBaseId, ...] | None  # none: all of the tenant's
    where: Filter = field(default_factory=lambda: AllOf(()))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHit:
    """A candidate. Its score is the store's own: cosine similarity, or BM25; higher is better."""

    row: ChunkRow
    score: float


class ChunkIndex(Protocol):
    """What both stores can do. Writes are repeatable and may arrive late: rows are immutable.

    Raises RetryableError when the store is busy or away, PoisonError when it refuses a row, FatalError when the
    collection or index is missing or the credentials are wrong.
    """

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """Count the rows of one revision that a search can see now."""
        ...

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        """Count the visible rows of every revision of one document."""
        ...

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        """Do the same for many documents, at the cost of little more than one; empty for those without rows."""
        ...

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        """Remove the rows of every revision below `than`; visible to readers on return. Return how many."""
        ...

    async def fetch(self, scope: Scope, row_ids: Sequence[str]) -> Sequence[ChunkRow]:
        """Return those of the rows that exist and are in scope, in the order asked for."""
        ...


class VectorIndex(ChunkIndex, Protocol):
    """Nearest neighbours by cosine similarity."""

    async def upsert(self, rows: Sequence[ChunkRow], vectors: NDArray[np.float32]) -> None:
        """Write the rows, `vectors` in the same order, shape [rows, dimension], unit length. Visible on return."""
        ...

    async def search(self, scope: Scope, vector: Vector, *, limit: int) -> Sequence[StoreHit]:
        """Return the nearest rows in scope, best first."""
        ...


class KeywordIndex(ChunkIndex, Protocol):
    """Words, by BM25 over title, section and text."""

    async def upsert(self, rows: Sequence[ChunkRow]) -> None:
        """Write the rows. Visible on return."""
        ...

    async def search(self, scope: Scope, query: str, *, limit: int) -> Sequence[StoreHit]:
        """Return the best matching rows in scope, best first. `query` is plain text, never a query language."""
        ...
