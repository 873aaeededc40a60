"""A reader as a process: started, listened to, ended with all that it started. Its code is never in this process.

It gets no environment but PATH, a folder that is removed after it, and what the host's settings say; what it must know
is handed over in memory (memfd_create(2)), so that no credential touches a disk. It speaks to its source itself.
"""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Final

from headwater.errors import FatalError, RetryableError
from headwater.settings import ReaderProgram

LAST_WORDS_BYTES: Final = 4_096
PIECE_BYTES: Final = 64 * 1024
EXIT_WITHIN_S: Final = 30.0  # of its last word
LAST_WORDS_WITHIN_S: Final = 1.0  # of its end


class ReaderOverrunError(RetryableError):
    """A reader that took more time, or said more, than this host allows."""


class TooLong:
    """In place of a line above the limit."""


@dataclass(slots=True, kw_only=True)
class Running:
    """A started reader."""

    process: asyncio.subprocess.Process
    allowed: ReaderProgram
    until: float  # on the loop's clock
    _last_words: bytearray = field(default_factory=bytearray)
    _draining: "asyncio.Task[None]" = field(init=False)

    def __post_init__(self) -> None:
        # Its standard error is read all the time, lest it wait for somebody to do so; the end of it is kept.
        self._draining = asyncio.create_task(self._drain())

    async def lines(self) -> AsyncIterator[bytes | TooLong]:
        """Yield what it says, a line each, until it closes its output. Raise ReaderOverrunError."""
        buffer, dropped, total = bytearray(), False, 0
        while piece := await self._piece():
            total += len(piece)
            if total > self.allowed.output_bytes:
                raise ReaderOverrunError(f"it said more than {self.allowed.output_bytes} bytes (output_bytes)")
            *ends, rest = piece.split(b"\n")
            for end in ends:
                dropped = dropped or len(buffer) + len(end) > self.allowed.line_bytes
                yield TooLong() if dropped else bytes(buffer + end)
                buffer, dropped = bytearray(), False
            dropped = dropped or len(buffer) + len(rest) > self.allowed.line_bytes
            buffer = bytearray() if dropped else buffer + rest
        if buffer or dropped:
            yield TooLong() if dropped else bytes(buffer)

    async def status(self) -> int:
        """Return its exit status, of a signal the negative number. Raise ReaderOverrunError where it lives on."""
        try:
            async with asyncio.timeout(EXIT_WITHIN_S):
                status = await self.process.wait()
        except TimeoutError:
            raise ReaderOverrunError(f"it did not end within {EXIT_WITHIN_S:g} s of its last word") from None
        # What it started may live on and hold its standard error open.
        await asyncio.wait({self._draining}, timeout=LAST_WORDS_WITHIN_S)
        return status

    def last_words(self) -> str:
        """Return the last line of its standard error, for a reason that it did not give otherwise."""
        said = bytes(self._last_words).strip()
        if b"\n" not in said and len(self._last_words) == LAST_WORDS_BYTES:
            return ""  # the end of a longer line: a secret that it begins with would not be recognised
        return said.rpartition(b"\n")[2].decode(errors="replace")

    async def end(self) -> None:
        """Wait until it is gone. It must have been killed."""
        await self.process.wait()
        self._draining.cancel()
        await asyncio.wait({self._draining})

    async def _drain(self) -> None:
        if self.process.stderr is None:
            return
        while piece := await self.process.stderr.read(PIECE_BYTES):
            self._last_words += piece
            del self._last_words[:-LAST_WORDS_BYTES]

    async def _piece(self) -> bytes:
        if self.process.stdout is None:
            return b""
        left_s = self.until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(left_s, self.allowed.silence_timeout_s))):
                return await self.process.stdout.read(PIECE_BYTES)
        except TimeoutError:
            if left_s <= self.allowed.silence_timeout_s:
                raise ReaderOverrunError(f"it ran for {self.allowed.run_timeout_s:g} s (run_timeout_s)") from None
            raise ReaderOverrunError(
                f"it said nothing for {self.allowed.silence_timeout_s:g} s (silence_timeout_s)"
            ) from None


@asynccontextmanager
async def running(
    name: str, allowed: ReaderProgram, command: str, given: Mapping[str, bytes]
) -> AsyncIterator[Running]:
    """Start a reader with `--NAME FILE` for each of the given; on leaving, its whole process group is killed.

    Raises FatalError where this host cannot start it.
    """
    with ExitStack() as held:
        folder = held.enter_context(TemporaryDirectory(prefix="headwater-reader-", ignore_cleanup_errors=True))
        files = {option: held.enter_context(_in_memory(option, content)) for option, content in given.items()}
        options = [word for option, number in files.items() for word in (f"--{option}", f"/dev/fd/{number}")]
        try:
            process = await asyncio.create_subprocess_exec(
                *allowed.command,
                command,
                *options,
                *allowed.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, **allowed.environment},
                cwd=folder,
                pass_fds=tuple(files.values()),
                start_new_session=True,
            )
        except OSError as error:
            raise FatalError(
                f"reader {name}: cannot be started ({error.strerror}); correct its command in "
                "HEADWATER_CONNECTORS__READERS where the connector worker runs"
            ) from error
        until = asyncio.get_running_loop().time() + allowed.run_timeout_s
        started = Running(process=process, allowed=allowed, until=until)
        try:
            _limit(process.pid, allowed)
            yield started
        finally:
            _kill_group(process.pid)
            await started.end()


def _limit(pid: int, allowed: ReaderProgram) -> None:
    """Bound its memory and leave no core dump of what it held; what it starts inherits that."""
    with suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(pid, resource.RLIMIT_AS, (allowed.memory_bytes, allowed.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextmanager
def _in_memory(name: str, content: bytes) -> Iterator[int]:
    """Hold a file that is in no folder. Whoever has its number may open it again, from the beginning."""
    number = os.memfd_create(name)
    try:
        with open(number, "wb", closefd=False) as written:
            written.write(content)
        yield number
    finally:
        os.close(number)
