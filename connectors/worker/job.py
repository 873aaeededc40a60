"""One source in a worker's hands: a run that settles requests, or following it in between."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog
from structlog.contextvars import bound_contextvars

from connectors.endings import Ending, SyncReport
from connectors.runner import RETRY
from connectors.worker.ledger import Sync, outgoing
from connectors.worker.ports import Fence, Held, Jobs, Key, SyncLog
from connectors.worker.queue import Run
from headwater.errors import HeadwaterError, RetryableError
from headwater.retry import RetryPolicy, retry
from headwater.telemetry.metrics import SYNCS_ENDED
from schemas.events.base import Position
from schemas.events.directory import Source
from schemas.ids import Revision

log = structlog.get_logger(__name__)

REMOVED: Final = "the directory has no such source"
ONCE: Final = RetryPolicy(attempts=1, first_delay_s=0.0)


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
        with bound_contextvars(tenant_id=self.key[0], source=self.key[1]):
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
        log.info("sync_begun", mode=self.sync.mode.value)
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
        work = self.jobs.follow(held) if self.run is None else self.jobs.sync(held, self.run.work)
        return await self._unless_stopped(fence, work)

    async def _unless_stopped(self, fence: Fence, work: Coroutine[Any, Any, SyncReport]) -> SyncReport:
        """Return how the work ends, or shall end instead. Meanwhile say how far it is, also where nothing moves."""
        working = asyncio.ensure_future(work)
        try:
            while not await self._first_done(working):
                with suppress(RetryableError):  # the next word says it too
                    await self._tell(fence, self.so_far, policy=ONCE)
            waits_until = self.jobs.waits_until(self.key)
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
            if working.cancelled():
                asked = self.stop.result()
                return replace(self.so_far, ending=asked.ending, reason=asked.reason, waits_until=waits_until)
            return self._judged(working)
        finally:
            working.cancel()

    async def _first_done(self, working: "asyncio.Future[SyncReport]") -> bool:
        """Say whether the work ended, or shall, before the next word of it is due."""
        waited_for = {working, self.stop}
        done, _ = await asyncio.wait(waited_for, timeout=self.tell_every_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

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

    async def _tell(self, fence: Fence, report: SyncReport, *, policy: RetryPolicy = RETRY) -> None:
        self.so_far = replace(report, waits_until=self.jobs.waits_until(self.key))
        if self.run is not None and self.monotonic() - self.told_at >= self.tell_every_s:
            await self._record(fence, self.so_far, ended=False, policy=policy)

    async def _record(self, fence: Fence, report: SyncReport, *, ended: bool, policy: RetryPolicy = RETRY) -> None:
        self.told_at = self.monotonic()
        record = outgoing(self.sync.said(report, ended=ended, now=self.now()), self.topic)
        await retry(lambda: fence.append([record]), policy=policy)


def _ended(ending: Ending, reason: str | None) -> SyncReport:
    SYNCS_ENDED.labels(ending=ending.value).inc()
    return SyncReport(ending=ending, reason=reason)
