"""The sources that a worker holds: their queues, and the jobs at work on them."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

import structlog

from connectors.endings import Ending, SyncReport
from connectors.worker.job import REMOVED, Job
from connectors.worker.ledger import UNSETTLED, Sync, settled_by
from connectors.worker.places import Places
from connectors.worker.ports import Jobs, Key, Sources, SyncLog
from connectors.worker.queue import NOTHING_SETTLED, Run, SourceQueue, to_commit
from headwater.clients.kafka.config import topic_of
from headwater.errors import HeadwaterError
from headwater.settings import Settings
from schemas.events.base import Position
from schemas.events.directory import Source
from schemas.events.syncs import SyncMode, SyncProgressed, SyncRequested
from schemas.topics import Topic

log = structlog.get_logger(__name__)

# A request may overtake the record of its source, which takes the longer way through admission.
UNKNOWN_FOR: Final = timedelta(seconds=10)
REST_S: Final = 5.0  # after a job that could not record its ending
_GOES_ON: Final = frozenset({Ending.COMPLETED, Ending.NOTHING_NEW, Ending.PARTIAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deferral:
    """A source that allows no request yet. It is said of the source as it was: another address has other limits."""

    until: datetime
    source: Source | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Active:
    job: Job
    task: "asyncio.Task[SyncReport]"


@dataclass(slots=True, kw_only=True)
class Desk:
    """Begins, stops and buries jobs. Belongs to one task; `check` raises LostError where a source may be lost."""

    settings: Settings
    syncs: SyncLog
    sources: Sources
    jobs: Jobs
    check: Callable[[Key], None]
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    _queues: dict[Key, SourceQueue] = field(default_factory=dict)
    _active: dict[Key, _Active] = field(default_factory=dict)
    _read: dict[int, int] = field(default_factory=dict)
    _rests_until: dict[Key, float] = field(default_factory=dict)
    _deferred: dict[Key, _Deferral] = field(default_factory=dict)
    _begun_at: dict[Key, datetime] = field(default_factory=dict)
    _ended_at: dict[Key, datetime] = field(default_factory=dict)

    def adopt(self, newest: Mapping[Key, SyncProgressed]) -> None:
        """Take over sources as their last worker left them."""
        for key, event in newest.items():
            self._queues[key] = SourceQueue(settled=settled_by(event))
            self._begun_at[key] = event.started_at
            if event.ending in UNSETTLED:
                self._defer(key, event.waits_until, self.sources.get(key))

    def drop(self, partitions: Collection[int]) -> None:
        """Let go at once of what another worker holds by now; nothing is recorded."""
        for key in [each for each in self._queues if self.syncs.partition_of(each) in partitions]:
            for known in (self._queues, self._rests_until, self._deferred, self._begun_at, self._ended_at):
                known.pop(key, None)
            if key in self._active:
                self._active[key].task.cancel()
        for partition in partitions:
            self._read.pop(partition, None)

    def read_up_to(self, partition: int, offset: int) -> None:
        """Note where a partition is to be read on."""
        self._read[partition] = max(offset, self._read.get(partition, 0))

    def take(self, request: SyncRequested, position: Position) -> None:
        """Take in a request."""
        key = (request.tenant_id, request.source)
        queue = self._queues.get(key, SourceQueue()).take(request, position.offset)
        self._queues[key] = queue
        active = self._active.get(key)
        if queue.running is not None and queue.running.cancelled and active is not None:
            active.job.settle_up_to(position)
            active.job.end_as(Ending.CANCELLED, "on request")

    def bury(self) -> None:
        """See how jobs ended."""
        for key, active in [each for each in self._active.items() if each[1].task.done()]:
            del self._active[key]
            if active.task.cancelled():
                continue
            error = active.task.exception()
            if error is not None and not isinstance(error, HeadwaterError):
                raise error
            if key in self._queues:
                self._ended_at[key] = self.now()
                self._queues[key] = self._settle(key, active, error)

    def _settle(self, key: Key, active: _Active, error: HeadwaterError | None) -> SourceQueue:
        queue = self._queues[key]
        if active.job.run is None or queue.running is None:
            return queue
        if error is not None:  # not recorded: it runs again, here or where the source is held by now
            log.warning("sync_lost", error=type(error).__name__, retry_in_s=REST_S)
            self._rests_until[key] = self.monotonic() + REST_S
            return queue.again()
        report = active.task.result()
        if report.ending is Ending.SUSPENDED:
            self._defer(key, report.waits_until, active.job.source)
            return queue.again()
        queue = queue.end()
        source = self.sources.get(key)
        if report.ending in _GOES_ON and source is not None and self.jobs.follows(source) and queue.waiting is None:
            self._start(key, None, queue)
        return queue

    def _defer(self, key: Key, until: datetime | None, source: Source | None) -> None:
        if until is not None:
            self._deferred[key] = _Deferral(until=until, source=source)

    def _is_deferred(self, key: Key, waiting: Run) -> bool:
        """Say whether a source must not be asked yet. A cancellation, and what the directory says by now, asks nothing.

        Requests that come meanwhile join what waits, so the limit is asked about once, when it is over.
        """
        deferral = self._deferred.get(key)
        if deferral is None:
            return False
        if not waiting.cancelled and self.now() < deferral.until and self.sources.get(key) == deferral.source:
            return True
        del self._deferred[key]
        return False

    def heed_directory(self) -> None:
        """Stop what reads a source that was removed, paused or changed."""
        for key, active in self._active.items():
            source = self.sources.get(key)
            if source == active.job.source or active.job.source is None:
                continue
            if source is None:
                active.job.end_as(Ending.CANCELLED, REMOVED)
            elif source.paused:
                active.job.end_as(Ending.PAUSED)
            elif active.job.run is None:
                active.job.end_as(Ending.SUSPENDED)
                self._ended_at.pop(key, None)

    def begin(self) -> None:
        """Begin what waits, oldest first, as many as there are places for; who is only followed makes room."""
        running = (each.job.run for each in self._active.values() if each.job.run is not None)
        places = Places.beside(running, at_most=self.settings.connectors.parallel_syncs)
        waiting = [
            (run.asked_at, key, run) for key, queue in self._queues.items() if (run := queue.waiting) is not None
        ]
        for _, key, run in sorted(waiting, key=lambda each: each[:2]):
            if not places.admit(run):
                continue
            active = self._active.get(key)
            if active is not None:
                if active.job.run is None:
                    active.job.end_as(Ending.SUSPENDED)
            elif self._may_begin(key):
                queue = self._queues[key] = self._queues[key].begin()
                self._start(key, run, queue)
                places.take(run)

    def _may_begin(self, key: Key) -> bool:
        queue = self._queues[key]
        if not queue.may_begin or queue.waiting is None or self.monotonic() < self._rests_until.get(key, 0.0):
            return False
        if self._is_deferred(key, queue.waiting):
            return False
        return self.sources.get(key) is not None or self.now() - queue.waiting.asked_at > UNKNOWN_FOR

    def _start(self, key: Key, run: Run | None, queue: SourceQueue) -> None:
        settles = queue.settled if run is None else run.last
        partition = self.syncs.partition_of(key)
        topic = topic_of(self.settings, Topic.SYNCS_REQUESTED)
        requested = Position(topic=topic, partition=partition, offset=settles)
        started_at = self.now()
        if run is not None:
            self._begun_at[key] = started_at
        job = Job(
            sync=Sync(
                sync_id=uuid4(),
                key=key,
                mode=SyncMode.INCREMENTAL if run is None else run.work.mode,
                requested=None if settles == NOTHING_SETTLED else requested,
                started_at=started_at,
            ),
            run=run,
            source=self.sources.get(key),
            created=self.sources.created(key),
            jobs=self.jobs,
            syncs=self.syncs,
            topic=topic_of(self.settings, Topic.SYNCS_PROGRESSED),
            may_write=partial(self.check, key),
            tell_every_s=self.settings.connectors.progress_every_s,
            now=self.now,
            monotonic=self.monotonic,
            stop=asyncio.get_running_loop().create_future(),
        )
        self._active[key] = _Active(job=job, task=asyncio.create_task(job.perform(), name=f"sync {key}"))

    def to_commit(self, partition: int) -> int | None:
        """Return where a successor may begin to read a partition; None where nothing was read yet."""
        read = self._read.get(partition)
        if read is None:
            return None
        of_partition = (queue for key, queue in self._queues.items() if self.syncs.partition_of(key) == partition)
        return to_commit(of_partition, read)

    def begun_at(self, key: Key) -> datetime | None:
        """Return when the newest sync began or was asked for; None where nobody knows of any."""
        queue = self._queues.get(key)
        asked = [run.asked_at for run in (queue.running, queue.waiting) if run is not None] if queue else []
        known = [*asked, *([self._begun_at[key]] if key in self._begun_at else [])]
        return max(known, default=None)

    def idle_since(self, key: Key) -> datetime | None:
        """Return when the last job of a source ended here; None where none did."""
        return self._ended_at.get(key)

    def is_busy(self, key: Key) -> bool:
        """Whether something runs, follows or waits."""
        queue = self._queues.get(key)
        return key in self._active or (queue is not None and queue.unsettled is not None)

    async def stop_all(self, ending: Ending, *, wait_s: float) -> None:
        """Stop everything and wait until the endings are recorded; what takes longer is left as it is."""
        for active in self._active.values():
            active.job.end_as(ending)
        tasks = [active.task for active in self._active.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=wait_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
