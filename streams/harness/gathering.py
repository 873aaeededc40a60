"""Many calls made as one."""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from headwater.errors import PoisonError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(Generic[T, R]):
    item: T
    weight: int
    patient: bool
    settled: asyncio.Future[R]


class Coalescer(Generic[T, R]):
    """Serves single items in few calls: while one call is under way, what arrives waits and goes together in the next.

    So a lone item is not delayed and a crowd costs one call. Items of a call are in the order of their arrival. Patient
    items let `patience_s` pass since the last call began, unless one that is not patient takes them along: the first
    goes at once, and of a stream of them there is a call in so many seconds, with all that came meanwhile.
    """

    def __init__(
        self,
        call: Callable[[Sequence[T]], Awaitable[Sequence[R] | None]],
        *,
        max_weight: int,
        patience_s: float = 0.0,
    ) -> None:
        """Take a call that returns one result per item, or None where there is nothing to return."""
        self._call, self._max_weight, self._patience_s = call, max_weight, patience_s
        self._queue: deque[_Waiting[T, R]] = deque()
        self._hurry = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._began_s = -math.inf  # the last call, on the loop's clock

    async def add(self, item: T, *, weight: int, patient: bool = False) -> R:
        """Return the item's result. Raises what its call raised."""
        settled: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item=item, weight=weight, patient=patient, settled=settled)
        self._queue.append(waiting)
        if not self._may_wait():
            self._hurry.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve_all())
        return await waiting.settled

    async def close(self) -> None:
        """Cancel the call under way; those who wait are cancelled with it."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        self._let_go()  # a task that is cancelled before its first step does nothing at its end either

    async def _serve_all(self) -> None:
        try:
            while self._queue:
                await self._crowd()
                self._began_s = asyncio.get_running_loop().time()
                await self._serve_together(self._next())
        finally:
            self._serving = None
            self._let_go()

    def _let_go(self) -> None:
        for left in self._queue:
            left.settled.cancel()
        self._queue.clear()

    async def _crowd(self) -> None:
        """Return at once when somebody is in a hurry or a call is full, else when the last call is long enough ago."""
        self._hurry.clear()
        until_s = self._began_s + self._patience_s
        if until_s > asyncio.get_running_loop().time() and self._may_wait():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    await self._hurry.wait()

    def _may_wait(self) -> bool:
        return all(each.patient for each in self._queue) and sum(each.weight for each in self._queue) < self._max_weight

    def _next(self) -> list[_Waiting[T, R]]:
        together = [self._queue.popleft()]
        weight = together[0].weight
        while self._queue and weight + self._queue[0].weight <= self._max_weight:
            weight += self._queue[0].weight
            together.append(self._queue.popleft())
        return together

    async def _serve_together(self, together: Sequence[_Waiting[T, R]]) -> None:
        try:
            results = await self._call([each.item for each in together])
        except PoisonError as error:
            if len(together) == 1:
                _fail(together, error)
            else:  # one of them is refused: only it shall suffer
                for each in together:
                    await self._serve_together([each])
        except asyncio.CancelledError:
            for each in together:
                each.settled.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - passed on to those who wait, who judge it
            _fail(together, error)
        else:
            for each, result in zip(together, results or itertools.repeat(None), strict=results is not None):
                if not each.settled.done():
                    each.settled.set_result(cast("R", result))


def _fail(together: Sequence[_Waiting[Any, Any]], error: Exception) -> None:
    for each in together:
        if not each.settled.done():
            each.settled.set_exception(error)
