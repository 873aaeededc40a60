"""A retry is a value with a budget, in one layer only."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from headwater.errors import DeferredError, RetryableError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long to try again.

    `delays()` yields the waits between attempts, in seconds: exponential, each scaled by 1 ± jitter, never above
    `max_delay_s`, and all of them together within `budget_s`.
    """

    attempts: int
    first_delay_s: float
    factor: float = 2.0
    jitter: float = 0.5
    max_delay_s: float = 30.0
    budget_s: float = 60.0

    def delays(self) -> Iterator[float]:
        """Yield `attempts - 1` waits at the most, fewer where the budget is spent first."""
        spent, delay = 0.0, self.first_delay_s
        for _ in range(self.attempts - 1):
            wait = min(delay, self.max_delay_s) * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - jitter needs no secrecy
            spent += wait
            if spent > self.budget_s:
                return
            yield wait
            delay *= self.factor


async def retry(call: Callable[[], Awaitable[T]], *, policy: RetryPolicy) -> T:
    """Await `call()` until it returns; the last `RetryableError` is raised when the policy is used up.

    A `DeferredError` is raised at once: it says when, and that is later than anybody waits in place.
    """
    for delay_s in policy.delays():
        try:
            return await call()
        except DeferredError:
            raise
        except RetryableError:
            await asyncio.sleep(delay_s)
    return await call()
