"""When the next request of a source may begin: its own budget, and what the source said. State that can be shown."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from headwater.clients.egress.errors import RateLimitedError
from headwater.telemetry.metrics import EGRESS_WAITED_SECONDS, EGRESS_WAITING

STATED_JITTER: Final = 0.1  # of a stated wait, added: workers that were stopped together do not come back together


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What a source is doing to its hosts, for people."""

    in_flight: int
    waiting_until: Mapping[str, datetime]  # by host; only those that asked for it


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
        self.in_flight = 0

    def hold(self, host: str, wait_s: float) -> None:
        """Send nothing to a host for so long, and a little longer. A longer wait that is known already stays."""
        until = self._clock.monotonic() + wait_s * (1.0 + STATED_JITTER * self._jitter())
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
                    "the next pass goes on from there",
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

    def state(self) -> SourceState:
        """Return what is under way and who is waited for, as of now."""
        monotonic, now = self._clock.monotonic(), self._clock.now()
        return SourceState(
            in_flight=self.in_flight,
            waiting_until={
                host: now + timedelta(seconds=until - monotonic)
                for host, until in self._held.items()
                if until > monotonic
            },
        )

    async def _wait(self, wait_s: float) -> None:
        EGRESS_WAITING.inc()
        try:
            await self._clock.sleep(wait_s)
        finally:
            EGRESS_WAITING.dec()
        EGRESS_WAITED_SECONDS.inc(wait_s)
