"""Both stores in memory: the ports' promises, without a server."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from headwater.errors import PoisonError
from headwater.ports.rows import ChunkRow, Scope, StoreHit, Vector
from headwater.rows.conditions import holds, row_facts, scope_condition
from schemas.ids import DocumentId, Revision, TenantId

_WORD = re.compile(r"\w+")
Facts: TypeAlias = Mapping[str, AbstractSet[str]]


class _FakeChunkIndex:
    """Rows by id."""

    def __init__(self) -> None:
        self.rows: dict[str, ChunkRow] = {}
        self._known: dict[str, tuple[ChunkRow, Facts]] = {}  # rows are immutable: their facts are gathered once

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        return (await self.revisions(tenant, document)).get(revision, 0)

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        return dict(sorted(Counter(row.revision for row in self._of(tenant, document)).items()))

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        return {document: await self.revisions(tenant, document) for tenant, document in documents}

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        older = [row.row_id for row in self._of(tenant, document) if row.revision < than]
        for row_id in older:
            del self.rows[row_id]
        return len(older)

    async def fetch(self, scope: Scope, row_ids: Sequence[str]) -> Sequence[ChunkRow]:
        found = [self.rows[row_id] for row_id in row_ids if row_id in self.rows]
        condition = scope_condition(scope)
        return [row for row in found if holds(condition, self._facts(row))]

    def _of(self, tenant: TenantId, document: DocumentId) -> list[ChunkRow]:
        return [row for row in self.rows.values() if (row.tenant_id, row.document_id) == (tenant, document)]

    def _visible(self, scope: Scope) -> list[ChunkRow]:
        condition = scope_condition(scope)
        return [row for row in self.rows.values() if holds(condition, self._facts(row))]

    def _facts(self, row: ChunkRow) -> Facts:
        known = self._known.get(row.row_id)
        if known is None or known[0] is not row:
            known = self._known[row.row_id] = (row, row_facts(row))
        return known[1]


class FakeVectorIndex(_FakeChunkIndex):
    """Exact nearest neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors: dict[str, Vector] = {}

    async def upsert(self, rows: Sequence[ChunkRow], vectors: NDArray[np.float32]) -> None:
        if len(rows) != len(vectors):
            raise PoisonError(f"{len(rows)} rows come with {len(vectors)} vectors")
        for row, vector in zip(rows, vectors, strict=True):
            row_facts(row)  # refuses what the stores refuse
            self.rows[row.row_id], self.vectors[row.row_id] = row, vector

    async def search(self, scope: Scope, vector: Vector, *, limit: int) -> Sequence[StoreHit]:
        hits = [
            StoreHit(row=row, score=float(np.dot(self.vectors[row.row_id], vector))) for row in self._visible(scope)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[: max(limit, 0)]


class FakeKeywordIndex(_FakeChunkIndex):
    """Counts shared words: enough to tell what is found from what is not."""

    async def upsert(self, rows: Sequence[ChunkRow]) -> None:
        for row in rows:
            row_facts(row)
            self.rows.setdefault(row.row_id, row)

    async def search(self, scope: Scope, query: str, *, limit: int) -> Sequence[StoreHit]:
        wanted = set(_words(query))
        scored = [
            (sum(word in wanted for word in _words(" ".join((row.title, *row.section, row.text)))), row)
            for row in self._visible(scope)
        ]
        hits = [StoreHit(row=row, score=float(score)) for score, row in scored if score]
        return sorted(hits, key=lambda hit: -hit.score)[: max(limit, 0)]


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(text))
