"""Glue of stage `feedback`: the feedback index and the reviews."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics
from headwater.errors import RetryableError
from headwater.ports.read_model import AnalyticsReadModel
from headwater.retry import RetryPolicy, retry
from schemas.events import FeedbackReceived, QueryExecuted
from schemas.ids import scoped_key
from schemas.topics import Topic
from streams.feedback import step
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.publishing import Emission, Publisher
from streams.harness.stage import Failure, Resources, Stage, StageSpec

# The query is recorded by `analytics`, usually long before its caller has read the answer. A review goes out without
# its documents rather than late.
_QUERY_WAIT: Final = RetryPolicy(attempts=5, first_delay_s=0.2, budget_s=3.0)


class _QueryNotRecordedYetError(RetryableError):
    """Feedback was read before the query that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackStage:
    """Records feedback and asks for a review where it says that something is wrong."""

    model: AnalyticsReadModel
    publisher: Publisher

    async def handle(self, event: FeedbackReceived, _delivery: Delivery) -> Outcome:
        """See Stage."""
        await self.model.record_feedback([event])
        reason = step.review_reason(event)
        if reason is not None:
            request = step.review(event, reason, await self._query(event))
            key = scoped_key(event.tenant_id, event.query_id)
            await self.publisher.publish([Emission(topic=Topic.REVIEWS_REQUESTED, key=key, event=request)])
        return Outcome.DONE

    async def give_up(self, event: FeedbackReceived, delivery: Delivery, failure: Failure) -> None:
        """See Stage: nobody waits for a review."""

    async def _query(self, event: FeedbackReceived) -> QueryExecuted | None:
        async def recorded() -> QueryExecuted:
            query = await self.model.get_query(event.tenant_id, event.query_id)
            if query is None:
                raise _QueryNotRecordedYetError("rag.queries.executed is read later than the feedback")
            return query

        try:
            return await retry(recorded, policy=_QUERY_WAIT)
        except _QueryNotRecordedYetError:
            return None


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    async with ElasticsearchAnalytics.open(resources.settings.elasticsearch) as model:
        yield FeedbackStage(model=model, publisher=resources.publisher)


FEEDBACK = StageSpec(
    name="feedback",
    topics={Topic.FEEDBACK_RECEIVED: FeedbackReceived},
    open=_open,
    limits=lambda settings: Limits(live_keys=8, backfill_keys=8, buffer_bytes=settings.stages.buffer_bytes),
    per_generation=False,
    keyed=frozenset({Topic.FEEDBACK_RECEIVED}),
)
