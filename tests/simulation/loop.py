"""An event loop whose clock jumps to the next timer, so that minutes pass in milliseconds and a run can be repeated."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from contextvars import Context
from datetime import UTC, datetime, tzinfo
from types import ModuleType
from typing import Any, Self, TypeVar
from unittest.mock import patch

import streams.embed.agent
import streams.harness.parking
import streams.indexing.stage
import streams.prepare.agent
from tests.simulation.process import CURRENT

T = TypeVar("T")

_MOST_WITHOUT_TIME = 20_000
START_MS = 1_767_614_400_000  # noon of a Monday: what every host's clock shows when a run begins
_READ_NOW: tuple[ModuleType, ...] = (
    streams.embed.agent,
    streams.harness.parking,
    streams.indexing.stage,
    streams.prepare.agent,
)


class StuckError(AssertionError):
    """Nothing is ready and no timer is set: every task waits for something that will never come."""


class _Selector:
    """Where a real loop waits for sockets, this one moves its clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop, self._idle = loop, 0

    def select(self, timeout_s: float | None) -> list[object]:
        if timeout_s is None:
            raise StuckError("no task can ever run again")
        self._idle = 0 if timeout_s > 0 else self._idle + 1
        if self._idle > _MOST_WITHOUT_TIME:
            raise StuckError("the tasks go round without letting time pass")
        self._loop.virtual_s += max(timeout_s, 0.0)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, without a selector and without real time."""

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = 0.0
        self.steps = 0
        self._selector = _Selector(self)
        self.set_task_factory(_belonging)

    def time(self) -> float:
        return self.virtual_s

    def _process_events(self, event_list: list[object]) -> None:
        self.steps += 1

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector that would have to be woken."""


def _belonging(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Note to which simulated process a task belongs: a kill takes all of them."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context: Context | None = options.get("context")
    process = CURRENT.get(None) if context is None else context.get(CURRENT)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


class VirtualDatetime(datetime):
    """`datetime.now` by the clock of the host whose process asks."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return datetime.fromtimestamp(wall_ms() / 1000, tz=tz or UTC)  # type: ignore[return-value] # plain datetimes, as in production


def wall_ms() -> int:
    """Return what the clock of the current process's host shows."""
    process = CURRENT.get(None)
    return START_MS if process is None else process.host.wall_ms()


@contextlib.contextmanager
def virtual_time(loop: VirtualLoop) -> Iterator[None]:
    """Let all code see the loop's clock."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch("time.monotonic", lambda: loop.virtual_s))
        stack.enter_context(patch("time.time_ns", lambda: wall_ms() * 1_000_000))
        for module in _READ_NOW:
            stack.enter_context(patch.object(module, "datetime", VirtualDatetime))
        yield


def run_virtually(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, then drop whatever is left."""
    asyncio.set_event_loop(loop)
    try:
        with virtual_time(loop):
            try:
                return loop.run_until_complete(main)
            finally:
                while left := asyncio.all_tasks(loop):  # what ends may begin the next: a dispatcher its next event
                    for task in left:
                        task.cancel()
                    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
