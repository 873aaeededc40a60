"""One suite for the FreshnessReadModel port, on the fake and on Elasticsearch."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics
from headwater.clients.elasticsearch.freshness import ElasticsearchFreshness
from headwater.freshness.legs import Leg
from headwater.freshness.objectives import Promise, Tally
from headwater.ports.freshness import CanarySeen, DocumentsMeasured, FreshnessReadModel, Spread
from headwater.ports.read_model import AnalyticsReadModel
from headwater.settings import Settings
from schemas.events.base import Lane
from schemas.events.canaries import CanaryMeasured, CanaryStep
from schemas.events.documents import DocumentIngested, DocumentOp
from schemas.ids import GenerationName, Revision, TenantId
from tests.support.freshness import FakeFreshness
from tests.support.golden import golden
from tests.support.polling import until
from tests.support.read_model import FakeAnalytics

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = {"since": NOON, "until": NOON + timedelta(hours=1)}
TARGETS = {Promise.WORDS: 100, Promise.MEANING: 200, Promise.HIDDEN: 50}
NOBODY = TenantId("nobody")
G1 = GenerationName("g1")


def at(ms: int) -> datetime:
    return NOON + timedelta(milliseconds=ms)


def fact(tenant: TenantId, revision: int, *, words_ms: int, meaning_ms: int) -> DocumentIngested:
    return replace(
        golden(DocumentIngested, "with_stage_times"),
        tenant_id=tenant,
        revision=Revision(revision),
        occurred_at=NOON - timedelta(seconds=5),
        observed_at=NOON,
        admitted_at=at(10),
        prepared_at=at(30),
        embedded_at=at(60),
        searchable_by_words_at=at(words_ms),
        searchable_by_meaning_at=at(meaning_ms),
    )


@dataclass(frozen=True, slots=True)
class Models:
    analytics: AnalyticsReadModel
    freshness: FreshnessReadModel

    async def measured(self, tenant: TenantId | None, *, excluding: TenantId = NOBODY) -> DocumentsMeasured:
        return await self.freshness.documents(tenant, excluding=excluding, generation=G1, targets=TARGETS, **HOUR)

    async def seen(self, tenant: TenantId) -> CanarySeen:
        return await self.freshness.canary(tenant, targets=TARGETS, **HOUR)


class FreshnessReadModelContract:
    """Subclasses provide the `models` fixture."""

    @pytest.fixture
    def tenant(self) -> TenantId:
        return TenantId(f"tenant-{uuid4().hex}")

    async def test_legs_and_tallies_of_live_revisions(self, models: Models, tenant: TenantId) -> None:
        quick = fact(tenant, 1, words_ms=80, meaning_ms=100)
        slow = fact(tenant, 2, words_ms=80, meaning_ms=900)
        gone = replace(fact(tenant, 3, words_ms=50, meaning_ms=70), op=DocumentOp.DELETED, freshness_ms=70)
        backfill = replace(fact(tenant, 4, words_ms=80, meaning_ms=100), lane=Lane.BACKFILL)
        older_build = replace(fact(tenant, 5, words_ms=80, meaning_ms=100), lane=None)
        late = fact(tenant, 6, words_ms=80, meaning_ms=3_600_000)
        rebuilt = replace(quick, generation=GenerationName("g2"), event_id=uuid4())
        await models.analytics.record_ingestions([quick, slow, gone, backfill, older_build, late, rebuilt, quick])

        async def found() -> DocumentsMeasured | None:
            seen = await models.measured(tenant)
            return seen if seen.legs[Leg.WORDS].count == 2 and seen.legs[Leg.REMOVED].count else None

        seen = await until(found)
        assert seen.tallies == {Promise.WORDS: Tally(total=2, within=2), Promise.MEANING: Tally(total=2, within=1)}
        assert {leg: spread.p50_ms for leg, spread in seen.legs.items()} == {
            Leg.OBSERVED: 5_000,
            Leg.ADMITTED: 10,
            Leg.PREPARED: 20,
            Leg.WORDS_INDEXED: 50,
            Leg.EMBEDDED: 30,
            Leg.MEANING_INDEXED: pytest.approx(440),
            Leg.WORDS: 80,
            Leg.MEANING: pytest.approx(500),
            Leg.WORDS_FROM_SOURCE: 5_080,
            Leg.MEANING_FROM_SOURCE: pytest.approx(5_500),
            Leg.REMOVED: 70,
        }
        assert (await models.measured(None, excluding=tenant)).legs[Leg.WORDS].count == 0
        assert (await models.measured(None)).legs[Leg.WORDS].count == 2

    async def test_steps_and_partitions_of_the_canary(self, models: Models, tenant: TenantId) -> None:
        first = replace(golden(CanaryMeasured, "failed"), tenant_id=tenant, occurred_at=NOON, event_id=uuid4())
        second = replace(first, event_id=uuid4(), partition=1, occurred_at=at(60_000))
        outside = replace(first, event_id=uuid4(), occurred_at=HOUR["until"])
        await models.freshness.record_rounds([first, second, outside, first])

        async def found() -> CanarySeen | None:
            seen = await models.seen(tenant)
            return seen if [each.partition for each in seen.partitions] == [1, 3] else None

        seen = await until(found)
        words, meaning = seen.steps[CanaryStep.FOUND_BY_WORDS], seen.steps[CanaryStep.FOUND_BY_MEANING]
        assert (words.passed.count, words.passed.p95_ms, words.within, words.failed) == (2, 71, 2, 0)
        assert (meaning.passed, meaning.within, meaning.failed) == (Spread(), 0, 2)
        assert seen.steps[CanaryStep.DELETED_HIDDEN].skipped == 2
        assert seen.steps[CanaryStep.GRANTED_FOUND].within == 0, "nothing is promised of it"
        last = seen.partitions[0]
        assert (last.rounds, last.last_round_at) == (1, at(60_000))
        assert last.failed == {
            CanaryStep.FOUND_BY_MEANING: 1,
            CanaryStep.EDIT_FOUND_BY_MEANING: 1,
            CanaryStep.DELETE: 1,
        }

    async def test_where_nothing_happened_there_are_no_figures(self, models: Models, tenant: TenantId) -> None:
        assert set((await models.measured(tenant)).legs.values()) == {Spread()}
        seen = await models.seen(tenant)
        assert (list(seen.partitions), seen.steps[CanaryStep.WRITE].passed) == ([], Spread())


class TestFakeFreshness(FreshnessReadModelContract):
    @pytest.fixture
    def models(self) -> Models:
        analytics = FakeAnalytics()
        return Models(analytics, FakeFreshness(analytics))


@pytest.mark.real
class TestElasticsearchFreshness(FreshnessReadModelContract):
    @pytest.fixture
    async def models(self, stores: Settings) -> AsyncIterator[Models]:
        async with (
            ElasticsearchAnalytics.open(stores.elasticsearch) as analytics,
            ElasticsearchFreshness.open(stores.elasticsearch) as freshness,
        ):
            yield Models(analytics, freshness)
