"""Goes round all the time: one round on each partition in an interval, evenly spread, never stopped by what fails."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID, uuid4

import structlog

from headwater.canary.documents import Probe
from headwater.canary.walk import UNAUTHENTICATED, Caller, CallFailedError, Walker
from headwater.errors import FatalError
from headwater.freshness.objectives import STEPS, Promise, View
from headwater.freshness.verdicts import count, start_at_zero
from headwater.settings import CanarySettings
from headwater.telemetry.metrics import CANARY_FAILURES, CANARY_STEP_SECONDS
from schemas.events.canaries import CanaryOutcome, CanaryStep, StepMeasured

log = structlog.get_logger(__name__)

# While the API is away rounds go on (they fail, and that is the news); this many are told when it is back.
_KEPT: Final = 1_000


def show_at_zero(each: Sequence[Probe]) -> None:
    """Show every metric before the first round: a series that begins at one has no increase, one that is absent none.

    A canary that never gets as far as a round is seen as silent, then.
    """
    start_at_zero(View.CANARY, Promise)
    for step in CanaryStep:
        CANARY_STEP_SECONDS.labels(step=step.value)
        for probe in each:
            CANARY_FAILURES.labels(step=step.value, partition=str(probe.partition))


class Reporter(Caller, Protocol):
    """A caller that can also report."""

    async def report(self, round_id: UUID, began_at: datetime, probe: Probe, steps: Sequence[StepMeasured]) -> None:
        """Report a round. Raises CallFailedError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """One round that was walked."""

    round_id: UUID
    began_at: datetime
    probe: Probe
    steps: tuple[StepMeasured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Walks, counts and reports."""

    caller: Reporter
    settings: CanarySettings
    targets: dict[Promise, int]
    unreported: deque[Walked] = field(default_factory=lambda: deque(maxlen=_KEPT))

    async def go(self, probe: Probe, *, of: int) -> None:
        """Go round on one of `of` partitions until cancelled. Each begins at another part of the interval.

        Raises FatalError when the keys are void: only a start makes new ones.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + self.settings.interval_s * probe.partition / of
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            walked = await self.one(probe)
            if walked.steps[0].error == UNAUTHENTICATED:
                raise FatalError("the canary's keys were withdrawn: started again it makes new ones")
            due = max(due + self.settings.interval_s, loop.time())

    async def one(self, probe: Probe) -> Walked:
        """Walk one round, count it, and report it with those that could not be reported before."""
        began_at = datetime.now(UTC)
        walker = Walker(caller=self.caller, deadline_s=self.settings.deadline_s)
        walked = Walked(round_id=uuid4(), began_at=began_at, probe=probe, steps=await walker.walk(probe))
        for step in walked.steps:
            self._count(step, probe)
        self.unreported.append(walked)
        await self._report()
        return walked

    def _count(self, measured: StepMeasured, probe: Probe) -> None:
        if measured.outcome is CanaryOutcome.SKIPPED:
            return
        step, passed = measured.step, measured.outcome is CanaryOutcome.PASSED
        if passed:
            CANARY_STEP_SECONDS.labels(step=step.value).observe(measured.duration_ms / 1_000)
        else:
            CANARY_FAILURES.labels(step=step.value, partition=str(probe.partition)).inc()
            log.warning("canary_step_failed", kind=step.value, partition=probe.partition, code=measured.error)
        promise = STEPS.get(step)
        if promise is not None:
            count(promise, View.CANARY, within=passed and measured.duration_ms <= self.targets[promise])

    async def _report(self) -> None:
        while self.unreported:
            oldest = self.unreported.popleft()
            try:
                await self.caller.report(oldest.round_id, oldest.began_at, oldest.probe, oldest.steps)
            except CallFailedError as error:
                self.unreported.appendleft(oldest)
                log.warning("canary_round_not_reported", code=error.code, count=len(self.unreported))
                return
