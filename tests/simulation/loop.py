"""An event loop whose clock jumps to the next timer, so that minutes pass in milliseconds and a run can be repeated."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from datetime import UTC, datetime, tzinfo
from heapq import heapify, heappop, heappush
from types import ModuleType
from typing import Any, Self, TypeVar, TypeVarTuple, cast
from unittest.mock import patch

import headwater.generations.directory
import headwater.generations.lifecycle
import streams.embed.agent
import streams.harness.parking
import streams.indexing.stage
import streams.prepare.agent
from tests.simulation.process import CURRENT

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MOST_WITHOUT_TIME = 20_000
_RESOLUTION_S = 1e-9
_FEW_TIMERS = 100
START_MS = 1_767_614_400_000  # noon of a Monday: what every host's clock shows when a run begins
_READ_NOW: tuple[ModuleType, ...] = (
    headwater.generations.directory,
    headwater.generations.lifecycle,
    streams.embed.agent,
    streams.harness.parking,
    streams.indexing.stage,
    streams.prepare.agent,
)


class StuckError(AssertionError):
    """Nothing is ready and no timer is set: every task waits for something that will never come."""


class _Call(asyncio.Handle):
    """A callback that waits for its turn, taken in without the base class's questions: nobody debugs this loop."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._callback, self._args, self._loop = callback, args, loop
        self._cancelled, self._repr, self._source_traceback = False, None, None


class _Timer(float):
    """The same, which waits for its time: a number, so that a heap of them compares without calling anything."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_loop", "_scheduled")

    _args: Any
    _callback: Any
    _cancelled: bool
    _context: Context
    _loop: "VirtualLoop"
    _scheduled: bool

    def cancel(self) -> None:
        """As TimerHandle does."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None
            self._loop._timer_cancelled_count += self._scheduled

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return float(self)


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, without a selector and without real time: where one waits for sockets, this moves its clock.

    A story is twenty thousand rounds, so a round and what takes in a callback do nothing else. Timers lie in the very
    heap of the base class: those of one instant run in the order in which they always did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = 0.0
        self._ready: deque[_Call | _Timer]
        self._scheduled: list[_Timer]
        self._timer_cancelled_count: int
        self._stopping: bool
        self.set_task_factory(_belonging)

    def time(self) -> float:
        return self.virtual_s

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = _Call(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.virtual_s + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when)
        timer._context = copy_context() if context is None else context
        timer._callback, timer._args, timer._loop = callback, args, self
        timer._cancelled, timer._scheduled = False, True
        heappush(self._scheduled, timer)
        return cast("asyncio.TimerHandle", timer)

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector that would have to be woken."""

    def _run_once(self) -> None:
        """Go round as often as the base class would until something stops the loop."""
        ready, timers = self._ready, self._scheduled
        idle = 0  # rounds since time passed
        while True:
            if timers and (timers[0]._cancelled or len(timers) > _FEW_TIMERS):
                self._drop_cancelled(timers)
            idle += 1
            if not ready and not self._stopping:
                if not timers:
                    raise StuckError("no task can ever run again")
                if timers[0] > self.virtual_s:
                    # As the base class adds what it has slept: the sum may differ from the timer's own time.
                    self.virtual_s += timers[0] - self.virtual_s
                    idle = 0
            if idle > _MOST_WITHOUT_TIME:
                raise StuckError("the tasks go round without letting time pass")
            end_s = self.virtual_s + _RESOLUTION_S
            while timers and timers[0] < end_s:
                timer = heappop(timers)
                timer._scheduled = False
                ready.append(timer)
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    try:
                        handle._context.run(handle._callback, *handle._args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # noqa: BLE001 - the handler is told, and the loop goes on
                        self.call_exception_handler({"message": "a callback failed", "exception": error})
            if self._stopping:
                return

    def _drop_cancelled(self, timers: "list[_Timer]") -> None:
        if len(timers) > _FEW_TIMERS and self._timer_cancelled_count / len(timers) > 0.5:
            timers[:] = [timer for timer in timers if not timer._cancelled]
            heapify(timers)
            self._timer_cancelled_count = 0
            return
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1
            heappop(timers)._scheduled = False


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
