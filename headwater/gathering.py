"""Calls made side by side."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all, in order of the results. The first error cancels the others and is raised as it is, in no group."""
    caller = asyncio.current_task()
    asked = 0 if caller is None else caller.cancelling()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        # The group asked its caller to cancel, and before Python 3.13 leaves it so. Up to 3.11.2 the caller's next
        # `asyncio.timeout` then ends in a cancellation instead of a TimeoutError.
        if caller is not None and caller.cancelling() > asked:
            caller.uncancel()
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
