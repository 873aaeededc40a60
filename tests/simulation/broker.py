"""A Kafka of one process: topics, what is written to them, who waits for it, and groups."""

import asyncio
from collections.abc import Callable, Iterable
from random import Random

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Headers, Record
from schemas.events.base import Position
from tests.simulation.groups import Group
from tests.simulation.partition_log import Entry, Partition, PartitionLog, State
from tests.simulation.process import Host
from tests.simulation.transactions import Transactions


class Broker:
    """The cluster. Calls take effect at once; whoever calls makes them take time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, host: Host, *, partitions: int) -> None:
        self._loop, self._host = loop, host
        self.partitions = partitions
        self.logs: dict[Partition, PartitionLog] = {}
        self._counts: dict[str, int] = {}
        self.groups: dict[str, Group] = {}
        self.compacted: set[str] = set()
        self.expiring: dict[str, None] = {}  # topics of which consumers notice that records were removed, in order
        self.on_visible: list[Callable[[Partition, Entry], None]] = []
        self.records = 0
        self.transactions = Transactions(loop, random, self)
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
        entry = self.write(partition, key, value, headers, State.COMMITTED)
        self.show(partition, entry)
        return Position(topic=partition[0], partition=partition[1], offset=entry.offset)

    def write(self, partition: Partition, key: bytes, value: bytes | None, headers: Headers, state: State) -> Entry:
        """Add an entry that nobody is told of yet."""
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

    def show(self, partition: Partition, entry: Entry) -> None:
        """Tell everybody of an entry that readers of committed records see now."""
        for tell in self.on_visible:
            tell(partition, entry)
        self.wake(partition)

    # --- reading

    def read(self, partition: Partition, offset: int, *, committed: bool, limit: int) -> tuple[list[Record], int]:
        """Return records from an offset on, and the next offset to read from, behind markers and what was aborted."""
        entries, following = self.logs[partition].read(offset, committed=committed, limit=limit)
        return [_record(partition, entry) for entry in entries], following

    def end(self, partition: Partition, *, committed: bool) -> int:
        return self.logs[partition].end(committed=committed)

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

    def wake(self, partition: Partition) -> None:
        """Let those look again who wait for a partition."""
        for future in list(self._waiting.get(partition, ())):
            if not future.done():
                future.set_result(None)

    # --- keeping

    def compact(self, topic: str, *, min_age_s: float) -> None:
        """Keep the newest record of each key, and everything that is younger than the minimum lag."""
        for number in self._numbers(topic):
            self.logs[topic, number].compact(now_s=self._loop.time(), min_age_s=min_age_s)

    def expire(self, topic: str, *, min_age_s: float) -> None:
        """Remove what is older than the retention."""
        for number in self._numbers(topic):
            self.logs[topic, number].expire(now_s=self._loop.time(), min_age_s=min_age_s)


def _record(partition: Partition, entry: Entry) -> Record:
    return Record(
        position=Position(topic=partition[0], partition=partition[1], offset=entry.offset),
        key=entry.key,
        value=entry.value,
        headers=entry.headers,
        timestamp_ms=entry.timestamp_ms,
    )
