"""Glue of stage `analytics`: events go as they are into indices that are aggregated when read.

Feedback is recorded by stage `feedback`, in the same read model: it needs no second writer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics
from headwater.clients.elasticsearch.freshness import ElasticsearchFreshness
from schemas.events import CanaryMeasured, DocumentIngested, QueryExecuted
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.stage import Failure, Resources, Stage, StageSpec

_RECORDS_PER_CALL: Final = 500
_PATIENCE_S: Final = 1.0  # nobody waits for a figure


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsStage:
    """Records what was asked, what became searchable and what the canary saw."""

    queries: Coalescer[QueryExecuted, None]
    ingestions: Coalescer[DocumentIngested, None]
    rounds: Coalescer[CanaryMeasured, None]

    async def handle(self, event: QueryExecuted | DocumentIngested | CanaryMeasured, _delivery: Delivery) -> Outcome:
        """See Stage."""
        match event:
            case QueryExecuted():
                await self.queries.add(event, weight=1, patient=True)
            case DocumentIngested():
                await self.ingestions.add(event, weight=1, patient=True)
            case CanaryMeasured():
                await self.rounds.add(event, weight=1, patient=True)
        return Outcome.DONE

    async def give_up(self, event: object, delivery: Delivery, failure: Failure) -> None:
        """See Stage: nobody waits for a figure."""


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings.elasticsearch
    async with ElasticsearchAnalytics.open(settings) as model, ElasticsearchFreshness.open(settings) as freshness:
        queries: Coalescer[QueryExecuted, None] = Coalescer(
            model.record_queries, max_weight=_RECORDS_PER_CALL, patience_s=_PATIENCE_S
        )
        ingestions: Coalescer[DocumentIngested, None] = Coalescer(
            model.record_ingestions, max_weight=_RECORDS_PER_CALL, patience_s=_PATIENCE_S
        )
        rounds: Coalescer[CanaryMeasured, None] = Coalescer(
            freshness.record_rounds, max_weight=_RECORDS_PER_CALL, patience_s=_PATIENCE_S
        )
        try:
            yield AnalyticsStage(queries=queries, ingestions=ingestions, rounds=rounds)
        finally:
            await queries.close()
            await ingestions.close()
            await rounds.close()


ANALYTICS = StageSpec(
    name="analytics",
    topics={
        Topic.QUERIES_EXECUTED: QueryExecuted,
        Topic.DOCUMENTS_INGESTED: DocumentIngested,
        Topic.CANARIES_MEASURED: CanaryMeasured,
    },
    open=_open,
    limits=lambda settings: Limits(live_keys=32, backfill_keys=32, buffer_bytes=settings.stages.buffer_bytes),
    per_generation=False,
    keyed=frozenset({Topic.QUERIES_EXECUTED, Topic.DOCUMENTS_INGESTED, Topic.CANARIES_MEASURED}),
)
