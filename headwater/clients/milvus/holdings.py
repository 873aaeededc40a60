"""What an audit reads of Milvus: names, revisions and readers of rows, no text and no vectors."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final

from headwater.clients.milvus.adapter import VectorsAdapter
from headwater.clients.milvus.expressions import literal
from headwater.clients.milvus.index import of_document
from headwater.clients.milvus.loaded import MAX_HITS
from headwater.clients.milvus.readers import FIELDS, Place, PolicyReader, place_of
from headwater.ports.consistency import Holding, IdRange
from schemas.ids import DocumentId, Revision, TenantId

_SLICE: Final = 2_048  # ordinals asked for at once, of one document: room for eight revisions in an answer


class VectorHoldings(VectorsAdapter):
    """Implements Holdings for the rows of one generation."""

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        """See the port."""
        return [holding async for part, rows in self._counted(ids) for holding in await self._judged(part, rows)]

    async def count(self) -> int:
        """Return how many rows of all tenants there are. Raises as `holdings` does."""
        return await self._collection.count("")

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port."""
        return await self._collection.remove(f"{of_document(tenant, document)} and revision == {revision:d}")

    async def _judged(self, within: str, rows: Counter[Place]) -> Sequence[Holding]:
        policies = await PolicyReader(collection=self._collection).policies(within, rows)
        return [
            Holding(tenant_id=place[0], document_id=place[1], revision=place[2], rows=count, policy=policies[place])
            for place, count in rows.items()
        ]

    async def _counted(self, ids: IdRange) -> AsyncIterator[tuple[str, Counter[Place]]]:
        """Yield parts of a range, as expressions, with their rows counted; where one answer cannot hold it, halves.

        An answer has no order to go on from: only a narrower question is safe.
        """
        waiting = [ids]
        while waiting:
            part = waiting.pop()
            within = _within(part)
            found = await self._collection.query(within, fields=FIELDS, limit=MAX_HITS)
            halves = part.parts(2)
            if len(found) < MAX_HITS:
                yield within, Counter(map(place_of, found))
            elif len(halves) > 1:
                waiting += halves
            else:
                yield within, await self._sliced(within)  # one document with very many rows

    async def _sliced(self, within: str) -> Counter[Place]:
        rows: Counter[Place] = Counter()
        begin = 0
        while await self._collection.query(f"{within} and ordinal >= {begin}", fields=("ordinal",), limit=1):
            slice_of = f"{within} and ordinal >= {begin} and ordinal < {begin + _SLICE}"
            rows.update(map(place_of, await self._collection.query(slice_of, fields=FIELDS, limit=MAX_HITS)))
            begin += _SLICE
        return rows


def _within(ids: IdRange) -> str:
    low = f"document_id >= {literal(ids.low)}"
    return low if ids.high is None else f"{low} and document_id < {literal(ids.high)}"
