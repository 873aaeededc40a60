"""What an audit reads of Elasticsearch: rows of a generation, and the documents read model. Doc values only."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from elasticsearch import AsyncElasticsearch

from headwater.access.policies import MIXED, Policy, policy_of
from headwater.clients.elasticsearch.adapter import ChunksAdapter, SharedAdapter
from headwater.clients.elasticsearch.bulk import Delete, write_all
from headwater.clients.elasticsearch.chunks import remove_matching
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.elasticsearch.queries import Query
from headwater.ports.consistency import Holding, IdRange
from headwater.settings import ElasticsearchSettings
from schemas.ids import DocumentId, Revision, TenantId

_PAGE: Final = 10_000  # index.max_result_window
_FIELDS: Final = [{"field": name} for name in ("tenant_id", "document_id", "revision", "readers", "readers_second")]
_POLICIES: Final = 4_096  # rows of a document, and often whole sources, have the same readers
_Place: TypeAlias = tuple[TenantId, DocumentId, Revision]
_Fields: TypeAlias = dict[str, list[Any]]


class KeywordHoldings(ChunksAdapter):
    """Implements Holdings for the rows of one generation."""

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        """See the port."""
        rows: Counter[_Place] = Counter()
        policies: dict[_Place, Policy] = {}
        async for found in _pages(self._client, self._index, ids, by="row_id", settings=self._settings):
            place = _place(found)
            policy = _policy(found)
            rows[place] += 1
            if policies.setdefault(place, policy) != policy:
                policies[place] = MIXED
        return [_holding(place, rows=count, policy=policies[place]) for place, count in rows.items()]

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port."""
        terms = {"tenant_id": tenant, "document_id": document, "revision": revision}
        query = {"bool": {"filter": [{"term": {field: value}} for field, value in terms.items()]}}
        return await remove_matching(self._client, self._index, query, settings=self._settings)


class DocumentHoldings(SharedAdapter):
    """Implements Holdings for the documents read model, which all generations share."""

    def __init__(self, client: AsyncElasticsearch, *, settings: ElasticsearchSettings) -> None:
        super().__init__(client, settings=settings)
        self._index = index_name(settings, Index.DOCUMENTS)

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        """See the port. Refreshes first: listings lag by up to a second."""
        async with translated(self._settings):
            await self._client.indices.refresh(index=self._index)
        return [
            _holding(_place(found), rows=1, policy=_policy(found))
            async for found in _pages(self._client, self._index, ids, by="document_id", settings=self._settings)
        ]

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """See the port. A record that was replaced by a newer one, or by another tenant's, meanwhile stays."""
        async with translated(self._settings):
            response = await self._client.mget(index=self._index, ids=[document], source_includes=["tenant_id"])
        found = response["docs"][0]
        if not found.get("found") or found["_source"]["tenant_id"] != tenant or found["_version"] != revision:
            return 0
        write = Delete(index=self._index, key=document, version=revision)
        return await write_all(self._client, [write], settings=self._settings)


async def _pages(
    client: AsyncElasticsearch, index: str, ids: IdRange, *, by: str, settings: ElasticsearchSettings
) -> AsyncIterator[_Fields]:
    """Yield the fields of every document of an index with an id in the range, in the order of a unique field."""
    after: list[Any] | None = None
    while True:
        async with translated(settings):
            response = await client.search(
                index=index,
                query=_within(ids),
                size=_PAGE,
                source=False,
                stored_fields="_none_",
                docvalue_fields=_FIELDS,
                sort=[{by: "asc"}],
                search_after=after,
                track_total_hits=False,
                filter_path="hits.hits.fields,hits.hits.sort",
            )
        hits = response.body.get("hits", {}).get("hits", [])
        for hit in hits:
            yield hit["fields"]
        if len(hits) < _PAGE:
            return
        after = hits[-1]["sort"]


def _within(ids: IdRange) -> Query:
    bounds = {"gte": ids.low} if ids.high is None else {"gte": ids.low, "lt": ids.high}
    return {"bool": {"filter": [{"range": {"document_id": bounds}}]}}


def _place(fields: _Fields) -> _Place:
    return TenantId(fields["tenant_id"][0]), DocumentId(fields["document_id"][0]), Revision(fields["revision"][0])


def _policy(fields: _Fields) -> Policy:
    return _named(tuple(fields.get("readers", ())), tuple(fields.get("readers_second", ())))


@lru_cache(maxsize=_POLICIES)
def _named(readers: tuple[str, ...], readers_second: tuple[str, ...]) -> Policy:
    return policy_of(readers, readers_second)


def _holding(place: _Place, *, rows: int, policy: Policy) -> Holding:
    tenant, document, revision = place
    return Holding(tenant_id=tenant, document_id=document, revision=revision, rows=rows, policy=policy)
