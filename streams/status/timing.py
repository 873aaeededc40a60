"""What reports say of freshness, as metrics.

Only the generation that serves counts: another one is built from old events, and would look late with every one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headwater.freshness.legs import legs
from headwater.freshness.objectives import Promise, View, targets
from headwater.freshness.verdicts import count, start_at_zero
from headwater.settings import Settings
from headwater.telemetry.metrics import FRESHNESS_LEG_SECONDS, FRESHNESS_SECONDS
from schemas.events import DocumentIngested, DocumentProgressed
from schemas.events.base import Lane
from schemas.ids import GenerationName, TenantId
from streams.status import step


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times and judges what the stages have stamped."""

    targets: Mapping[Promise, int]  # milliseconds
    canary: TenantId  # judges its own documents, from outside
    generation: Callable[[], GenerationName]  # which serves now

    @classmethod
    def of(cls, settings: Settings, generation: Callable[[], GenerationName]) -> "Timing":
        """Return the timing of an installation, with its counters at zero."""
        start_at_zero(View.DOCUMENTS, step.JUDGED.values())
        return cls(
            targets=targets(settings.freshness),
            canary=TenantId(settings.canary.tenant),
            generation=generation,
        )

    def report(self, report: DocumentProgressed) -> None:
        """Time a revision in one store; count a live edit against its objective."""
        fresh_s = step.freshness_s(report)
        if fresh_s is None or report.generation != self.generation():
            return
        FRESHNESS_SECONDS.labels(store=report.store.value, lane=report.lane.value).observe(fresh_s)
        promise = step.promise_of(report)
        if promise is not None and report.tenant_id != self.canary:
            count(promise, View.DOCUMENTS, within=fresh_s * 1_000 <= self.targets[promise])

    def fact(self, fact: DocumentIngested) -> None:
        """Time the legs of a live revision that is everywhere."""
        if fact.lane is Lane.LIVE and fact.generation == self.generation() and fact.tenant_id != self.canary:
            for leg, duration_ms in legs(fact).items():
                FRESHNESS_LEG_SECONDS.labels(leg=leg.value).observe(duration_ms / 1_000)
