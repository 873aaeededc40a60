"""The keyword index port on Elasticsearch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.adapter import ChunksAdapter
from headwater.clients.elasticsearch.bulk import Create, Delete, write_all
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.queries import Query, render, words
from headwater.ports.rows import ChunkRow, Scope, StoreHit
from headwater.rows.conditions import FACETS, scope_condition
from headwater.rows.facets import facets
from headwater.rows.record import decode_row, encode_row
from headwater.settings import ElasticsearchSettings
from schemas.ids import DocumentId, Revision, TenantId

# A word in a heading says more of a passage than one in its text.
BOOSTS: Final = {"text": 1.0, "section": 0.6, "title": 0.6}
_MAX_HITS: Final = 10_000  # index.max_result_window
_REMOVALS: Final = 1_000  # of one request
_FETCH_IDS: Final = 1_000
_MAX_REVISIONS: Final = 10_000  # of one document, far above what the grace leaves lying
_DOCUMENTS: Final = 500  # asked about in one request: Elasticsearch has a bound on groups, of documents and revisions
_BY_REVISION: Final[Mapping[str, Any]] = {
    "revisions": {"terms": {"field": "revision", "size": _MAX_REVISIONS, "order": {"_key": "asc"}}}
}


class ElasticsearchKeywordIndex(ChunksAdapter):
    """Implements the KeywordIndex port for one generation."""

    async def upsert(self, rows: Sequence[ChunkRow]) -> None:
        """See the port. A row that exists already is left as it is: it can only be the same."""
        writes = [Create(index=self._index, key=row.row_id, document=_document(row)) for row in rows]
        await write_all(self._client, writes, settings=self._settings)

    async def search(self, scope: Scope, query: str, *, limit: int) -> Sequence[StoreHit]:
        """See the port."""
        if limit < 1 or not scope.principals:
            return []
        within = {"must": [words(query, BOOSTS)], "filter": [render(scope_condition(scope))]}
        async with translated(self._settings):
            response = await self._client.search(
                index=self._index, query={"bool": within}, size=min(limit, _MAX_HITS), track_total_hits=False
            )
        return [StoreHit(row=decode_row(hit["_source"]), score=hit["_score"]) for hit in response["hits"]["hits"]]

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port."""
        query = _of(tenant, document, {"term": {"revision": revision}})
        async with translated(self._settings):
            response = await self._client.count(index=self._index, query=query)
        return int(response["count"])

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        """See the port."""
        return _revisions(await self._aggregated(_of(tenant, document), _BY_REVISION))

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        """See the port. One search for each tenant."""
        found: dict[DocumentId, Mapping[Revision, int]] = {document: {} for _, document in documents}
        for tenant in dict.fromkeys(tenant for tenant, _ in documents):
            own = [document for whose, document in documents if whose == tenant]
            for first in range(0, len(own), _DOCUMENTS):
                some = own[first : first + _DOCUMENTS]
                within = {"bool": {"filter": [{"term": {"tenant_id": tenant}}, {"terms": {"document_id": some}}]}}
                by_document = {"terms": {"field": "document_id", "size": len(some)}, "aggregations": _BY_REVISION}
                figures = await self._aggregated(within, {"documents": by_document})
                found |= {DocumentId(each["key"]): _revisions(each) for each in figures["documents"]["buckets"]}
        return found

    async def _aggregated(self, query: Query, aggregations: Mapping[str, Any]) -> Mapping[str, Any]:
        async with translated(self._settings):
            response = await self._client.search(
                index=self._index, query=query, size=0, aggregations=aggregations, track_total_hits=False
            )
        figures: Mapping[str, Any] = response["aggregations"]
        return figures

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        """See the port. By the ids of visible rows, in slices, oldest first: an interruption leaves the newer ones."""
        query = _of(tenant, document, {"range": {"revision": {"lt": than}}})
        return await remove_matching(self._client, self._index, query, settings=self._settings)

    async def fetch(self, scope: Scope, row_ids: Sequence[str]) -> Sequence[ChunkRow]:
        """See the port."""
        rows: dict[str, ChunkRow] = {}
        scoped = render(scope_condition(scope))
        for begin in range(0, len(row_ids), _FETCH_IDS):
            wanted = {"ids": {"values": list(row_ids[begin : begin + _FETCH_IDS])}}
            async with translated(self._settings):
                response = await self._client.search(
                    index=self._index, query={"bool": {"filter": [wanted, scoped]}}, size=_FETCH_IDS
                )
            for hit in response["hits"]["hits"]:
                rows[hit["_id"]] = decode_row(hit["_source"])
        return [rows[row_id] for row_id in row_ids if row_id in rows]


async def remove_matching(
    client: AsyncElasticsearch, index: str, query: Query, *, settings: ElasticsearchSettings
) -> int:
    """Remove the visible rows that a query matches, oldest revision first; return how many there were."""
    removed = 0
    while True:
        async with translated(settings):
            response = await client.search(
                index=index,
                query=query,
                size=_REMOVALS,
                source=False,
                sort=[{"revision": "asc"}, {"ordinal": "asc"}],
            )
        found = response["hits"]["hits"]
        deletions = [Delete(index=index, key=hit["_id"]) for hit in found]
        removed += await write_all(client, deletions, settings=settings)
        if len(found) < _REMOVALS:
            return removed


def _revisions(figures: Mapping[str, Any]) -> dict[Revision, int]:
    return {Revision(each["key"]): each["doc_count"] for each in figures["revisions"]["buckets"]}


def _document(row: ChunkRow) -> dict[str, Any]:
    return encode_row(row) | {FACETS: list(facets(row.attributes))}


def _of(tenant: TenantId, document: DocumentId, *more: Query) -> Query:
    return {"bool": {"filter": [{"term": {"tenant_id": tenant}}, {"term": {"document_id": document}}, *more]}}
