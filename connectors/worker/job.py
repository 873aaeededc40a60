"""One source in a worker's hands: a run that settles requests, or following it in between."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog

from connectors.endings import Ending, SyncReport
from connectors.runner import RETRY
from connectors.worker.ledger import Sync, outgoing
from connectors.worker.ports import Fence, Held, Jobs, Key, SyncLog
from connectors.worker.queue import Run
from headwater.errors import HeadwaterError
from headwater.retry import retry
from headwater.telemetry.metrics import SYNCS_ENDED
from schemas.events.base import Position
from schemas.events.directory import Source
from schemas.ids import Revision

log = structlog.get_logger(__name__)

REMOVED: Final = "the directory has no such source"


@dataclass(slots=True, kw_only=True)
class Job:
    """Brings one source to an ending, and records it. `run` is None for a source that is followed."""

    sync: Sync
    run: Run | None
    source: Source | None
    created: Revision | None
    jobs: Jobs
    syncs: SyncLog
    topic: str  # of progress
    may_write: Callable[[], None]
    tell_every_s: float
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    stop: "asyncio.Future[SyncReport]"  # how it shall end instead
    so_far: SyncReport = field(default_factory=lambda: SyncReport(ending=Ending.SUSPENDED))
    told_at: float = float("-inf")

    @property
    def key(self) -> Key:
        """Whose it is."""
        return self.sync.key

    def settle_up_to(self, requested: Position) -> None:
        """Let the ending settle requests up to here: one that came while it ran and cancels it."""
        self.sync = replace(self.sync, requested=requested)

    def end_as(self, ending: Ending, reason: str | None = None) -> None:
        """Stop at the next await; what was submitted stays and the cursor knows of it. The first word counts."""
        if not self.stop.done():
            self.stop.set_result(SyncReport(ending=ending, reason=reason))

    async def perform(self) -> SyncReport:
        """Return how it ended, once that is recorded. Raises LostError; cancelled, it records nothing."""
        async with self.syncs.take(self.key) as fence:
            report = await self._report(fence)
            if self.run is not None or not self.stop.done():
                await self._record(fence, report, ended=True)
        log.info("sync_ended", outcome=report.ending.value, mode=self.sync.mode.value, count=report.upserted)
        return report

    async def _report(self, fence: Fence) -> SyncReport:
        if self.run is not None and self.run.cancelled:
            return _ended(Ending.CANCELLED, "on request")
        if self.source is None:
            return _ended(Ending.CANCELLED, REMOVED)
        if self.source.paused:
            return _ended(Ending.PAUSED, None)
        log.info("sync_begun", source=self.key[1], mode=self.sync.mode.value)
        if self.run is not None:
            await self._record(fence, self.so_far, ended=False)
        held = Held(
            key=self.key,
            source=self.source,
            fence=fence,
            may_write=self.may_write,
            tell=lambda report: self._tell(fence, report),
            created=self.created,
        )
        return await self._unless_stopped(
            self.jobs.follow(held) if self.run is None else self.jobs.sync(held, self.run.work)
        )

    async def _unless_stopped(self, work: Coroutine[Any, Any, SyncReport]) -> SyncReport:
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working, self.stop}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
            if working.cancelled():
                asked = self.stop.result()
                return replace(self.so_far, ending=asked.ending, reason=asked.reason)
            return self._judged(working)
        finally:
            working.cancel()

    def _judged(self, working: "asyncio.Future[SyncReport]") -> SyncReport:
        error = working.exception()
        if error is None:
            return working.result()
        if isinstance(error, HeadwaterError) or not isinstance(error, Exception):
            raise error
        # A defect of one connector must not end the worker, which reads others' sources too.
        log.error("connector_defect", error=type(error).__name__, exc_info=error)
        reason = f"a defect of the connector ({type(error).__name__}); the worker's log has it"
        SYNCS_ENDED.labels(ending=Ending.FAILED.value).inc()
        return replace(self.so_far, ending=Ending.FAILED, reason=reason)

    async def _tell(self, fence: Fence, report: SyncReport) -> None:
        self.so_far = report
        if self.run is not None and self.monotonic() - self.told_at >= self.tell_every_s:
            await self._record(fence, report, ended=False)

    async def _record(self, fence: Fence, report: SyncReport, *, ended: bool) -> None:
        self.told_at = self.monotonic()
        record = outgoing(self.sync.said(report, ended=ended, now=self.now()), self.topic)
        await retry(lambda: fence.append([record]), policy=RETRY)


def _ended(ending: Ending, reason: str | None) -> SyncReport:
    SYNCS_ENDED.labels(ending=ending.value).inc()
    return SyncReport(ending=ending, reason=reason)
