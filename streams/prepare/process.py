"""One parser process, as the stage sees it: started, asked, ended."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from headwater.errors import FatalError
from streams.prepare.frames import HEADER, Frame, frame
from streams.prepare.worker import MEMORY_FIELD_BYTES, WorkerSpec

# A parser gets no secrets: of the stage's environment only what an interpreter needs to start.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# One thread each: the pool's size is the parallelism. Every thread would also take address space from the limit.
_OWN = {
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONHASHSEED": "0",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}
_READ_LIMIT_BYTES = 1024 * 1024


class ProcessDiedError(Exception):
    """The process ended before it answered. Internal to the pool."""

    def __init__(self, returncode: int | None) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class ParserProcess:
    """A started parser process. Not for concurrent use."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.served = 0
        self.resident_bytes = 0

    @classmethod
    async def start(cls, spec: WorkerSpec) -> Self:
        """Start a process and wait until it is ready. Raises FatalError: its reason stands on standard error."""
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "streams.prepare.worker",
            spec.dump(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**kept, **_OWN},
            limit=_READ_LIMIT_BYTES,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(spec.limits.start_s):
                await worker._receive()
        except (ProcessDiedError, TimeoutError) as error:
            await worker.end()
            raise FatalError(
                "the parser process does not start: its error stands above; check the models' folder and memory limit"
            ) from error
        except BaseException:  # cancelled: nobody else knows this process
            await worker.end()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    async def ask(self, content: bytes | Path, wanted: Mapping[str, Any]) -> tuple[Frame, bytes]:
        """Have a document worked on as the hints say. Returns a PREPARED or FAILED frame. Raises ProcessDiedError."""
        path = str(content) if isinstance(content, Path) else None
        hints = json.dumps({**wanted, "path": path}).encode()
        stdin = self._process.stdin
        if stdin is None:
            raise ProcessDiedError(self._process.returncode)
        try:
            stdin.write(frame(Frame.HINTS, hints))
            stdin.write(frame(Frame.CONTENT, content if isinstance(content, bytes) else b""))
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise ProcessDiedError(await self._process.wait()) from None
        kind, body = await self._receive()
        self.served += 1
        if kind is Frame.PREPARED:
            self.resident_bytes = int.from_bytes(body[:MEMORY_FIELD_BYTES], "big")
            body = body[MEMORY_FIELD_BYTES:]
        return kind, body

    async def end(self) -> None:
        """Kill the process and wait until it is gone. Safe to repeat."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _receive(self) -> tuple[Frame, bytes]:
        stdout = self._process.stdout
        if stdout is None:
            raise ProcessDiedError(self._process.returncode)
        try:
            kind, length = HEADER.unpack(await stdout.readexactly(HEADER.size))
            return Frame(kind), await stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            raise ProcessDiedError(await self._process.wait()) from None
