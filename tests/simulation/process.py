"""Simulated hosts and processes: killed, frozen and thawed between any two calls to the outside."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from math import log
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

CURRENT: ContextVar["Process"] = ContextVar("current_process")
WORLD: ContextVar["World"] = ContextVar("current_world")


class KilledError(BaseException):
    """The process is dead: what its code does from here on never happens."""


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """A machine with a clock of its own."""

    name: str
    monotonic_s: Callable[[], float]
    start_ms: int
    offset_ms: int = 0  # how wrong its wall clock is

    def wall_ms(self) -> int:
        """Return what its wall clock shows, in ms since 1970."""
        return self.start_ms + int(self.monotonic_s() * 1000) + self.offset_ms

    def steady_ms(self) -> int:
        """Return ms since the machine started."""
        return 1_000_000 + int(self.monotonic_s() * 1000)


@dataclass(slots=True, kw_only=True, eq=False)
class Process:
    """One running worker. Whatever it asks of the outside goes through `io`: the only place where time passes."""

    name: str
    host: Host
    random: Random
    mean_s: float = 0.004  # of one way of a call
    tasks: dict["asyncio.Task[Any]", None] = field(default_factory=dict)  # in order: a set would be in that of memory
    dead: bool = False
    frozen: bool = False
    calls: int = 0
    cut_off: bool = False  # its calls time out: the network is gone
    _at_call: dict[int, Callable[[], object]] = field(default_factory=dict)
    _thaw: asyncio.Event = field(default_factory=asyncio.Event)
    on_silence: list[Callable[[], None]] = field(default_factory=list)  # told when it stops to be heard of

    async def io(self, effect: Callable[[], T], *, slowness: float = 1.0) -> T:
        """Send a request, let it take effect elsewhere, return the answer.

        What was sent takes effect even when the sender dies or freezes meanwhile, as a packet on the wire does.
        """
        if self.dead or self.frozen:
            await self.alive()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def arrive() -> None:
            try:
                result = effect()
            except Exception as error:  # noqa: BLE001 - whatever the other side says is the caller's to judge
                loop.call_later(self._way_s(slowness), _settle, answer, None, error)
            else:
                loop.call_later(self._way_s(slowness), _settle, answer, result, None)

        loop.call_later(self._way_s(slowness), arrive)
        self.calls += 1
        if (fate := self._at_call.pop(self.calls, None)) is not None:
            loop.call_later(self._way_s(slowness), fate)  # before, while or after the call takes effect
        value = await answer
        if self.dead or self.frozen:
            await self.alive()
        return value

    async def alive(self) -> None:
        """Return while the process runs; wait while it is frozen."""
        if self.dead:
            raise asyncio.CancelledError
        while self.frozen:
            await self._thaw.wait()
        if self.dead:
            raise asyncio.CancelledError

    def kill(self) -> None:
        """SIGKILL: every task of it stops where it is."""
        if self.dead:
            return
        self.dead = True
        self._thaw.set()
        for task in list(self.tasks):
            task.cancel()
        for tell in list(self.on_silence):
            tell()

    def at_call(self, calls: int, fate: Callable[[], object]) -> None:
        """Let something happen around its so many'th call from now."""
        self._at_call[self.calls + calls] = fate

    def cut(self, for_s: float) -> None:
        """Take its network away for some time."""
        self.cut_off = True
        for tell in list(self.on_silence):
            tell()
        asyncio.get_running_loop().call_later(for_s, setattr, self, "cut_off", False)

    def freeze(self) -> None:
        """SIGSTOP."""
        if not self.dead and not self.frozen:
            self.frozen = True
            self._thaw.clear()
            for tell in list(self.on_silence):
                tell()

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        self.frozen = False
        self._thaw.set()

    @property
    def silent(self) -> bool:
        """Whether nobody hears of it now."""
        return self.dead or self.frozen or self.cut_off

    def _way_s(self, slowness: float) -> float:
        # `expovariate(1.0)`, without its call: twice for every call of a story.
        return -log(1.0 - self.random.random()) * self.mean_s * slowness + 0.0001


def _settle(future: "asyncio.Future[Any]", value: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class Blocking:
    """Runs blocking code beside the loop, in strict turns with it: only one of the two ever runs.

    The code has a stack of its own and shares the loop's thread: a turn costs no lock and no wait for a processor.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(self, work: Callable[[], None]) -> None:
        """Return when `work` has returned. A kill ends the code at its next call to the outside."""
        inner = _Stack(self._process, work)
        killed: asyncio.CancelledError | None = None
        try:
            request: Callable[[], Awaitable[Any]] | None = inner.switch()
            while request is not None:
                try:
                    answer = await request()
                except asyncio.CancelledError as error:
                    killed = error
                    request = inner.throw(KilledError())
                except Exception as error:  # noqa: BLE001 - raised again where the call was made
                    request = inner.throw(error)
                else:
                    request = inner.switch(answer)
        except Exception:
            if killed is None:
                raise
        if killed is not None:
            raise killed


class _Stack(greenlet):  # type: ignore[misc] # greenlet has no type information
    """Blocking code that has begun. It gives up its turn with what it asks for; None at its end."""

    def __init__(self, process: Process, work: Callable[[], None]) -> None:
        super().__init__()
        self.gr_context = copy_context()
        self._process, self._work = process, work

    def run(self) -> None:
        with suppress(KilledError):
            self._work()

    def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Called by the code: have the loop await something, and return its result."""
        if self._process.dead:
            raise KilledError
        answer: T = self.parent.switch(request)
        return answer


def ask(request: Callable[[], Awaitable[T]]) -> T:
    """Block until the loop has awaited this. Only in code that `Blocking` runs."""
    stack: _Stack = getcurrent()
    return stack.ask(request)


def is_blocking() -> bool:
    """Say whether this is code of `Blocking`."""
    return isinstance(getcurrent(), _Stack)


async def call(effect: Callable[[], T], *, slowness: float = 1.0) -> T:
    """Do `io` of the current process, from a coroutine of the loop or from one that blocking code drives."""
    process = CURRENT.get()
    if is_blocking():
        return ask(lambda: process.io(effect, slowness=slowness))
    return await process.io(effect, slowness=slowness)


async def pause(seconds: float) -> None:
    """Let time pass for the current process."""
    process = CURRENT.get()

    async def sleep() -> None:
        await asyncio.sleep(seconds)
        await process.alive()

    if is_blocking():
        ask(sleep)
    else:
        await sleep()


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose every await blocks instead: what `asyncio.run` is to the code of `Blocking`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of a blocking process awaited something real")
