"""A pool of parser processes: a document that hangs, grows or crashes ends its own process and nothing else.

Processes are started with `exec`, never forked: the stage has threads, and a fork would copy their locks.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from headwater.content.detection import hinted_type
from headwater.content.media_types import CODE, MediaType
from headwater.errors import HeadwaterError
from headwater.generations.policy import ChunkPolicy
from headwater.telemetry.metrics import PARSER_PROCESSES_ENDED
from streams.prepare.errors import NAMED, LimitExceededError, ParserCrashedError
from streams.prepare.frames import Frame, Task
from streams.prepare.limits import MAX_PAGES, ParserLimits
from streams.prepare.prepared import Prepared, load_prepared
from streams.prepare.process import ParserProcess, ProcessDiedError
from streams.prepare.worker import WorkerSpec

_log = structlog.get_logger(__name__)


class ParserPool:
    """Turns documents into prepared texts, `processes` at a time. Open it with `open_pool`."""

    def __init__(self, spec: WorkerSpec, *, processes: int) -> None:
        self._spec = spec
        self._idle: asyncio.Queue[ParserProcess | None] = asyncio.Queue()  # None: a place whose process must be started
        self._processes = processes

    async def prepare(
        self,
        content: bytes | Path,
        *,
        declared: str | None = None,
        name: str | None = None,
        max_pages: int = MAX_PAGES,
    ) -> Prepared:
        """Parse and cut a document; a path is read by the parser process itself.

        Raises one of the named errors of `streams.prepare.errors`; LimitExceededError also for a document that ends
        its process. Raises ParserCrashedError for mistakes of ours, FatalError when no process can be started.
        """
        hints = {"task": Task.PREPARE, "declared": declared, "name": name, "max_pages": max_pages}
        try:
            body = await self._answer(content, hints)
        except LimitExceededError:
            if hinted_type(declared, name) not in CODE:
                raise
            # Nobody's file is parked for what its syntax tree costs: as plain text it may cost little.
            body = await self._answer(content, hints | {"declared": MediaType.TEXT, "name": None})
        return await asyncio.to_thread(load_prepared, body)

    async def read_pages(
        self,
        content: Path,
        *,
        first: int,
        count: int,
        declared: str | None,
        name: str | None,
        max_pages: int = MAX_PAGES,
    ) -> bytes | None:
        """Return a page range as `PageRange.dump` writes it; None for a document without pages. Raises as `prepare`."""
        hints = {
            "task": Task.PAGES,
            "declared": declared,
            "name": name,
            "first": first,
            "count": count,
            "max_pages": max_pages,
        }
        return await self._answer(content, hints) or None

    async def join(self, ranges: Sequence[bytes]) -> Prepared:
        """Join all ranges of a document, in order, and cut the whole. Raises as `prepare`."""
        body = await self._answer(b"\n".join(ranges), {"task": Task.JOIN})
        return await asyncio.to_thread(load_prepared, body)

    async def rest(self) -> None:
        """End the processes that are idle; the next document starts one again."""
        places = self._idle.qsize()
        await self.close()
        for _ in range(places):
            self._idle.put_nowait(None)

    async def _answer(self, content: bytes | Path, hints: Mapping[str, Any]) -> bytes:
        place = await self._idle.get()
        try:
            place, kind, body = await self._served(place, content, hints)
        except BaseException:  # cancelled or over a limit: the process is in an unknown state, and has been ended
            self._idle.put_nowait(None)
            raise
        self._idle.put_nowait(place)
        if kind is Frame.FAILED:
            raise _error(body)
        return body

    async def start(self, *, on_demand: bool) -> None:
        """Start all processes, or each when first needed. Raises FatalError; `close` ends those that have started."""
        for _ in range(self._processes):
            self._idle.put_nowait(None if on_demand else await ParserProcess.start(self._spec))

    async def close(self) -> None:
        """End all idle processes; those at work end when their callers are cancelled."""
        while not self._idle.empty():
            process = self._idle.get_nowait()
            if process is not None:
                await process.end()

    async def _served(
        self, process: ParserProcess | None, content: bytes | Path, hints: Mapping[str, Any]
    ) -> tuple[ParserProcess | None, Frame, bytes]:
        """Ask a process, a fresh one when the first dies. Returns the process to keep, if any, and its answer."""
        try:
            return await self._asked(process, content, hints)
        except ProcessDiedError as death:
            if death.returncode == -signal.SIGXCPU:
                raise LimitExceededError(
                    f"parsing needs more than {self._spec.limits.cpu_s} s of processor time: split the document"
                ) from None
        try:  # an operator, or the kernel for another's sake, may have killed the first
            return await self._asked(None, content, hints)
        except ProcessDiedError as death:
            raise LimitExceededError(
                f"the document ended two parser processes (exit {death.returncode}), most likely at the limit of "
                f"{self._spec.limits.memory_bytes} bytes of memory: split it, or save it again from its source"
            ) from None

    async def _asked(
        self, process: ParserProcess | None, content: bytes | Path, hints: Mapping[str, Any]
    ) -> tuple[ParserProcess | None, Frame, bytes]:
        asked = process or await ParserProcess.start(self._spec)
        try:
            async with asyncio.timeout(self._spec.limits.wall_s):
                kind, body = await asked.ask(content, hints)
        except TimeoutError:
            await self._ended(asked, "wall_time")
            raise LimitExceededError(
                f"parsing takes longer than {self._spec.limits.wall_s:g} s: split the document"
            ) from None
        except ProcessDiedError as death:
            _log.warning("parser_died", returncode=death.returncode, served=asked.served)
            await self._ended(asked, "processor_time" if death.returncode == -signal.SIGXCPU else "died")
            raise
        except BaseException:  # cancelled in the middle: its answer would be taken for the next document's
            await self._ended(asked, "cancelled")
            raise
        return await self._kept(asked), kind, body

    async def _kept(self, process: ParserProcess) -> ParserProcess | None:
        limits = self._spec.limits
        if process.served < limits.recycle_after and process.resident_bytes < limits.recycle_resident_bytes:
            return process
        await self._ended(process, "recycled")
        return None

    @staticmethod
    async def _ended(process: ParserProcess, reason: str) -> None:
        await process.end()
        PARSER_PROCESSES_ENDED.labels(reason=reason).inc()


@asynccontextmanager
async def open_pool(
    *, tokenizer_file: Path, policy: ChunkPolicy, limits: ParserLimits, processes: int, on_demand: bool = False
) -> AsyncIterator[ParserPool]:
    """Open a pool with all its processes ready, or `on_demand`, and end them whatever happens. Raises FatalError."""
    spec = WorkerSpec(tokenizer_file=str(tokenizer_file), policy=policy, limits=limits)
    pool = ParserPool(spec, processes=processes)
    try:
        await pool.start(on_demand=on_demand)
        yield pool
    finally:
        await pool.close()


def _error(body: bytes) -> HeadwaterError:
    fields = json.loads(body)
    named = NAMED.get(fields["error"])
    return named(fields["reason"]) if named else ParserCrashedError(f"the parser failed: {fields['reason']}")
