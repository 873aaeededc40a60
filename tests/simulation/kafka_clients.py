"""The platform's own Kafka clients on the simulated broker: RecordStream, KafkaAdmin, the stages' publisher."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from headwater.clients.kafka.config import consumer_config, producer_config, topic_of
from headwater.clients.kafka.consumer import BEGINNING
from headwater.clients.kafka.errors import KafkaUnavailableError, OffsetExpiredError
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Headers, Item, Offsets, PartitionEnd
from headwater.settings import KafkaSettings, Settings
from schemas.codec import encode
from schemas.events.base import Position
from schemas.topics import Topic
from streams.harness.publishing import Emission
from tests.simulation.broker import Broker
from tests.simulation.groups import Member
from tests.simulation.partition_log import Partition
from tests.simulation.process import CURRENT, WORLD, ask, call, is_blocking, pause

T = TypeVar("T")
TIMEOUT_S = 1.0


async def broker_call(effect: Callable[[], T]) -> T:
    """Ask the broker; raise as the clients do when it cannot be reached."""
    process, world = CURRENT.get(), WORLD.get()
    if process.cut_off or world.broker_away:
        await pause(TIMEOUT_S)
        raise KafkaUnavailableError("the broker does not answer")
    return await call(effect)


async def news(broker: Broker, partitions: Collection[Partition], member: Member | None, wait_s: float) -> None:
    """Wait for something to happen, in the loop or in blocking code."""
    if wait_s <= 0:
        return
    changes = None if member is None else member.news

    async def wait() -> None:
        await broker.news(partitions, changes, wait_s)
        await CURRENT.get().alive()

    if is_blocking():
        ask(wait)
    else:
        await wait()


class SimRecordStream:
    """Stands for `RecordStream`."""

    def __init__(self, *, committed: bool, on_expired: str, member: Member | None) -> None:
        self._broker = WORLD.get().broker
        self._committed, self._on_expired, self._member = committed, on_expired, member
        self._group = ""
        self._generation = -1
        self._positions: dict[Partition, int] = {}
        self._told_end: dict[Partition, int] = {}
        self._paused: frozenset[Partition] = frozenset()

    @classmethod
    @asynccontextmanager
    async def assign_all(
        cls, settings: KafkaSettings, offsets: Offsets, *, client_id: str
    ) -> AsyncIterator["SimRecordStream"]:
        config = consumer_config(settings, client_id=client_id, group=client_id, on_expired="error")
        stream = cls(committed=_committed(config), on_expired="error", member=None)
        for topic, by_partition in offsets.items():
            for number, offset in by_partition.items():
                start = stream._broker.logs[topic, number].start if offset == BEGINNING else offset
                stream._positions[topic, number] = start
        yield stream

    @classmethod
    @asynccontextmanager
    async def subscribe(
        cls,
        settings: KafkaSettings,
        topics: Collection[str],
        *,
        group: str,
        client_id: str,
        on_expired: Literal["earliest", "latest", "error"] = "earliest",
    ) -> AsyncIterator["SimRecordStream"]:
        config = consumer_config(settings, client_id=client_id, group=group, on_expired=on_expired)
        joined = WORLD.get().broker.group(group)
        member = joined.enter(CURRENT.get(), tuple(topics))
        stream = cls(committed=_committed(config), on_expired=on_expired, member=member)
        stream._group = group
        try:
            yield stream
        finally:
            if not CURRENT.get().dead and stream._member is not None:
                joined.leave(stream._member)

    @property
    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        if self._member is not None:
            await self._keep_membership(wait_s)
        if not self._take(max_records):
            await news(
                self._broker, [each for each in self._positions if each not in self._paused], self._member, wait_s
            )
            if not self._take(max_records):
                await pause(0.002)  # the call itself
                return ()
        found = await broker_call(lambda: self._take(max_records))
        for item in found:
            if isinstance(item, PartitionEnd):
                self._told_end[item.position.topic, item.position.partition] = item.position.offset
        for item in found:
            key = (item.position.topic, item.position.partition)
            self._positions[key] = item.position.offset + (0 if isinstance(item, PartitionEnd) else 1)
        return tuple(found)

    async def commit(self, offsets: Offsets) -> None:
        member = self._member
        if member is None:
            raise RuntimeError("only members of a group commit")
        flat = {(topic, number): offset for topic, by in offsets.items() for number, offset in by.items()}
        if not await broker_call(lambda: self._broker.group(self._group).commit(member, flat)):
            raise KafkaUnavailableError("the group is rebalancing")

    async def pause(self, partitions: frozenset[Partition]) -> None:
        self._paused |= partitions

    async def resume(self, partitions: frozenset[Partition]) -> None:
        self._paused -= partitions

    async def _keep_membership(self, wait_s: float) -> None:
        member, group = self._member, self._broker.group(self._group)
        known = member is not None and member.name in group.members
        if member is None or (known and not member.must_rejoin and member.generation == self._generation):
            return
        self._positions, self._told_end, self._paused = {}, {}, frozenset()
        if member.name not in group.members:
            member = self._member = group.enter(CURRENT.get(), member.topics)
        member.news = asyncio.get_running_loop().create_future()
        if member.must_rejoin:
            await broker_call(lambda: group.join(member))
        if member.must_rejoin:
            await news(self._broker, (), member, wait_s)
        if not member.must_rejoin:
            self._generation = member.generation
            member.news = asyncio.get_running_loop().create_future()
            for each in sorted(member.assigned):
                self._positions[each] = group.committed.get(each, self._broker.logs[each].start)

    def _take(self, max_records: int) -> list[Item]:
        found: list[Item] = []
        broker, world, process = self._broker, WORLD.get(), CURRENT.get()
        for partition, known in sorted(self._positions.items()):
            if known == self._told_end.get(partition) == broker.end(partition, committed=self._committed):
                continue  # nothing has come since
            if partition in self._paused or world.is_withheld(process, partition[0]):
                continue
            start = self._broker.logs[partition].start
            if known < start and self._on_expired == "error":
                raise OffsetExpiredError(f"{partition}: offset {known} is gone")
            position = max(known, start)
            records, following = self._broker.read(
                partition, position, committed=self._committed, limit=max_records - len(found)
            )
            found += records
            if following == self._broker.end(partition, committed=self._committed) and (
                records or self._told_end.get(partition) != following
            ):
                found.append(PartitionEnd(position=_end(partition, following)))
        return found


class SimAdmin:
    """Stands for `KafkaAdmin`."""

    def __init__(self, settings: KafkaSettings, *, client_id: str = "") -> None:
        self._broker = WORLD.get().broker

    async def partition_count(self, topic: str) -> int:
        return await broker_call(lambda: self._broker.count(topic))

    async def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        return await broker_call(lambda: {topic: f"id-of-{topic}" for topic in topics})

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        return await broker_call(
            lambda: {
                topic: {number: self._broker.logs[topic, number].start for number in range(self._broker.count(topic))}
                for topic in topics
            }
        )

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        return await broker_call(
            lambda: {
                topic: {number: self._broker.end((topic, number), committed=committed) for number in numbers}
                for topic, numbers in partitions.items()
            }
        )

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        def look() -> Offsets:
            found: Offsets = {topic: {} for topic in topics}
            for (topic, number), offset in self._broker.group(group).committed.items():
                if topic in found:
                    found[topic][number] = offset
            return found

        return await broker_call(look)


class SimPublisher:
    """Stands for `KafkaPublisher`: records of one partition in order, each confirmed, perhaps stored twice."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker = WORLD.get().broker
        self._partitioner = str(producer_config(settings.kafka, client_id="stage")["partitioner"])

    async def publish(self, emissions: Sequence[Emission]) -> None:
        """See Publisher."""
        by_partition: dict[Partition, list[tuple[bytes, bytes, Headers]]] = {}
        for each in emissions:
            topic = topic_of(self._settings, each.topic)
            if each.routed_by is None:
                number = self._broker.place(topic, each.key, self._partitioner)
            else:
                number = partition_of(each.routed_by, self._broker.count(topic))
            by_partition.setdefault((topic, number), []).append((each.key, encode(each.event), each.headers))
        for partition, records in by_partition.items():
            await self._send(partition, records)

    async def partition_count(self, topic: Topic) -> int:
        """See Publisher."""
        return self._broker.count(topic_of(self._settings, topic))

    async def _send(self, partition: Partition, records: Sequence[tuple[bytes, bytes, Headers]]) -> None:
        world = WORLD.get()

        def store() -> None:
            for key, value, headers in records:
                self._broker.append(partition, key, value, headers)

        await broker_call(store)
        if world.happens("acknowledgement_lost"):
            raise KafkaUnavailableError("no confirmation: the records may be stored or not")


def _committed(config: Mapping[str, object]) -> bool:
    return config["isolation.level"] == "read_committed"


def _end(partition: Partition, offset: int) -> Position:
    return Position(topic=partition[0], partition=partition[1], offset=offset)
