"""Waiting for a condition of the same event loop, or of the world, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable


async def reached(
    condition: Callable[[], bool | Awaitable[bool]], *, deadline_s: float = 5.0, every_s: float = 0.001
) -> None:
    """Return when the condition holds. Fails after the deadline."""
    end = time.monotonic() + deadline_s
    while not await _holds(condition):
        if time.monotonic() > end:
            raise AssertionError(f"not reached within {deadline_s} s")
        await asyncio.sleep(every_s)


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    result = condition()
    return await result if isawaitable(result) else result
