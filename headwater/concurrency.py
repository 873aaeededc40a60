"""Calls made side by side."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all, in order of the results. The first error cancels the others and is raised as it is, in no group.

    Not `asyncio.TaskGroup`: in Python 3.11 it leaves its task counted as being cancelled once one of its calls has
    failed, and in 3.11.2, Debian 12's, `asyncio.timeout` raises CancelledError in such a task for ever (ADR 0166).
    """
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
