"""The vector index port on Milvus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.clients.milvus.adapter import VectorsAdapter
from headwater.clients.milvus.collection import RECORD_FIELDS, entity, row_of
from headwater.clients.milvus.expressions import Expression, literal, one_of, render
from headwater.clients.milvus.loaded import CONSISTENCY, MAX_HITS
from headwater.clients.milvus.readers import FIELDS, place_of
from headwater.errors import PoisonError
from headwater.ports.rows import ChunkRow, Scope, StoreHit, Vector
from headwater.rows.conditions import Condition, holds, row_facts, scope_condition
from schemas.ids import DocumentId, Revision, TenantId

_DEEPER: Final = 4  # how much further a search goes when rows were refused
_FETCH_IDS: Final = 1_000  # of one query, far below the size that gRPC takes


class MilvusVectorIndex(VectorsAdapter):
    """Implements the VectorIndex port for one generation."""

    async def upsert(self, rows: Sequence[ChunkRow], vectors: NDArray[np.float32]) -> None:
        """See the port."""
        if len(rows) != len(vectors):
            raise PoisonError(f"{len(rows)} rows come with {len(vectors)} vectors; they must be as many")
        if rows:
            entities = [entity(row, vector) for row, vector in zip(rows, vectors, strict=True)]
            await self._collection.call("upsert", data=entities)

    async def search(self, scope: Scope, vector: Vector, *, limit: int) -> Sequence[StoreHit]:
        """See the port. Goes deeper while rows are refused that the expression could not exclude."""
        condition = scope_condition(scope)
        expression = render(condition)
        if expression is False or limit < 1:
            return []
        asked = min(limit, MAX_HITS)
        while True:
            found = await self._nearest(expression, vector, limit=asked)
            hits = [hit for hit in found if holds(condition, row_facts(hit.row))]
            if len(hits) >= limit or len(found) < asked or asked == MAX_HITS:
                return hits[:limit]
            asked = min(asked * _DEEPER, MAX_HITS)

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port."""
        return await self._collection.count(f"{of_document(tenant, document)} and revision == {revision:d}")

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        """See the port. One query and one count per revision: there are few, whatever the number of rows."""
        counts: dict[Revision, int] = {}
        while True:
            known = ", ".join(f"{revision:d}" for revision in counts)
            others = f" and revision not in [{known}]" if counts else ""
            found = await self._collection.query(of_document(tenant, document) + others, fields=("revision",), limit=1)
            if not found:
                # A revision removed in between counts zero; it was kept until here so as not to be asked for again.
                return {revision: count for revision, count in sorted(counts.items()) if count}
            revision = Revision(found[0]["revision"])
            counts[revision] = await self.count(tenant, document, revision)

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        """See the port. One query that names every row, since Milvus counts no groups; one by one if they are too many.

        A count looks at every row of the collection: a hundred counts take a hundred times as long as this.
        """
        whose = one_of("document_id", dict.fromkeys(document for _, document in documents))
        named = await self._collection.query(whose, fields=FIELDS, limit=MAX_HITS)
        if len(named) >= MAX_HITS:
            return {document: await self.revisions(tenant, document) for tenant, document in documents}
        found: dict[DocumentId, dict[Revision, int]] = {document: {} for _, document in documents}
        asked = set(documents)
        for (tenant, document, revision), count in sorted(Counter(map(place_of, named)).items()):
            if (tenant, document) in asked:
                found[document][revision] = count
        return found

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        """See the port."""
        return await self._collection.remove(f"{of_document(tenant, document)} and revision < {than:d}")

    async def fetch(self, scope: Scope, row_ids: Sequence[str]) -> Sequence[ChunkRow]:
        """See the port."""
        condition = scope_condition(scope)
        expression = render(condition)
        if expression is False:
            return []
        rows: dict[str, ChunkRow] = {}
        for begin in range(0, len(row_ids), _FETCH_IDS):
            wanted = one_of("row_id", row_ids[begin : begin + _FETCH_IDS])
            for found in await self._collection.query(
                _both(wanted, expression), fields=RECORD_FIELDS, limit=_FETCH_IDS
            ):
                _keep(row_of(found), condition, rows)
        return [rows[row_id] for row_id in row_ids if row_id in rows]

    async def _nearest(self, expression: Expression, vector: Vector, *, limit: int) -> list[StoreHit]:
        found = await self._collection.call(
            "search",
            data=[vector],
            filter=expression if isinstance(expression, str) else "",
            limit=limit,
            output_fields=list(RECORD_FIELDS),
            consistency_level=CONSISTENCY,
        )
        return [StoreHit(row=row_of(hit["entity"]), score=float(hit["distance"])) for hit in found[0]]


def of_document(tenant: TenantId, document: DocumentId) -> str:
    """Return an expression that admits the rows of one document."""
    return f"tenant_id == {literal(tenant)} and document_id == {literal(document)}"


def _both(first: str, second: Expression) -> str:
    return f"{first} and {second}" if isinstance(second, str) else first


def _keep(row: ChunkRow, condition: Condition, rows: dict[str, ChunkRow]) -> None:
    if holds(condition, row_facts(row)):
        rows[row.row_id] = row
