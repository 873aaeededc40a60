"""A connector worker: takes requests, runs one sync a source at a time, acknowledges what has its ending recorded.

Everything here happens in one task, tick by tick; syncs are tasks of their own that it begins, stops and buries.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import structlog

from connectors.endings import Ending
from connectors.worker.desk import Desk
from connectors.worker.ports import Jobs, Key, LostError, Requests, Sources, SyncLog
from connectors.worker.schedule import Schedule
from connectors.worker.trials import Trials
from headwater.clients.kafka.records import Item, PartitionEnd, Record
from headwater.errors import RetryableError
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.codec import decode
from schemas.errors import UndecodableError
from schemas.events.syncs import SyncRequested

log = structlog.get_logger(__name__)

TICK_S: Final = 0.25
AGAIN_S: Final = 1.0
STOP_S: Final = 20.0  # for cancelled syncs to record that they were suspended; the supervisor's grace is longer


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Worker:
    """One member of the group. `run` it once."""

    settings: Settings
    requests: Requests
    syncs: SyncLog
    sources: Sources
    jobs: Jobs
    health: Health
    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = monotonic
    _desk: Desk = field(init=False)
    _trials: Trials = field(init=False)
    _schedule: Schedule = field(init=False)
    _unread: list[Item] = field(default_factory=list)  # read, and not yet taken in
    _owned: frozenset[int] = frozenset()
    _committed: dict[int, int] = field(default_factory=dict)
    _heard_at: float = float("-inf")  # when the group last let this member read

    def __post_init__(self) -> None:
        self._desk = Desk(
            settings=self.settings,
            syncs=self.syncs,
            sources=self.sources,
            jobs=self.jobs,
            check=self._check,
            now=self.now,
            monotonic=self.monotonic,
        )
        self._trials = Trials(syncs=self.syncs, sources=self.sources, jobs=self.jobs, now=self.now)
        self._schedule = Schedule(settings=self.settings, syncs=self.syncs, jobs=self.jobs, now=self.now)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping`; then suspend what runs, so that another worker goes on with it at once."""
        while not stopping.is_set():
            self.health.beat()
            try:
                await self.tick()
            except RetryableError as error:
                self.health.unready("kafka", type(error).__name__)
                log.warning("connectors_waiting", error=type(error).__name__, retry_in_s=AGAIN_S)
                await asyncio.sleep(AGAIN_S)
            else:
                self.health.ready("kafka")
        await self._trials.stop()
        await self._desk.stop_all(Ending.SUSPENDED, wait_s=STOP_S)
        self._desk.bury()

    async def tick(self) -> None:
        """Do once what there is to do. Raises RetryableError; nothing is lost then, the next tick goes on."""
        self._unread += await self.requests.read(wait_s=TICK_S)
        self._heard_at = self.monotonic()
        await self._heed_assignment()
        self._take_requests()
        self._desk.bury()
        self._desk.heed_directory()
        self._desk.begin()
        self._trials.step()
        await self._schedule.ask_what_is_due(self._desk, self.sources, self._owned)
        await self._commit()

    def _check(self, key: Key) -> None:
        """Raise LostError where another member may hold the source: the broker gives it away after the session."""
        silent_s = self.monotonic() - self._heard_at
        if self.syncs.partition_of(key) not in self._owned or silent_s > 0.75 * self.settings.kafka.session_timeout_s:
            raise LostError("the group may have given this source to another worker")

    async def _heed_assignment(self) -> None:
        """Let go of what was taken away; learn how far the sources stand that came."""
        assigned = frozenset(partition for _, partition in self.requests.assigned)
        lost, gained = self._owned - assigned, assigned - self._owned
        if lost:
            self._owned -= lost
            self._desk.drop(lost)
            self._trials.drop(lost)
            for partition in lost:
                self._committed.pop(partition, None)
        if gained:
            newest = await self.syncs.newest(gained)
            self._desk.adopt(newest)
            self._owned |= gained
            log.info("partitions_assigned", count=len(self._owned))

    def _take_requests(self) -> None:
        items, self._unread = self._unread, []
        for item in items:
            if item.position.partition in self._owned:
                self._desk.read_up_to(item.position.partition, _next(item))
                if isinstance(item, Record):
                    self._take(item)

    def _take(self, record: Record) -> None:
        try:
            request = decode(record.value or b"", SyncRequested)
        except UndecodableError as error:  # nobody can say of which source it speaks; the next request makes up for it
            log.warning("request_undecodable", error=type(error).__name__, offset=record.position.offset)
            return
        if request.tests:
            self._trials.take(request, record.position.offset)
        else:
            self._desk.take(request, record.position)

    async def _commit(self) -> None:
        """Acknowledge up to the oldest request without a recorded ending or answer."""
        wanted = {each: at for each in self._owned if (at := self._to_commit(each)) is not None}
        moved = {each: at for each, at in wanted.items() if self._committed.get(each) != at}
        topics = {topic for topic, _ in self.requests.assigned}
        if moved and topics:
            # While the group is rebalancing it takes no positions; the next tick tries again.
            with suppress(RetryableError):
                await self.requests.commit({topics.pop(): moved})
                self._committed |= moved

    def _to_commit(self, partition: int) -> int | None:
        settled, tested = self._desk.to_commit(partition), self._trials.unsettled(partition)
        return settled if settled is None or tested is None else min(settled, tested)


def _next(item: Item) -> int:
    return item.position.offset if isinstance(item, PartitionEnd) else item.position.offset + 1
