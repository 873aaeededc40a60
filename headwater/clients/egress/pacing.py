"""When the next request of a source may begin: its own budget, and what the source said."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from headwater.clients.egress.errors import RateLimitedError
from headwater.telemetry.metrics import EGRESS_WAITED_SECONDS, EGRESS_WAITING

# Added to a stated wait, so much of it and no more: workers that were stopped together do not come back together.
STATED_JITTER: Final = 0.1
LONGEST_JITTER_S: Final = 30.0


class Clock(Protocol):
    """Time as waiting needs it."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    def now(self) -> datetime:
        """Return the wall clock's time, aware."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The host's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def reserve(*, free_at: float, now: float, interval_s: float, burst: int) -> tuple[float, float]:
    """Book the next request (generic cell rate algorithm): return the new `free_at`, and how long to wait first.

    Over any time t at most `burst + t / interval_s` requests begin.
    """
    booked = max(free_at, now)
    return booked + interval_s, max(0.0, booked - now - interval_s * (burst - 1))


class Pacer:
    """One source's budget and waits."""

    def __init__(
        self,
        *,
        requests_per_s: float,
        burst: int,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._interval_s, self._burst = 1.0 / requests_per_s, burst
        self._clock, self._jitter = clock, jitter
        self._free_at = 0.0
        self._held: dict[str, float] = {}  # until when nothing goes to a host, on the monotonic clock

    def hold(self, host: str, wait_s: float) -> None:
        """Send nothing to a host for so long, and a little longer. A longer wait that is known already stays."""
        until = self._clock.monotonic() + wait_s + min(STATED_JITTER * wait_s, LONGEST_JITTER_S) * self._jitter()
        self._held[host] = max(until, self._held.get(host, 0.0))

    async def admit(self, host: str, *, budget_s: float) -> float:
        """Return when a request may begin, with what is left of its budget for waits that the source asked for.

        Raises RateLimitedError at once where the wait is longer than that.
        """
        while (wait_s := self._held.get(host, 0.0) - self._clock.monotonic()) > 0.0:
            if wait_s > budget_s:
                until = self._clock.now() + timedelta(seconds=wait_s)
                raise RateLimitedError(
                    f"{host} asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC, longer than egress.wait_budget_s; "
                    "nothing is wrong, and what was done stays",
                    until=until,
                )
            budget_s -= wait_s
            await self._wait(wait_s)
        self._held.pop(host, None)
        self._free_at, wait_s = reserve(
            free_at=self._free_at, now=self._clock.monotonic(), interval_s=self._interval_s, burst=self._burst
        )
        if wait_s > 0.0:
            await self._clock.sleep(wait_s)
        return budget_s

    def waits_until(self) -> datetime | None:
        """Return when the last host that asked to wait may be asked again; None where none did, as of now."""
        wait_s = max(self._held.values(), default=0.0) - self._clock.monotonic()
        return self._clock.now() + timedelta(seconds=wait_s) if wait_s > 0.0 else None

    async def _wait(self, wait_s: float) -> None:
        EGRESS_WAITING.inc()
        try:
            await self._clock.sleep(wait_s)
        finally:
            EGRESS_WAITING.dec()
        EGRESS_WAITED_SECONDS.inc(wait_s)


@dataclass(frozen=True, slots=True)
class SourceBudget:
    """What one source is asked. All its calls share the pace, the waits and the slots.

    `wait_s`: how long one request may wait for limits that the source states.
    """

    pacer: Pacer
    slots: asyncio.Semaphore
    concurrency: int
    wait_s: float

    @classmethod
    def of(cls, *, requests_per_s: float, concurrency: int, wait_s: float, clock: Clock) -> "SourceBudget":
        """Make one. Over any time t at most `concurrency + t * requests_per_s` requests begin."""
        pacer = Pacer(requests_per_s=requests_per_s, burst=concurrency, clock=clock)
        return cls(pacer, asyncio.Semaphore(concurrency), concurrency, wait_s)

    def beside(self) -> "SourceBudget":
        """Return the same with slots of its own: for calls that a request makes which holds a slot already."""
        return replace(self, slots=asyncio.Semaphore(self.concurrency))
