"""What an audit reads of Milvus: names, revisions and readers of rows, no text and no vectors."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote

from pymilvus import AsyncMilvusClient

from headwater.access.policies import MIXED, Policy, policy_of
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client
from headwater.clients.milvus.expressions import literal
from headwater.clients.milvus.index import of_document
from headwater.clients.milvus.loaded import MAX_HITS, LoadedCollection
from headwater.ports.consistency import Holding, IdRange
from headwater.settings import MilvusSettings
from schemas.ids import DocumentId, GenerationName, Revision, TenantId

_FIELDS: Final = ("tenant_id", "document_id", "revision", "readers", "readers_second")
_SLICE: Final = 2_048  # ordinals asked for at once, of one document: room for eight revisions in an answer
_POLICIES: Final = 4_096  # rows of a document, and often whole sources, have the same readers
_Place: TypeAlias = tuple[TenantId, DocumentId, Revision]
_Row: TypeAlias = Mapping[str, Any]


class VectorHoldings:
    """Implements Holdings for the rows of one generation."""

    def __init__(self, client: AsyncMilvusClient, *, settings: MilvusSettings, generation: GenerationName) -> None:
        self._collection = LoadedCollection(client, collection_name(settings, generation), settings=settings)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: MilvusSettings, generation: GenerationName) -> AsyncIterator[Self]:
        """Open without a first call."""
        async with open_client(settings) as client:
            yield cls(client, settings=settings, generation=generation)

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        """See the port."""
        rows: Counter[_Place] = Counter()
        policies: dict[_Place, Policy] = {}
        async for found in self._rows(ids):
            place = TenantId(unquote(found["tenant_id"])), DocumentId(unquote(found["document_id"])), found["revision"]
            policy = _policy(tuple(found["readers"]), tuple(found["readers_second"]))
            rows[place] += 1
            if policies.setdefault(place, policy) != policy:
                policies[place] = MIXED
        return [
            Holding(
                tenant_id=tenant,
                document_id=document,
                revision=Revision(revision),
                rows=count,
                policy=policies[tenant, document, revision],
            )
            for (tenant, document, revision), count in rows.items()
        ]

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port."""
        return await self._collection.remove(f"{of_document(tenant, document)} and revision == {revision:d}")

    async def _rows(self, ids: IdRange) -> AsyncIterator[_Row]:
        """Yield the rows of a range; where one answer cannot hold them, of its halves.

        An answer has no order to go on from, and Milvus Lite ignores an offset: only a narrower question is safe.
        """
        waiting = [ids]
        while waiting:
            part = waiting.pop()
            found = await self._collection.query(_within(part), fields=_FIELDS, limit=MAX_HITS)
            if len(found) < MAX_HITS:
                for row in found:
                    yield row
                continue
            halves = part.parts(2)
            if len(halves) > 1:
                waiting += halves
                continue
            async for row in self._slices(_within(part)):  # one document with very many rows
                yield row

    async def _slices(self, expression: str) -> AsyncIterator[_Row]:
        begin = 0
        while await self._collection.query(f"{expression} and ordinal >= {begin}", fields=("ordinal",), limit=1):
            slice_of = f"{expression} and ordinal >= {begin} and ordinal < {begin + _SLICE}"
            for row in await self._collection.query(slice_of, fields=_FIELDS, limit=MAX_HITS):
                yield row
            begin += _SLICE


def _within(ids: IdRange) -> str:
    low = f"document_id >= {literal(ids.low)}"
    return low if ids.high is None else f"{low} and document_id < {literal(ids.high)}"


@lru_cache(maxsize=_POLICIES)
def _policy(readers: tuple[str, ...], readers_second: tuple[str, ...]) -> Policy:
    return policy_of(map(unquote, readers), map(unquote, readers_second))
