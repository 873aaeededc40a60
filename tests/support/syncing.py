"""Connector workers without Kafka: a group, a log of syncs with fences, and sources whose reading a test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from connectors.endings import Ending, SyncReport
from connectors.work import Work
from connectors.worker.ports import Held, Key, LostError
from connectors.worker.worker import Worker
from headwater.clients.kafka.records import Item, Offsets, Outgoing, Record
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.codec import decode, encode
from schemas.events.base import Position
from schemas.events.directory import Source
from schemas.events.syncs import SourceTested, SyncMode, SyncProgressed, SyncRequested
from schemas.ids import KnowledgeBaseId, Revision, SourceId, TenantId, scoped_key

TOPIC = "rag.syncs.requested"
WIKI: Key = (TenantId("acme"), SourceId("wiki"))
BLOG: Key = (TenantId("acme"), SourceId("blog"))
DONE = SyncReport(ending=Ending.COMPLETED, upserted=1)


def source(*, paused: bool = False, schedule: str | None = None, watch: bool = False) -> Source:
    return Source(
        name="Wiki",
        kind="wiki",
        knowledge_base=KnowledgeBaseId("handbook"),
        settings={"watch": "true"} if watch else {},
        paused=paused,
        schedule=schedule,
    )


@dataclass
class Clock:
    """Both clocks of a test, moved by hand."""

    at: datetime = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeSyncLog:
    """Implements SyncLog: everything lies in partition 0. Also the log of requests."""

    clock: Clock
    requests: list[SyncRequested] = field(default_factory=list)
    progress: list[SyncProgressed] = field(default_factory=list)
    told: list[SourceTested] = field(default_factory=list)
    cursors: dict[Key, list[str]] = field(default_factory=dict)
    committed: int = 0
    _epochs: dict[Key, int] = field(default_factory=dict)

    def request(self, key: Key, mode: SyncMode = SyncMode.INCREMENTAL, *items: str, **flags: bool) -> SyncRequested:
        tenant, name = key
        self.requests.append(
            SyncRequested(
                event_id=uuid4(),
                tenant_id=tenant,
                occurred_at=self.clock.now(),
                observed_at=self.clock.now(),
                source=name,
                mode=mode,
                actor=None,
                items=items,
                **flags,
            )
        )
        return self.requests[-1]

    @asynccontextmanager
    async def take(self, key: Key) -> AsyncIterator["FakeFence"]:
        await asyncio.sleep(0)
        self._epochs[key] = self._epochs.get(key, 0) + 1
        yield FakeFence(log=self, key=key, epoch=self._epochs[key])

    def holds(self, key: Key, epoch: int) -> bool:
        return self._epochs[key] == epoch

    async def newest(self, partitions: Collection[int]) -> Mapping[Key, SyncProgressed]:
        return {(event.tenant_id, event.source): event for event in self.progress}

    async def ask(self, request: SyncRequested) -> None:
        self.requests.append(request)

    async def tell(self, tested: SourceTested) -> None:
        self.told.append(tested)

    def partition_of(self, key: Key) -> int:
        return 0

    def endings(self, key: Key = WIKI) -> list[Ending]:
        of_key = [event for event in self.progress if (event.tenant_id, event.source) == key]
        return [event.ending for event in of_key if event.ending is not None]


@dataclass(frozen=True, kw_only=True)
class FakeFence:
    """Implements Fence."""

    log: FakeSyncLog
    key: Key
    epoch: int

    async def append(self, records: Sequence[Outgoing]) -> None:
        await asyncio.sleep(0)
        if not self.log.holds(self.key, self.epoch):
            raise LostError("another worker holds the source")
        self.log.progress += [decode(record.value or b"", SyncProgressed) for record in records]

    async def save_cursor(self, state: str) -> None:
        await self.append([])
        self.log.cursors.setdefault(self.key, []).append(state)


@dataclass
class FakeRequests:
    """Implements Requests: one member of the group. `owns` says whether it has the partition."""

    log: FakeSyncLog
    owns: bool = True
    _position: int | None = None

    @property
    def assigned(self) -> frozenset[tuple[str, int]]:
        return frozenset({(TOPIC, 0)}) if self.owns else frozenset()

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        await asyncio.sleep(0)
        if not self.owns:
            self._position = None
            return ()
        start = self.log.committed if self._position is None else self._position
        self._position = len(self.log.requests)
        return tuple(_record(offset, self.log.requests[offset]) for offset in range(start, self._position))

    async def commit(self, offsets: Offsets) -> None:
        self.log.committed = offsets[TOPIC][0]


def _record(offset: int, request: SyncRequested) -> Record:
    return Record(
        position=Position(topic=TOPIC, partition=0, offset=offset),
        key=scoped_key(request.tenant_id, request.source),
        value=encode(request),
        headers=(),
        timestamp_ms=None,
    )


class FakeSources(dict[Key, Source]):
    """Implements Sources."""

    def created(self, key: Key) -> Revision | None:
        return None


@dataclass
class FakeJobs:
    """Implements Jobs: a sync notes that it runs and waits for its turn; `at_work` counts those of each source."""

    syncs: list[tuple[Key, Work]] = field(default_factory=list)
    followed: list[Key] = field(default_factory=list)
    checked: list[Key] = field(default_factory=list)
    waits: dict[Key, datetime] = field(default_factory=dict)
    at_work: dict[Key, int] = field(default_factory=dict)
    most_at_work: int = 0
    turns: "asyncio.Queue[SyncReport | Exception]" = field(default_factory=asyncio.Queue)
    checks: "asyncio.Queue[Exception | None]" = field(default_factory=asyncio.Queue)

    def reads(self, source: Source) -> bool:
        return source.kind == "wiki"

    def follows(self, source: Source) -> bool:
        return "watch" in source.settings

    async def check(self, key: Key, source: Source) -> None:
        self.checked.append(key)
        error = await self.checks.get()
        if error is not None:
            raise error

    def waits_until(self, key: Key) -> datetime | None:
        return self.waits.get(key)

    async def sync(self, held: Held, work: Work) -> SyncReport:
        self.syncs.append((held.key, work))
        return await self._until_turn(held)

    async def follow(self, held: Held) -> SyncReport:
        self.followed.append(held.key)
        return await self._until_turn(held)

    async def _until_turn(self, held: Held) -> SyncReport:
        self.at_work[held.key] = self.at_work.get(held.key, 0) + 1
        self.most_at_work = max(self.most_at_work, sum(self.at_work.values()))
        try:
            turn = await self.turns.get()
            if isinstance(turn, Exception):
                raise turn
            held.may_write()
            await held.fence.save_cursor(f"{turn.upserted}")  # type: ignore[attr-defined] # a FakeFence
            await held.tell(replace(turn, ending=Ending.SUSPENDED))
            return turn
        finally:
            self.at_work[held.key] -= 1


@dataclass(kw_only=True)
class Office:
    """A worker on fakes, ticked by hand."""

    log: FakeSyncLog
    sources: FakeSources
    clock: Clock
    jobs: FakeJobs = field(default_factory=FakeJobs)
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.requests = FakeRequests(self.log)
        self.worker = Worker(
            settings=self.settings,
            requests=self.requests,
            syncs=self.log,
            sources=self.sources,
            jobs=self.jobs,
            health=Health(),
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )

    async def until(self, holds: Callable[[], object], *, ticks: int = 50) -> None:
        """Tick until it holds."""
        for _ in range(ticks):
            await self.worker.tick()
            await self.rest()
            if holds():
                return
        raise AssertionError(f"not so after {ticks} ticks")

    async def rest(self) -> None:
        """Let tasks go as far as they can without a tick."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def ticks(self, count: int = 5) -> None:
        for _ in range(count):
            await self.worker.tick()
            await self.rest()

    def give(self, *turns: SyncReport | Exception) -> None:
        for turn in turns:
            self.jobs.turns.put_nowait(turn)

    async def stop(self) -> None:
        """End as on a signal."""
        stopping = asyncio.Event()
        stopping.set()
        await self.worker.run(stopping)


def office(*keys: Key, **sources: Source) -> Office:
    """Open an office with these sources of the directory."""
    known: Iterable[Key] = keys or (WIKI,)
    clock = Clock()
    given = FakeSources({key: source() for key in known} | {(WIKI[0], SourceId(k)): s for k, s in sources.items()})
    return Office(log=FakeSyncLog(clock), sources=given, clock=clock)
