"""Passes, one after another, with a pause between them; what is away is waited for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from headwater.audit.recording import PassOutcome
from headwater.errors import RetryableError
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import CONSISTENCY_CLEAN_AGE_SECONDS, RETRIES

log = structlog.get_logger(__name__)

STAGE: Final = "audit"
_TICK_S: Final = 1.0  # how often the age of the last clean pass is told, and the loop shows that it moves
_RETRY_S: Final = 30.0  # after a pass that could not be completed: nobody waits for it


class RunsPasses(Protocol):
    """The part of `headwater.audit.recording.Verification` that is needed here."""

    async def run(self, *, repair: bool) -> PassOutcome: ...


@dataclass(slots=True, kw_only=True)
class Worker:
    """One auditor of one generation. Two of them would find the same and do it twice, harmlessly."""

    verification: RunsPasses
    health: Health
    interval_s: float
    repair: bool
    retry_s: float = _RETRY_S
    tick_s: float = _TICK_S
    clock: Callable[[], float] = time.monotonic
    _clean_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._clean_at = self.clock()

    async def run(self) -> None:
        """Audit until cancelled. Raises FatalError when no pass can succeed."""
        while True:
            await self.step()

    async def step(self) -> None:
        """Run one pass and wait until the next one is due."""
        began = self.clock()
        ticking = asyncio.create_task(self._tick())
        try:
            pause_s = await self._pass(began)
            await asyncio.sleep(pause_s)
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)

    async def _pass(self, began: float) -> float:
        """Return how long to wait after this pass, in seconds."""
        try:
            outcome = await self.verification.run(repair=self.repair)
        except RetryableError as error:
            self.health.unready("pass", type(error).__name__)
            RETRIES.labels(stage=STAGE, error=type(error).__name__).inc()
            log.warning("pass_failed", error=type(error).__name__, retry_in_s=self.retry_s)
            return self.retry_s
        self.health.ready("pass")
        if outcome.result.clean:
            self._clean_at = began  # what happened during the pass may have been missed by it
        return self.interval_s

    async def _tick(self) -> None:
        while True:
            self.health.beat()
            CONSISTENCY_CLEAN_AGE_SECONDS.set(self.clock() - self._clean_at)
            await asyncio.sleep(self.tick_s)
