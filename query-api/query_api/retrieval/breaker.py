"""A circuit breaker per dependency of a request: an absent store costs one timeout, not one a request."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headwater.errors import RetryableError

T = TypeVar("T")


class DependencyDownError(RetryableError):
    """The breaker is open: the dependency failed lately and has not been tried again."""


class Breaker:
    """Opens after `failures` in a row, lets one call through after `pause_s`, closes when that succeeds.

    Fowler's CircuitBreaker, for one event loop.
    """

    def __init__(self, name: str, *, failures: int = 3, pause_s: float = 2.0) -> None:
        self.name = name
        self._limit, self._pause_s = failures, pause_s
        self._failed = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether calls are refused now."""
        return self._failed >= self._limit and time.monotonic() < self._retry_at

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work()`; raise DependencyDownError without calling it while the breaker is open."""
        if self.is_open:
            raise DependencyDownError(f"{self.name}: failed {self._failed} times in a row; it is tried again shortly")
        if self._failed >= self._limit:
            self._retry_at = time.monotonic() + self._pause_s  # this call is the probe, the others go on waiting
        try:
            result = await work()
        except RetryableError:
            self._failed += 1
            self._retry_at = time.monotonic() + self._pause_s
            raise
        self._failed = 0
        return result


class Breakers:
    """One breaker a dependency, kept for as long as the process runs."""

    def __init__(self) -> None:
        self._breakers: dict[str, Breaker] = {}

    def of(self, dependency: str) -> Breaker:
        """Return the dependency's breaker, the same one every time."""
        return self._breakers.setdefault(dependency, Breaker(dependency))
