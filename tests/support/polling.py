"""Asking a real component until it answers as expected, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T | None]], *, within_s: float = 10.0) -> T:
    """Ask until the answer is true, and return it; raise TimeoutError after `within_s`."""
    async with asyncio.timeout(within_s):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)
    return found
