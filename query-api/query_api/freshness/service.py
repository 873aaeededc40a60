"""Freshness: figures of a window, judged against the objectives."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from headwater.errors import RetryableError
from headwater.freshness.objectives import STEPS, Promise, Tally, View, judge, targets, worst
from headwater.ports.freshness import CanarySeen, DocumentsMeasured
from query_api.freshness.schemas import (
    CanaryView,
    FreshnessReport,
    LegView,
    ObjectiveView,
    PartitionView,
    RoundReport,
    SpreadView,
    StepView,
    ViewOfObjective,
    WaitingView,
)
from query_api.identity import Identity, Scope
from query_api.problems import ForbiddenError
from query_api.runtime import Runtime
from schemas.events.canaries import CanaryMeasured
from schemas.ids import GenerationName, TenantId

# As the SRE Workbook pairs its windows: a burn that is over is no reason to act.
RECENT_SHARE: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    documents: DocumentsMeasured
    canary: CanarySeen

    def tally(self, promise: Promise, view: View) -> Tally:
        """Return what one view saw of a promise."""
        if view is View.DOCUMENTS:
            return self.documents.tallies.get(promise, Tally())
        steps = [self.canary.steps[step] for step, promised in STEPS.items() if promised is promise]
        return Tally(
            total=sum(step.passed.count + step.failed for step in steps), within=sum(step.within for step in steps)
        )

    def burn_rate(self, promise: Promise) -> float | None:
        """Return the worst of all views."""
        return worst(judge(self.tally(promise, view)) for view in View).burn_rate


@dataclass(frozen=True, slots=True)
class FreshnessService:
    """Reads freshness for one caller."""

    runtime: Runtime
    caller: Identity

    async def report(self, *, window_s: int) -> FreshnessReport:
        """Return the figures of the last `window_s` seconds. Raise RetryableError while the read model is away."""
        window = timedelta(seconds=window_s)
        until = self.runtime.now()
        whole, recent, waiting = await asyncio.gather(
            self._measured(window), self._measured(window / RECENT_SHARE), self._waiting()
        )
        objectives = [self._objective(promise, whole, recent) for promise in Promise]
        judged = [objective.met for objective in objectives if objective.met is not None]
        partitions = whole.canary.partitions
        return FreshnessReport(
            since=until - window,
            until=until,
            installation=self._sees_all,
            met=all(judged) if judged else None,
            objectives=objectives,
            legs=[
                LegView(name=leg, **SpreadView.of(spread).model_dump()) for leg, spread in whole.documents.legs.items()
            ],
            canary=CanaryView(
                last_round_at=max((each.last_round_at for each in partitions), default=None),
                steps=[StepView.seen(step, seen) for step, seen in whole.canary.steps.items()],
                partitions=[PartitionView.of(each) for each in partitions],
            ),
            oldest=max(waiting or (), key=lambda stage: stage.age_ms or 0, default=None),
            waiting=waiting,
        )

    async def take(self, report: RoundReport) -> None:
        """Append a round of the canary to the log; ForbiddenError for any other tenant than the canary's."""
        if self.caller.tenant_id != self._canary:
            raise ForbiddenError(
                "only the canary reports rounds",
                remedy="Use the canary's own key, or set HEADWATER_CANARY__TENANT to its tenant.",
            )
        event = CanaryMeasured(
            event_id=report.round_id,
            tenant_id=self.caller.tenant_id,
            occurred_at=report.began_at,
            observed_at=self.runtime.now(),
            document_id=report.document_id,
            partition=report.partition,
            steps=tuple(step.measured() for step in report.steps),
        )
        await self.runtime.events.send(event)

    @property
    def _sees_all(self) -> bool:
        return Scope.SYSTEM in self.caller.scopes

    @property
    def _canary(self) -> TenantId:
        return TenantId(self.runtime.settings.canary.tenant)

    @property
    def _generation(self) -> GenerationName:
        return self.runtime.directory.serving_generation() or self.runtime.settings.generation

    async def _measured(self, window: timedelta) -> _Measured:
        until, promised = self.runtime.now(), targets(self.runtime.settings.freshness)
        period = {"since": until - window, "until": until}
        tenant = None if self._sees_all else self.caller.tenant_id
        documents, canary = await asyncio.gather(
            self.runtime.freshness.documents(
                tenant, excluding=self._canary, generation=self._generation, targets=promised, **period
            ),
            self.runtime.freshness.canary(self._canary, targets=promised, **period),
        )
        return _Measured(documents=documents, canary=canary)

    async def _waiting(self) -> list[WaitingView] | None:
        if not self._sees_all:
            return None
        try:
            stages: Sequence[WaitingView] = [
                WaitingView.of(lag, self.runtime.now()) for lag in await self.runtime.lags.stages(self._generation)
            ]
        except RetryableError:
            return None  # the other figures do not need the broker, and are wanted most when it is away
        return list(stages)

    def _objective(self, promise: Promise, whole: _Measured, recent: _Measured) -> ObjectiveView:
        tallies = {view: whole.tally(promise, view) for view in View}
        verdict = worst(judge(tally) for tally in tallies.values())
        return ObjectiveView(
            name=promise,
            target_ms=targets(self.runtime.settings.freshness)[promise],
            met=verdict.met,
            burn_rate=verdict.burn_rate,
            error_budget_left=verdict.error_budget_left,
            recent_burn_rate=recent.burn_rate(promise),
            views=[ViewOfObjective.judged(view, tally, judge(tally)) for view, tally in tallies.items()],
        )
