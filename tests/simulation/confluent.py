"""confluent-kafka as admission uses it, on the simulated broker: blocking calls in code of `Blocking`."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME, KafkaError, KafkaException, TopicPartition

from headwater.clients.kafka.records import Headers, Record
from tests.simulation.groups import Member, by_range
from tests.simulation.kafka_clients import news
from tests.simulation.partition_log import Partition
from tests.simulation.process import CURRENT, WORLD, ask, drive
from tests.simulation.transactions import FencedProducerError, StaleMemberError

_FETCH = 40
_GROUP = "headwater-admit"
_DOWN_S = 1.0


class SimMessage:
    """A consumed record, the end of a partition, or an error."""

    def __init__(
        self, partition: Partition, offset: int | None, record: Record | None, error: KafkaError | None
    ) -> None:
        self._partition, self._offset, self._record, self._error = partition, offset, record, error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._partition[0]

    def partition(self) -> int:
        return self._partition[1]

    def offset(self) -> int | None:
        return self._offset

    def key(self) -> bytes | None:
        return None if self._record is None else self._record.key

    def value(self) -> bytes | None:
        return None if self._record is None else self._record.value

    def headers(self) -> Headers:
        return () if self._record is None else self._record.headers

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, 0 if self._record is None else self._record.timestamp_ms or 0


def network_call(effect: Callable[[], Any]) -> Any:
    """Block for one call to the broker. Raises KafkaException, retriable, when it cannot be reached."""
    process, world = CURRENT.get(), WORLD.get()
    if process.cut_off or world.broker_away:
        ask(lambda: asyncio.sleep(_DOWN_S))
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "the broker does not answer", retriable=True))
    return ask(lambda: process.io(effect))


class SimConsumer:
    """Stands for `confluent_kafka.Consumer`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._broker = WORLD.get().broker
        self._committed_only = config["isolation.level"] == "read_committed"
        self._group = self._broker.group(config["group.id"])
        self._positions: dict[Partition, int] = {}
        self._told_end: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._ready: deque[SimMessage] = deque()
        self._member: Member | None = None
        self._generation = -1
        self._on: dict[str, Callable[..., None]] = {}

    def subscribe(self, topics: Sequence[str], **callbacks: Callable[..., None]) -> None:
        self._on = callbacks
        self._group.assign = by_range
        self._member = self._group.enter(CURRENT.get(), tuple(topics))

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        for each in partitions:
            start = self._broker.logs[each.topic, each.partition].start
            self._positions[each.topic, each.partition] = start if each.offset == OFFSET_BEGINNING else each.offset

    def poll(self, timeout: float) -> SimMessage | None:
        if self._member is not None and self._must_rejoin():
            self._rejoin(timeout)
            return None
        if not self._ready and timeout > 0:
            network = network_call_quietly(self._fetch)
            if network and not self._ready:
                drive(news(self._broker, self._reading(), self._member, timeout))
                network_call_quietly(self._fetch)
        elif not self._ready and not _unreachable():
            self._fetch()  # what has arrived meanwhile
        return self._next()

    def consume(self, count: int, timeout: float) -> list[SimMessage]:
        taken: list[SimMessage] = []
        while len(taken) < count and (message := self._next()) is not None:
            taken.append(message)
        return taken

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        wanted = [(each.topic, each.partition) for each in partitions]

        async def settled() -> None:
            deadline = asyncio.get_running_loop().time() + timeout
            while any(self._group.is_pending(each) for each in wanted):
                if asyncio.get_running_loop().time() > deadline:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "positions are not stable"))
                await asyncio.sleep(0.05)

        ask(settled)
        found: dict[Partition, int] = network_call(lambda: dict(self._group.committed))
        notes = self._group.notes
        return [
            TopicPartition(*each, found[each], metadata=notes.get(each, ""))
            if each in found
            else TopicPartition(*each, -1001)
            for each in wanted
        ]

    def get_watermark_offsets(self, partition: TopicPartition, **_: Any) -> tuple[int, int]:
        if _unreachable():
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "the broker does not answer", retriable=True))
        key = (partition.topic, partition.partition)
        return self._broker.logs[key].start, self._broker.end(key, committed=self._committed_only)

    def seek(self, partition: TopicPartition) -> None:
        key = (partition.topic, partition.partition)
        self._positions[key] = partition.offset
        self._drop({key})

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused |= {(each.topic, each.partition) for each in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused -= {(each.topic, each.partition) for each in partitions}

    def consumer_group_metadata(self) -> object:
        member = self._member
        return None if member is None else (self._group.name, member.name, member.generation)

    def close(self) -> None:
        if self._member is not None and not CURRENT.get().dead:
            self._group.leave(self._member)

    def _must_rejoin(self) -> bool:
        member = self._member
        return member is not None and (
            member.name not in self._group.members or member.must_rejoin or member.generation != self._generation
        )

    def _rejoin(self, timeout: float) -> None:
        member = self._member
        if member is None:
            return
        known = member.name in self._group.members
        lost = [TopicPartition(*each) for each in sorted(self._positions)]
        if lost:
            self._on["on_revoke" if known else "on_lost"](self, lost)
        self._positions, self._told_end, self._paused = {}, {}, set()
        self._ready.clear()
        if not known:
            member = self._member = self._group.enter(CURRENT.get(), member.topics)
        current = member
        current.news = self._group.loop.create_future()
        if current.must_rejoin:
            network_call_quietly(lambda: self._group.join(current))
        if current.must_rejoin:
            drive(news(self._broker, (), current, max(timeout, 0.05)))
        if current.must_rejoin or current.name not in self._group.members:
            return
        try:
            asked = [TopicPartition(*each) for each in sorted(current.assigned)]
            found = self.committed(asked, timeout=60.0)
        except KafkaException:
            return  # asked again by the next poll
        current.news = self._group.loop.create_future()
        self._generation = current.generation
        self._on["on_assign"](self, asked)
        for each in found:
            partition = (each.topic, each.partition)
            self._positions[partition] = each.offset if each.offset >= 0 else self._broker.logs[partition].start

    def _reading(self) -> list[Partition]:
        return [each for each in self._positions if each not in self._paused]

    def _fetch(self) -> None:
        for partition in sorted(self._reading()):
            position = max(self._positions[partition], self._broker.logs[partition].start)
            records, following = self._broker.read(partition, position, committed=self._committed_only, limit=_FETCH)
            for record in records:
                self._ready.append(SimMessage(partition, record.position.offset, record, None))
            end = self._broker.end(partition, committed=self._committed_only)
            if following == end and (records or self._told_end.get(partition) != end):
                self._told_end[partition] = end
                self._ready.append(SimMessage(partition, end, None, KafkaError(KafkaError._PARTITION_EOF)))
            self._positions[partition] = following

    def _next(self) -> SimMessage | None:
        for _ in range(len(self._ready)):
            message = self._ready.popleft()
            if (message.topic(), message.partition()) not in self._paused:
                return message
            self._ready.append(message)
        return None

    def _drop(self, partitions: set[Partition]) -> None:
        self._ready = deque(each for each in self._ready if (each.topic(), each.partition()) not in partitions)


class SimProducer:
    """Stands for a transactional `confluent_kafka.Producer`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._broker = WORLD.get().broker
        self._name = str(config["transactional.id"])
        self._timeout_s = config["transaction.timeout.ms"] / 1000
        self._partitioner = str(config["partitioner"])
        self._epoch = -1
        self._queued: list[tuple[Partition, bytes, bytes | None, Headers, Callable[..., None]]] = []

    def init_transactions(self, timeout: float) -> None:
        epoch = network_call(lambda: self._broker.transactions.init(self._name))
        if epoch is None:
            ask(lambda: asyncio.sleep(0.02))
            raise KafkaException(KafkaError(KafkaError.CONCURRENT_TRANSACTIONS, "still ending", retriable=True))
        self._epoch = epoch

    def begin_transaction(self) -> None:
        self._queued = []

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes,
        partition: int,
        headers: list[tuple[str, bytes]],
        timestamp: int,  # 0: the broker's clock stamps the record, as it does here
        on_delivery: Callable[..., None],
    ) -> None:
        number = self._broker.place(topic, key, self._partitioner) if partition < 0 else partition
        self._queued.append(((topic, number), key, value, tuple(headers), on_delivery))
        if WORLD.get().random.random() < 0.5:  # the client sends when it likes, not only at the end
            with suppress(KafkaException):  # what could not be sent is sent again, and what is fenced says so later
                self._flush()

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        with suppress(KafkaException):  # the call that follows says so
            self._flush()
        return len(self._queued)

    def send_offsets_to_transaction(self, offsets: Sequence[TopicPartition], group: Any, timeout: float) -> None:
        positions = {(each.topic, each.partition): each.offset for each in offsets}
        notes = {(each.topic, each.partition): each.metadata or "" for each in offsets}
        name, *membership = group if group is not None else (_GROUP,)  # a mutant proves no membership
        self._flush()
        while self._is_ending():  # positions alone wait for the transaction before, as records do
            ask(lambda: asyncio.sleep(0.01))
        self._call(
            lambda: self._broker.transactions.add_offsets(
                self._name,
                self._epoch,
                positions,
                notes,
                self._broker.group(name),
                tuple(membership) if membership else None,
                self._timeout_s,
            )
        )

    def commit_transaction(self, timeout: float) -> None:
        self._flush()
        self._call(lambda: self._broker.transactions.end(self._name, self._epoch, commit=True))
        if WORLD.get().happens("acknowledgement_lost"):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", retriable=True))

    def abort_transaction(self, timeout: float) -> None:
        self._queued = []
        self._call(lambda: self._broker.transactions.end(self._name, self._epoch, commit=False))

    def _flush(self) -> None:
        if self._queued and WORLD.get().happens("unconfirmed"):
            where, *_, on_delivery = self._queued.pop(0)
            on_delivery(None, SimMessage(where, None, None, None))
        queued = list(self._queued)
        if not queued:
            return
        self._until_begun()
        batch = [(partition, key, value, headers) for partition, key, value, headers, _ in queued]
        behind = self._call(lambda: self._broker.transactions.write(self._name, self._epoch, batch, self._timeout_s))
        del self._queued[: len(queued)]
        for partition, offset in behind.items():
            tell = next(on_delivery for where, *_, on_delivery in queued if where == partition)
            tell(None, SimMessage(partition, offset - 1, None, None))

    def _is_ending(self) -> bool:
        with suppress(FencedProducerError):  # the call that follows says so
            return not self._broker.transactions.can_begin(self._name, self._epoch)
        return False

    def _until_begun(self) -> None:
        while not self._call(lambda: self._broker.transactions.can_begin(self._name, self._epoch)):
            ask(lambda: asyncio.sleep(0.01))

    def _call(self, effect: Callable[[], Any]) -> Any:
        try:
            return network_call(effect)
        except FencedProducerError as error:
            raise KafkaException(KafkaError(KafkaError._FENCED, "a newer producer", fatal=True)) from error
        except StaleMemberError as error:
            failure = KafkaError(KafkaError.ILLEGAL_GENERATION, "the group moved on", txn_requires_abort=True)
            raise KafkaException(failure) from error


def network_call_quietly(effect: Callable[[], Any]) -> bool:
    """As a consumer's background thread: what cannot be reached now is tried again later."""
    try:
        network_call(effect)
    except KafkaException:
        return False
    return True


def _unreachable() -> bool:
    return CURRENT.get().cut_off or WORLD.get().broker_away
