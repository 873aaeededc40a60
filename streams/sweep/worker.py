"""Reads reports, waits out their grace without holding up the poll loop, removes, then commits."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from headwater.clients.kafka.records import Item, Offsets, Record
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.ports.rows import ChunkIndex
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import EVENTS_SETTLED, RETRIES, ROWS_REMOVED
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.base import Store
from schemas.events.documents import DocumentProgressed
from schemas.ids import GenerationName
from streams.sweep.step import Backlog, Partition, Removal, Waiting, newest, removal_of

log = structlog.get_logger(__name__)

STAGE: Final = "sweep"
_BATCH: Final = 500  # records of a partition that are swept, and committed, together
_PARALLEL: Final = 4  # removals under way; the stores are needed for more urgent work
# Records of a partition that wait at the most: some 200 bytes each. Past it the partition is paused, not the loop.
_MOST_WAITING: Final = 20_000
_LONGEST_READ_S: Final = 1.0
_RETRY_S: Final = 1.0


class Reports(Protocol):
    """What the sweeper needs of a consumer: see `headwater.clients.kafka.consumer.RecordStream`."""

    @property
    def assigned(self) -> frozenset[Partition]: ...

    async def read(self, *, max_records: int = ..., wait_s: float = ...) -> tuple[Item, ...]: ...

    async def commit(self, offsets: Offsets) -> None: ...

    async def pause(self, partitions: frozenset[Partition]) -> None: ...

    async def resume(self, partitions: frozenset[Partition]) -> None: ...


@dataclass(slots=True, kw_only=True)
class Sweeper:
    """One worker. Nothing is committed before its rows are gone; a repeated removal finds nothing to remove."""

    reports: Reports
    indices: Mapping[Store, ChunkIndex]
    generation: GenerationName
    backlog: Backlog
    health: Health
    now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    most_waiting: int = _MOST_WAITING
    retry_s: float = _RETRY_S
    _paused: frozenset[Partition] = field(default_factory=frozenset)
    _not_before_ms: int = 0  # after a store was busy

    async def run(self) -> None:
        """Sweep until cancelled. Raises FatalError when no removal can succeed."""
        while True:
            await self.step()

    async def step(self) -> None:
        """Read once, then sweep what is due."""
        try:
            items = await self.reports.read(wait_s=self._wait_s())
        except RetryableError as error:
            self._busy("kafka", error)
            return
        self.health.beat()
        self._take_in(items)
        await self._hold_back()
        if self.now_ms() >= self._not_before_ms:
            await self._sweep()

    def _wait_s(self) -> float:
        due_ms = self.backlog.next_due_ms()
        if due_ms is None:
            return _LONGEST_READ_S
        until_ms = max(due_ms, self._not_before_ms) - self.now_ms()
        return min(max(until_ms / 1_000, 0.0), _LONGEST_READ_S)

    def _take_in(self, items: Sequence[Item]) -> None:
        assigned = self.reports.assigned
        self.backlog.forget_all_but(assigned)
        self._paused &= assigned
        if assigned:
            self.health.ready("partitions")
        else:
            self.health.unready("partitions", "not assigned yet")
        now_ms = self.now_ms()
        for item in items:
            if isinstance(item, Record) and (item.position.topic, item.position.partition) in assigned:
                self.backlog.add(item, self._removal(item), now_ms=now_ms)

    def _removal(self, record: Record) -> Removal | None:
        if record.value is None:
            return None
        try:
            event = decode(record.value, DocumentProgressed)
        except ContractError as error:
            # Older rows of one document stay until its next report; the gate hides them all the same.
            EVENTS_SETTLED.labels(stage=STAGE, outcome="undecodable").inc()
            position = record.position
            log.warning(
                "report_undecodable", partition=position.partition, offset=position.offset, error=type(error).__name__
            )
            return None
        return removal_of(event, generation=self.generation)

    async def _hold_back(self) -> None:
        """Pause partitions that have too much waiting, and resume them when half of it is done."""
        full = frozenset(each for each in self.reports.assigned if self.backlog.size(each) >= self.most_waiting)
        drained = frozenset(each for each in self._paused if self.backlog.size(each) <= self.most_waiting // 2)
        if newly := full - self._paused:
            await self.reports.pause(newly)
        if drained:
            await self.reports.resume(drained)
        self._paused = (self._paused | full) - drained

    async def _sweep(self) -> None:
        due = self.backlog.due(now_ms=self.now_ms(), at_most=_BATCH)
        if not due:
            return
        removals = newest(each.removal for waiting in due.values() for each in waiting if each.removal is not None)
        try:
            await self._remove_all(removals)
            await self.reports.commit(_following(due))
        except RetryableError as error:
            self._busy("stores", error)
            return
        self.backlog.done(due)
        self.health.ready("stores")
        EVENTS_SETTLED.labels(stage=STAGE, outcome="done").inc(sum(len(waiting) for waiting in due.values()))

    async def _remove_all(self, removals: Sequence[Removal]) -> None:
        lanes = asyncio.Semaphore(_PARALLEL)

        async def remove(removal: Removal) -> None:
            async with lanes:
                await self._remove(removal)

        results = await asyncio.gather(*(remove(removal) for removal in removals), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, RetryableError):
                raise failure
        if failures:
            raise failures[0]

    async def _remove(self, removal: Removal) -> None:
        index = self.indices[removal.store]
        try:
            count = await index.remove_older(removal.tenant_id, removal.document_id, than=removal.than)
        except PoisonError as error:
            # No data of a report can be wrong in a way that a removal by opaque ids minds: this is a bug or a deploy.
            raise FatalError(f"{removal.store} refuses a removal ({type(error).__name__}); see its log") from error
        if count:
            ROWS_REMOVED.labels(store=removal.store).inc(count)

    def _busy(self, dependency: str, error: RetryableError) -> None:
        self._not_before_ms = self.now_ms() + round(self.retry_s * 1_000)
        self.health.unready(dependency, type(error).__name__)
        RETRIES.labels(stage=STAGE, error=type(error).__name__).inc()
        log.warning("sweep_waits", dependency=dependency, error=type(error).__name__, retry_in_s=self.retry_s)


def _following(due: Mapping[Partition, Sequence[Waiting]]) -> Offsets:
    offsets: Offsets = {}
    for (topic, partition), waiting in due.items():
        offsets.setdefault(topic, {})[partition] = waiting[-1].offset + 1
    return offsets
