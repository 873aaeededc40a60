"""A Kafka of one process: partitions, transactions, visibility of committed records, compaction and retention."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Headers, Record
from schemas.events.base import Position
from tests.simulation.groups import Group
from tests.simulation.process import Host

Partition = tuple[str, int]


class State(Enum):
    """Of an entry that was written in a transaction."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()
    MARKER = auto()


class FencedProducerError(Exception):
    """Another producer has this transactional id."""


class StaleMemberError(Exception):
    """The group has moved on without this member."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One offset of a partition."""

    offset: int
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    at_s: float  # when readers of committed records could see it
    state: State


@dataclass(slots=True, eq=False)
class PartitionLog:
    """Entries in order of their offsets; compaction leaves holes."""

    entries: list[Entry] = field(default_factory=list)
    start: int = 0
    next: int = 0
    open_offsets: set[int] = field(default_factory=set)  # of transactions that have not ended

    def stable(self) -> int:
        """Return the end for readers of committed records."""
        return min(self.open_offsets) if self.open_offsets else self.next

    def from_offset(self, offset: int) -> Iterable[Entry]:
        """Return entries from an offset on."""
        low, high = 0, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            if self.entries[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return self.entries[low:]


@dataclass(slots=True, kw_only=True, eq=False)
class Transaction:
    """What one transactional id has under way."""

    epoch: int = 0
    written: list[tuple[Partition, Entry]] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)
    group: Group | None = None
    is_open: bool = False
    markers_due: int = 0  # partitions that do not show yet how it ended
    number: int = 0


