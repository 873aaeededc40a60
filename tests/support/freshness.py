"""Freshness in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import quantiles
from uuid import UUID

from headwater.errors import RetryableError
from headwater.freshness.legs import Leg, legs
from headwater.freshness.objectives import STEPS, Promise, Tally
from headwater.ports.freshness import CanarySeen, DocumentsMeasured, PartitionSeen, Spread, StageLag, StepSeen
from schemas.events.base import Lane
from schemas.events.canaries import CanaryMeasured, CanaryOutcome, CanaryStep
from schemas.ids import GenerationName, TenantId
from tests.support.read_model import FakeAnalytics


class FakeFreshness:
    """Implements FreshnessReadModel on what a FakeAnalytics was given."""

    def __init__(self, analytics: FakeAnalytics) -> None:
        self.analytics = analytics
        self.rounds: dict[UUID, CanaryMeasured] = {}

    async def record_rounds(self, rounds: Sequence[CanaryMeasured]) -> None:
        for each in rounds:
            self.rounds.setdefault(each.event_id, each)

    async def documents(
        self,
        tenant: TenantId | None,
        *,
        excluding: TenantId,
        generation: GenerationName,
        since: datetime,
        until: datetime,
        targets: Mapping[Promise, int],
    ) -> DocumentsMeasured:
        taken = [
            legs(fact)
            for fact in self.analytics.ingestions.values()
            if tenant in {None, fact.tenant_id} and fact.tenant_id != excluding and fact.lane is Lane.LIVE
            if fact.generation == generation
            if since <= max(fact.searchable_by_words_at, fact.searchable_by_meaning_at) < until
        ]
        times = {leg: [each[leg] for each in taken if leg in each] for leg in Leg}
        return DocumentsMeasured(
            legs={leg: spread(times[leg]) for leg in Leg},
            tallies={
                promise: Tally(total=len(times[leg]), within=sum(ms <= targets[promise] for ms in times[leg]))
                for leg, promise in ((Leg.WORDS, Promise.WORDS), (Leg.MEANING, Promise.MEANING))
            },
        )

    async def canary(
        self, tenant: TenantId, *, since: datetime, until: datetime, targets: Mapping[Promise, int]
    ) -> CanarySeen:
        rounds = [each for each in self.rounds.values() if each.tenant_id == tenant]
        rounds = [each for each in rounds if since <= each.occurred_at < until]
        return CanarySeen(
            steps={step: _step(rounds, step, targets) for step in CanaryStep},
            partitions=[
                _partition([each for each in rounds if each.partition == number])
                for number in sorted({each.partition for each in rounds})
            ],
        )


class FakeLags:
    """Implements Lags; `away` stands for a broker that does not answer."""

    def __init__(self, *stages: StageLag) -> None:
        self.waiting, self.away = stages, False
        self.asked: list[GenerationName] = []

    async def stages(self, generation: GenerationName) -> Sequence[StageLag]:
        self.asked.append(generation)
        if self.away:
            raise RetryableError("Kafka does not answer")
        return self.waiting


def spread(times_ms: Sequence[float]) -> Spread:
    """Return the percentiles of some times."""
    if not times_ms:
        return Spread()
    cuts = quantiles(times_ms, n=100, method="inclusive") if len(times_ms) > 1 else [times_ms[0]] * 99
    return Spread(count=len(times_ms), p50_ms=cuts[49], p95_ms=cuts[94], p99_ms=cuts[98])


def _step(rounds: Sequence[CanaryMeasured], step: CanaryStep, targets: Mapping[Promise, int]) -> StepSeen:
    seen = [each for measured in rounds for each in measured.steps if each.step is step]
    outcomes = Counter(each.outcome for each in seen)
    times = [each.duration_ms for each in seen if each.outcome is CanaryOutcome.PASSED]
    return StepSeen(
        passed=spread(times),
        failed=outcomes[CanaryOutcome.FAILED],
        skipped=outcomes[CanaryOutcome.SKIPPED],
        within=sum(ms <= targets[STEPS[step]] for ms in times) if step in STEPS else 0,
    )


def _partition(rounds: Sequence[CanaryMeasured]) -> PartitionSeen:
    steps = [each for measured in rounds for each in measured.steps]
    return PartitionSeen(
        partition=rounds[0].partition,
        rounds=len(rounds),
        last_round_at=max(each.occurred_at for each in rounds),
        failed=Counter(each.step for each in steps if each.outcome is CanaryOutcome.FAILED),
    )
