"""One suite for the AnalyticsReadModel port, on the fake and on Elasticsearch."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics
from headwater.ports.read_model import AnalyticsReadModel, Usage
from headwater.settings import Settings
from schemas.events.documents import DocumentIngested
from schemas.events.queries import FeedbackReceived, FeedbackType, QueryExecuted
from schemas.ids import Revision, TenantId
from tests.support.golden import golden
from tests.support.polling import until
from tests.support.read_model import FakeAnalytics
from tests.support.rows import RIVAL

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PERIOD = {"since": NOON, "until": NOON + timedelta(days=2)}


async def settled(model: AnalyticsReadModel, tenant: TenantId, *, queries: int, feedback: int, revisions: int) -> Usage:
    """Wait until as much is counted: figures follow a write within a second."""

    async def found() -> Usage | None:
        usage = await model.usage(tenant, **PERIOD)
        counts = (usage.queries.count, usage.feedback.count, usage.ingestion.count)
        return usage if counts == (queries, feedback, revisions) else None

    return await until(found)


class AnalyticsReadModelContract:
    """Subclasses provide the `model` fixture."""

    @pytest.fixture
    def tenant(self) -> TenantId:
        return TenantId(f"tenant-{uuid4().hex}")

    async def test_a_query_is_found_by_id_on_return(self, model: AnalyticsReadModel, tenant: TenantId) -> None:
        query = replace(golden(QueryExecuted, "answered"), tenant_id=tenant, query_id="q" * 600)
        await model.record_queries([query])
        await model.record_queries([query])
        assert await model.get_query(tenant, query.query_id) == query
        assert await model.get_query(RIVAL, query.query_id) is None
        assert await model.get_query(tenant, "other") is None

    async def test_feedback_is_joined_with_its_query(self, model: AnalyticsReadModel, tenant: TenantId) -> None:
        query = replace(golden(QueryExecuted, "answered"), tenant_id=tenant, occurred_at=NOON)
        known = replace(golden(FeedbackReceived, "incorrect"), tenant_id=tenant, occurred_at=NOON, event_id=uuid4())
        unknown = replace(known, query_id="gone", event_id=uuid4(), occurred_at=NOON + timedelta(minutes=1))
        outside = replace(known, event_id=uuid4(), occurred_at=PERIOD["until"])
        await model.record_queries([query])
        await model.record_feedback([known, unknown, outside, known])
        await settled(model, tenant, queries=1, feedback=2, revisions=0)
        judged = await model.list_feedback(tenant, **PERIOD, limit=10)
        assert [(each.feedback, each.query) for each in judged] == [(unknown, None), (known, query)]
        assert len(await model.list_feedback(tenant, **PERIOD, limit=1)) == 1

    async def test_usage_adds_up_what_happened_within_the_period(
        self, model: AnalyticsReadModel, tenant: TenantId
    ) -> None:
        answered = replace(golden(QueryExecuted, "answered"), tenant_id=tenant, occurred_at=NOON)
        degraded = replace(
            golden(QueryExecuted, "degraded"),
            tenant_id=tenant,
            query_id="second",
            occurred_at=NOON + timedelta(days=1),
        )
        early = replace(answered, query_id="early", occurred_at=NOON - timedelta(seconds=1))
        foreign = replace(answered, tenant_id=TenantId(f"{tenant}-other"))
        feedback = replace(golden(FeedbackReceived, "incorrect"), tenant_id=tenant, occurred_at=NOON, rating=2)
        helpful = replace(feedback, event_id=uuid4(), rating=5, type=FeedbackType.HELPFUL)
        ingested = replace(golden(DocumentIngested, "upserted"), tenant_id=tenant, occurred_at=NOON)
        again = replace(ingested, revision=Revision(ingested.revision + 1))
        failed = replace(
            golden(QueryExecuted, "failed"), tenant_id=tenant, query_id="third", occurred_at=NOON + timedelta(hours=1)
        )
        await model.record_queries([answered, degraded, failed, early, foreign])
        await model.record_feedback([feedback, helpful])
        await model.record_ingestions([ingested, again, again])

        usage = await settled(model, tenant, queries=3, feedback=2, revisions=2)
        assert (usage.queries.answered, usage.queries.without_passages, usage.queries.degraded) == (1, 1, 1)
        assert usage.queries.failed == 1
        assert usage.queries.prompt_tokens == answered.prompt_tokens
        assert usage.queries.latency_p95_ms == pytest.approx(answered.timings_ms["total"])
        assert usage.queries.by_day == {"2026-03-02": 2, "2026-03-03": 1}
        assert usage.feedback.average_rating == pytest.approx(3.5)
        assert usage.feedback.by_type == {feedback.type: 1, FeedbackType.HELPFUL: 1}
        assert usage.ingestion.chunks == 2 * ingested.chunks
        assert usage.ingestion.freshness_p50_ms == pytest.approx(ingested.freshness_ms)
        assert list(await model.list_unanswered(tenant, **PERIOD, limit=5)) == [degraded]
        assert list(await model.list_queries(tenant, limit=2)) == [degraded, failed]

    async def test_an_idle_tenant_has_no_figures(self, model: AnalyticsReadModel, tenant: TenantId) -> None:
        usage = await model.usage(tenant, **PERIOD)
        assert (usage.queries.count, usage.queries.latency_p50_ms, usage.queries.by_day) == (0, None, {})
        assert (usage.feedback.count, usage.feedback.average_rating) == (0, None)
        assert (usage.ingestion.count, usage.ingestion.freshness_p95_ms) == (0, None)


class TestFakeAnalytics(AnalyticsReadModelContract):
    @pytest.fixture
    def model(self) -> AnalyticsReadModel:
        return FakeAnalytics()


@pytest.mark.real
class TestElasticsearchAnalytics(AnalyticsReadModelContract):
    @pytest.fixture
    async def model(self, stores: Settings) -> AsyncIterator[AnalyticsReadModel]:
        async with ElasticsearchAnalytics.open(stores.elasticsearch) as model:
            yield model