class Broker:
    """The cluster. Calls take effect at once; whoever calls makes them take time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, host: Host, *, partitions: int) -> None:
        self._loop, self._random, self._host = loop, random, host
        self.partitions = partitions
        self.logs: dict[Partition, PartitionLog] = {}
        self._counts: dict[str, int] = {}
        self.groups: dict[str, Group] = {}
        self.compacted: set[str] = set()
        self.expiring: dict[str, None] = {}  # topics of which consumers notice that records were removed, in order
        self.on_visible: list[Callable[[Partition, Entry], None]] = []
        self.records = 0
        self._transactions: dict[str, Transaction] = {}
        self._waiting: dict[Partition, dict[asyncio.Future[None], None]] = {}

    # --- topics

    def create(self, topic: str, *, partitions: int | None = None, compact: bool = False, expire: bool = False) -> None:
        self._counts[topic] = partitions or self.partitions
        for number in range(self._counts[topic]):
            self.logs[topic, number] = PartitionLog()
        if compact:
            self.compacted.add(topic)
        if expire:
            self.expiring[topic] = None

    def count(self, topic: str) -> int:
        return self._counts.get(topic, 0)

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(name=name, loop=self._loop, partitions_of=self._numbers))

    def _numbers(self, topic: str) -> range:
        return range(self.count(topic))

    # --- writing

    def place(self, topic: str, key: bytes, partitioner: str) -> int:
        """Return where a producer with this partitioner puts a key."""
        count = self.count(topic)
        if partitioner == "murmur2_random":
            return partition_of(key, count)
        return (sum(key) * 31 + len(key)) % count  # librdkafka's default is another hash as well

    def append(self, partition: Partition, key: bytes, value: bytes | None, headers: Headers = ()) -> Position:
        """Append one record outside any transaction."""
        entry = self._entry(partition, key, value, headers, State.COMMITTED)
        self._show(partition, entry)
        return Position(topic=partition[0], partition=partition[1], offset=entry.offset)

    def _entry(self, partition: Partition, key: bytes, value: bytes | None, headers: Headers, state: State) -> Entry:
        log = self.logs[partition]
        entry = Entry(
            offset=log.next,
            key=key,
            value=value,
            headers=headers,
            timestamp_ms=self._host.wall_ms(),
            at_s=self._loop.time(),
            state=state,
        )
        log.entries.append(entry)
        if state is State.OPEN:
            log.open_offsets.add(entry.offset)
        log.next += 1
        self.records += state is not State.MARKER
        return entry

    def _show(self, partition: Partition, entry: Entry) -> None:
        for tell in self.on_visible:
            tell(partition, entry)
        self._wake(partition)

    # --- transactions

    def init_transactions(self, name: str) -> int | None:
        """Fence earlier producers of this id; return the new epoch, None while an older transaction still ends."""
        transaction = self._transactions.setdefault(name, Transaction())
        if transaction.is_open:
            transaction.epoch += 1
            self._end(transaction, commit=False)
        if transaction.markers_due:
            return None
        transaction.epoch += 1
        return transaction.epoch

    def can_begin(self, name: str, epoch: int) -> bool:
        """Say whether the last transaction of this id has ended everywhere."""
        return self._fenced(name, epoch).markers_due == 0

    def write_in_transaction(
        self, name: str, epoch: int, batch: list[tuple[Partition, bytes, bytes | None, Headers]], timeout_s: float
    ) -> dict[Partition, int]:
        """Append records that nobody sees yet; return the next offsets behind them."""
        transaction = self._fenced(name, epoch)
        self._open(transaction, timeout_s)
        behind: dict[Partition, int] = {}
        for partition, key, value, headers in batch:
            entry = self._entry(partition, key, value, headers, State.OPEN)
            transaction.written.append((partition, entry))
            behind[partition] = entry.offset + 1
            self._wake(partition)
        return behind

    def add_offsets(
        self,
        name: str,
        epoch: int,
        offsets: dict[Partition, int],
        notes: dict[Partition, str],
        group: Group,
        membership: tuple[str, int] | None,
        timeout_s: float,
    ) -> None:
        """Add consumed positions to the transaction. None for a membership: the producer does not prove any."""
        transaction = self._fenced(name, epoch)
        if membership is not None and not group.is_current(*membership):
            raise StaleMemberError
        self._open(transaction, timeout_s)
        transaction.group = group
        transaction.offsets |= offsets
        transaction.notes |= notes
        group.pending[name] = set(offsets)

    def end_transaction(self, name: str, epoch: int, *, commit: bool) -> None:
        """Decide; partitions show it a moment later."""
        self._end(self._fenced(name, epoch), commit=commit)

    def _fenced(self, name: str, epoch: int) -> Transaction:
        transaction = self._transactions[name]
        if transaction.epoch != epoch:
            raise FencedProducerError
        return transaction

    def _open(self, transaction: Transaction, timeout_s: float) -> None:
        if transaction.is_open:
            return
        transaction.is_open = True
        transaction.number += 1
        self._loop.call_later(timeout_s, self._time_out, transaction, transaction.number)

    def _time_out(self, transaction: Transaction, number: int) -> None:
        if transaction.is_open and transaction.number == number:
            transaction.epoch += 1  # its producer is fenced
            self._end(transaction, commit=False)

    def _end(self, transaction: Transaction, *, commit: bool) -> None:
        if not transaction.is_open:
            return
        transaction.is_open = False
        by_partition: dict[Partition, list[Entry]] = {}
        for partition, entry in transaction.written:
            by_partition.setdefault(partition, []).append(entry)
        for partition, entries in by_partition.items():
            transaction.markers_due += 1
            delay_s = self._random.random() * 0.03
            self._loop.call_later(delay_s, self._mark, transaction, partition, entries, commit)
        if transaction.group is not None:
            transaction.markers_due += 1
            delay_s = self._random.random() * 0.03
            consumed = (dict(transaction.offsets), dict(transaction.notes))
            self._loop.call_later(delay_s, self._settle_offsets, transaction, consumed, commit)
        transaction.written, transaction.offsets, transaction.notes = [], {}, {}

    def _mark(self, transaction: Transaction, partition: Partition, entries: list[Entry], commit: bool) -> None:
        self._entry(partition, b"", None, (), State.MARKER)
        for entry in entries:
            entry.state = State.COMMITTED if commit else State.ABORTED
            entry.at_s = self._loop.time()
            self.logs[partition].open_offsets.discard(entry.offset)
        transaction.markers_due -= 1
        for entry in entries:
            if commit:
                self._show(partition, entry)
        self._wake(partition)

    def _settle_offsets(
        self, transaction: Transaction, consumed: tuple[dict[Partition, int], dict[Partition, str]], commit: bool
    ) -> None:
        transaction.markers_due -= 1
        group, transaction.group = transaction.group, None
        if group is None:
            return
        if commit:
            group.committed |= consumed[0]
            group.notes |= consumed[1]
        name = next(name for name, each in self._transactions.items() if each is transaction)
        group.pending.pop(name, None)

    # --- reading

    def read(self, partition: Partition, offset: int, *, committed: bool, limit: int) -> tuple[list[Record], int]:
        """Return records from an offset on, and the next offset to read from, behind markers and what was aborted."""
        log = self.logs[partition]
        end = log.stable() if committed else log.next
        if offset >= end:
            return [], offset
        found: list[Record] = []
        for entry in log.from_offset(offset):
            if entry.offset >= end or len(found) == limit:
                return found, entry.offset
            if entry.state is State.MARKER or (committed and entry.state is State.ABORTED):
                continue
            found.append(_record(partition, entry))
        return found, max(end, offset)

    def end(self, partition: Partition, *, committed: bool) -> int:
        log = self.logs[partition]
        return log.stable() if committed else log.next

    def committed_entries(self, topic: str) -> list[tuple[Partition, Entry]]:
        """Return what readers of committed records find in a topic now."""
        return [
            (partition, entry)
            for partition, log in sorted(self.logs.items())
            if partition[0] == topic
            for entry in log.from_offset(0)
            if entry.state is State.COMMITTED and entry.offset < log.stable()
        ]

    async def news(self, partitions: Iterable[Partition], group: "asyncio.Future[None] | None", wait_s: float) -> None:
        """Wait until something happens in one of these partitions, or to the group, or the time is over."""
        future: asyncio.Future[None] = self._loop.create_future()
        watched = list(partitions)
        for partition in watched:
            self._waiting.setdefault(partition, {})[future] = None
        try:
            await self._first(future, group, wait_s)
        finally:
            for partition in watched:
                self._waiting[partition].pop(future, None)

    async def _first(self, one: "asyncio.Future[None]", other: "asyncio.Future[None] | None", wait_s: float) -> None:
        """Do what `asyncio.wait` does, without its sets: most of a story's waits are these."""
        over: asyncio.Future[None] = self._loop.create_future()

        def end(_: object = None) -> None:
            timer.cancel()
            if not over.done():
                over.set_result(None)

        timer = self._loop.call_later(wait_s, end)
        one.add_done_callback(end)
        if other is not None:
            other.add_done_callback(end)
        try:
            await over
        finally:
            timer.cancel()
            one.remove_done_callback(end)
            if other is not None:
                other.remove_done_callback(end)

    def _wake(self, partition: Partition) -> None:
        for future in list(self._waiting.get(partition, ())):
            if not future.done():
                future.set_result(None)

    # --- keeping

    def compact(self, topic: str, *, min_age_s: float) -> None:
        """Keep the newest record of each key, and everything that is younger than the minimum lag."""
        now_s = self._loop.time()
        for partition, log in self.logs.items():
            if partition[0] != topic:
                continue
            stable = log.stable()
            newest = {
                each.key: each.offset for each in log.entries if each.state is State.COMMITTED and each.offset < stable
            }
            log.entries = [
                each
                for each in log.entries
                if each.offset >= stable
                or now_s - each.at_s < min_age_s
                or (each.state is State.COMMITTED and newest[each.key] == each.offset)
            ]

    def expire(self, topic: str, *, min_age_s: float) -> None:
        """Remove what is older than the retention."""
        now_s = self._loop.time()
        for partition, log in self.logs.items():
            if partition[0] != topic:
                continue
            stable = log.stable()
            kept = [each for each in log.entries if each.offset >= stable or now_s - each.at_s < min_age_s]
            log.entries = kept
            log.start = kept[0].offset if kept else log.next


def _record(partition: Partition, entry: Entry) -> Record:
    return Record(
        position=Position(topic=partition[0], partition=partition[1], offset=entry.offset),
        key=entry.key,
        value=entry.value,
        headers=entry.headers,
        timestamp_ms=entry.timestamp_ms,
    )
