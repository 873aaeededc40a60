"""Queries, feedback and ingestion per tenant on Elasticsearch."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from headwater.clients.elasticsearch.adapter import SharedAdapter
from headwater.clients.elasticsearch.bulk import Create, Write, write_all
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.elasticsearch.queries import Query
from headwater.clients.elasticsearch.usage import (
    FEEDBACK_FIGURES,
    INGESTION_FIGURES,
    QUERY_FIGURES,
    feedback_usage,
    ingestion_usage,
    query_usage,
)
from headwater.freshness.legs import legs
from headwater.ports.read_model import NOT_ANSWERED, JudgedQuery, Usage
from schemas.conversion import READABLE
from schemas.events.documents import DocumentIngested
from schemas.events.queries import FeedbackReceived, QueryExecuted
from schemas.ids import TenantId

_NEWEST: Final = [{"occurred_at": "desc"}]


class ElasticsearchAnalytics(SharedAdapter):
    """Implements the AnalyticsReadModel port."""

    async def record_queries(self, events: Sequence[QueryExecuted]) -> None:
        """See the port."""
        index = index_name(self._settings, Index.QUERIES)
        await self._write(
            [Create(index=index, key=_key(each.tenant_id, each.query_id), document=_query(each)) for each in events]
        )

    async def record_feedback(self, events: Sequence[FeedbackReceived]) -> None:
        """See the port."""
        index = index_name(self._settings, Index.FEEDBACK)
        await self._write([Create(index=index, key=str(each.event_id), document=_feedback(each)) for each in events])

    async def record_ingestions(self, events: Sequence[DocumentIngested]) -> None:
        """See the port."""
        index = index_name(self._settings, Index.INGESTIONS)
        await self._write(
            [
                Create(
                    index=index,
                    key=f"{each.document_id}/{each.revision}/{each.generation}",
                    document=_ingestion(each),
                )
                for each in events
            ]
        )

    async def get_query(self, tenant: TenantId, query_id: str) -> QueryExecuted | None:
        """See the port."""
        return (await self._queries(tenant, [query_id])).get(query_id)

    async def list_feedback(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[JudgedQuery]:
        """See the port."""
        found = await self._search(Index.FEEDBACK, _within(tenant, since, until), limit=limit)
        given: list[FeedbackReceived] = [READABLE.load(source["record"], FeedbackReceived) for source in found]
        queries = await self._queries(tenant, [feedback.query_id for feedback in given])
        return [JudgedQuery(feedback=feedback, query=queries.get(feedback.query_id)) for feedback in given]

    async def list_queries(self, tenant: TenantId, *, limit: int) -> Sequence[QueryExecuted]:
        """See the port."""
        found = await self._search(Index.QUERIES, {"bool": {"filter": [{"term": {"tenant_id": tenant}}]}}, limit=limit)
        return [READABLE.load(source["record"], QueryExecuted) for source in found]

    async def list_unanswered(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[QueryExecuted]:
        """See the port."""
        query = {"bool": {"filter": [_within(tenant, since, until), {"term": {"passages": 0}}]}}
        found = await self._search(Index.QUERIES, query, limit=limit)
        return [READABLE.load(source["record"], QueryExecuted) for source in found]

    async def usage(self, tenant: TenantId, *, since: datetime, until: datetime) -> Usage:
        """See the port."""
        within = _within(tenant, since, until)
        return Usage(
            queries=query_usage(await self._figures(Index.QUERIES, within, QUERY_FIGURES)),
            feedback=feedback_usage(await self._figures(Index.FEEDBACK, within, FEEDBACK_FIGURES)),
            ingestion=ingestion_usage(await self._figures(Index.INGESTIONS, within, INGESTION_FIGURES)),
        )

    async def _write(self, writes: Sequence[Write]) -> None:
        await write_all(self._client, writes, settings=self._settings, refresh="false")

    async def _queries(self, tenant: TenantId, query_ids: Sequence[str]) -> Mapping[str, QueryExecuted]:
        if not query_ids:
            return {}
        keys = sorted({_key(tenant, query_id) for query_id in query_ids})
        async with translated(self._settings):
            response = await self._client.mget(index=index_name(self._settings, Index.QUERIES), ids=keys)
        queries: list[QueryExecuted] = [
            READABLE.load(found["_source"]["record"], QueryExecuted) for found in response["docs"] if found.get("found")
        ]
        return {query.query_id: query for query in queries}

    async def _search(self, index: Index, query: Query, *, limit: int) -> list[dict[str, Any]]:
        async with translated(self._settings):
            response = await self._client.search(
                index=index_name(self._settings, index), query=query, size=limit, sort=_NEWEST, track_total_hits=False
            )
        return [hit["_source"] for hit in response["hits"]["hits"]]

    async def _figures(self, index: Index, query: Query, figures: Mapping[str, Any]) -> Mapping[str, Any]:
        async with translated(self._settings):
            response = await self._client.search(
                index=index_name(self._settings, index),
                query=query,
                size=0,
                track_total_hits=True,
                aggregations=figures,
            )
        aggregations: dict[str, Any] = response["aggregations"]
        return aggregations | {"count": {"value": response["hits"]["total"]["value"]}}


def _key(tenant: TenantId, query_id: str) -> str:
    """Name a query's record: ids are signed and long, a key has at most 512 bytes, and tenants stay apart."""
    return hashlib.sha256(f"{len(tenant)}/{tenant}/{query_id}".encode()).hexdigest()


