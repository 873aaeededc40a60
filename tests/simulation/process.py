"""Simulated hosts and processes: killed, frozen and thawed between any two calls to the outside."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

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
        return self.random.expovariate(1.0) * self.mean_s * slowness + 0.0001


def _settle(future: "asyncio.Future[Any]", value: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


_LOCAL = threading.local()


class Blocking:
    """Runs blocking code in a thread, in strict turns with the loop: only one of the two ever runs."""

    def __init__(self, process: Process) -> None:
        self._process = process
        # Locks that one side takes and the other lets go: half the work of a semaphore, some thousand times a story.
        self._loop_turn, self._thread_turn = threading.Lock(), threading.Lock()
        self._loop_turn.acquire()
        self._thread_turn.acquire()
        self._request: Callable[[], Awaitable[Any]] | None = None
        self._answer: Any = None
        self._error: BaseException | None = None
        self._ended: BaseException | None = None
        self._done = False

    async def run(self, work: Callable[[], None]) -> None:
        """Return when `work` has returned. A kill ends the thread at its next call to the outside."""
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(self._work, work), daemon=True)
        thread.start()
        killed: asyncio.CancelledError | None = None
        while True:
            self._thread_turn.release()
            self._loop_turn.acquire()
            if self._done:
                break
            request, self._error = self._request, None
            try:
                if request is None:
                    raise RuntimeError("the thread gave up its turn without asking for anything")
                self._answer = await request()
            except asyncio.CancelledError as error:
                killed, self._error = error, KilledError()
            except Exception as error:  # noqa: BLE001 - raised again where the call was made
                self._error = error
        thread.join()
        if killed is not None:
            raise killed
        if self._ended is not None:
            raise self._ended

    def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Called in the thread: have the loop await something, and return its result."""
        if self._process.dead:
            raise KilledError
        self._request = request
        self._loop_turn.release()
        self._thread_turn.acquire()
        if self._error is not None:
            raise self._error
        answer: T = self._answer
        return answer

    def _work(self, work: Callable[[], None]) -> None:
        self._thread_turn.acquire()
        _LOCAL.blocking = self
        try:
            work()
        except KilledError:
            pass
        except Exception as error:  # noqa: BLE001 - handed to the loop's side
            self._ended = error
        finally:
            self._done = True
            self._loop_turn.release()


def ask(request: Callable[[], Awaitable[T]]) -> T:
    """Block until the loop has awaited this. Only in code that `Blocking` runs."""
    blocking: Blocking = _LOCAL.blocking
    return blocking.ask(request)


def is_blocking() -> bool:
    """Say whether this code runs in a thread of `Blocking`."""
    return getattr(_LOCAL, "blocking", None) is not None


async def call(effect: Callable[[], T], *, slowness: float = 1.0) -> T:
    """Do `io` of the current process, from a coroutine of the loop or from one that a thread drives."""
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
    """Run a coroutine whose every await blocks instead: what `asyncio.run` is to a thread of `Blocking`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of a blocking process awaited something real")