def _within(tenant: TenantId, since: datetime, until: datetime) -> Query:
    period = {"gte": since.isoformat(), "lt": until.isoformat()}
    return {"bool": {"filter": [{"term": {"tenant_id": tenant}}, {"range": {"occurred_at": period}}]}}


def _query(event: QueryExecuted) -> dict[str, Any]:
    return {
        "tenant_id": event.tenant_id,
        "query_id": event.query_id,
        "occurred_at": event.occurred_at.isoformat(),
        "kind": event.kind,
        "user": event.user,
        "mode": event.mode,
        "generation": event.generation,
        "knowledge_bases": event.knowledge_bases,
        "documents": sorted({passage.document_id for passage in event.passages}),
        **_found(event),
        "answered": event.answered,
        "cache_hit": event.cache_hit,
        "degraded": event.degraded,
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "record": READABLE.dump(event),
    }


def _found(event: QueryExecuted) -> dict[str, Any]:
    """Return what only an answer has: a query that ended with a problem did not find nothing, and was not quick."""
    if event.outcome in NOT_ANSWERED:
        return {}
    return {"passages": len(event.passages), "total_ms": event.timings_ms.get("total")}


def _feedback(event: FeedbackReceived) -> dict[str, Any]:
    return {
        "tenant_id": event.tenant_id,
        "query_id": event.query_id,
        "occurred_at": event.occurred_at.isoformat(),
        "user": event.user,
        "rating": event.rating,
        "type": event.type,
        "record": READABLE.dump(event),
    }


def _ingestion(event: DocumentIngested) -> dict[str, Any]:
    return {
        "tenant_id": event.tenant_id,
        "document_id": event.document_id,
        "revision": event.revision,
        "generation": event.generation,
        "knowledge_base": event.knowledge_base,
        "source": event.source,
        "op": event.op,
        "chunks": event.chunks,
        "embedded": event.embedded,
        "reused": event.reused,
        "occurred_at": event.occurred_at.isoformat(),
        "freshness_ms": event.freshness_ms,
        "lane": event.lane,
        "searchable_at": max(event.searchable_by_words_at, event.searchable_by_meaning_at).isoformat(),
        **{f"{leg}_ms": duration_ms for leg, duration_ms in legs(event).items()},
    }
