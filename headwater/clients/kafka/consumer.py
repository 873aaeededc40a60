"""Reading into asyncio: committed records, ends of partitions, offsets committed by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.clients.kafka.config import consumer_config
from headwater.clients.kafka.errors import translate
from headwater.clients.kafka.records import Item, Offsets, PartitionEnd, position_of, record_of
from headwater.errors import HeadwaterError
from headwater.settings import KafkaSettings

R = TypeVar("R")
Partitions: TypeAlias = frozenset[tuple[str, int]]

BEGINNING = OFFSET_BEGINNING
# A broker holds a fetch at the end of a partition this long, and only its answer tells the end: that is how old
# "current as of now" may be, and how long the marker behind a transaction hides that a follower is there.
_FOLLOWER_FETCH_WAIT_MS = 50
_PARTITION_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have underscored names


class RecordStream:
    """A Kafka consumer for one asyncio task. Use `assign_all` or `subscribe`.

    Blocking calls run in one thread of its own. Nothing is read ahead here: librdkafka's buffer, bounded by bytes, is
    the only one, so a slow reader holds 16 MiB and no more.
    """

    def __init__(self, consumer: Consumer, *, timeout_s: float, client_id: str) -> None:
        self._consumer = consumer
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=client_id)
        self._reading: asyncio.Future[list[Message]] | None = None
        self._failure: HeadwaterError | None = None
        self._assigned: Partitions = frozenset()

    @classmethod
    @asynccontextmanager
    async def assign_all(
        cls, settings: KafkaSettings, offsets: Offsets, *, client_id: str
    ) -> AsyncIterator["RecordStream"]:
        """Read exactly these partitions from these offsets (`BEGINNING`: all that is there), outside any group.

        Raises OffsetExpiredError from `read` when an offset is no longer in the topic.
        """
        # librdkafka wants a group even where none is joined and nothing is committed.
        config = consumer_config(settings, client_id=client_id, group=client_id, on_expired="error")
        config["fetch.wait.max.ms"] = _FOLLOWER_FETCH_WAIT_MS
        stream = cls(_open(config), timeout_s=settings.request_timeout_s, client_id=client_id)
        try:
            await stream._call(
                lambda: stream._consumer.assign([stream._begun(each) for each in _partitions(offsets)]),
                doing=f"assigning {', '.join(offsets)}",
            )
            stream._assigned = frozenset((topic, each) for topic, by in offsets.items() for each in by)
            yield stream
        finally:
            await stream._close()

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
    ) -> AsyncIterator["RecordStream"]:
        """Read the topics' partitions that the group gives this member. `assigned` changes during `read` alone.

        When partitions are taken away, positions not committed until then are read again by their next owner.
        """
        config = consumer_config(settings, client_id=client_id, group=group, on_expired=on_expired)
        stream = cls(_open(config), timeout_s=settings.request_timeout_s, client_id=client_id)
        try:
            await stream._call(
                lambda: stream._consumer.subscribe(
                    list(topics), on_assign=stream._gained, on_revoke=stream._lost, on_lost=stream._lost
                ),
                doing=f"subscribing to {', '.join(topics)}",
            )
            yield stream
        finally:
            await stream._close()

    @property
    def assigned(self) -> Partitions:
        """The (topic, partition) pairs that this stream reads now."""
        return self._assigned

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        """Wait for the first item and return it with what already lies ready, in order per partition.

        Empty after `wait_s` without any. Raises RetryableError (read on), OffsetExpiredError or FatalError; what was
        read before the failure is returned first. A cancelled read loses nothing.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        items: list[Item] = []
        for message in await self._next_messages(max_records, wait_s):
            error = message.error()
            if error is None:
                items.append(record_of(message))
            elif error.code() == _PARTITION_EOF:
                items.append(PartitionEnd(position=position_of(message)))
            else:
                failure = translate(error, f"reading {message.topic() or 'records'}")
                if not items:
                    raise failure
                self._failure = failure
                break
        return tuple(items)

    async def _next_messages(self, max_records: int, wait_s: float) -> list[Message]:
        # A cancelled read leaves its call in the thread; the next read takes the call's messages, so none is lost.
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._thread, self._take, max_records, wait_s)
        reading = self._reading
        try:
            messages = await asyncio.shield(reading)
        except KafkaException as error:
            raise translate(error, "reading") from error
        finally:
            if reading.done():
                self._reading = None
        return messages

    async def commit(self, offsets: Offsets) -> None:
        """Commit, for the group, the next offsets to read. Returns when the broker has stored them.

        Raises RetryableError, also when the group is rebalancing and these partitions may be another member's by now.
        """
        await self._call(
            lambda: self._consumer.commit(offsets=_partitions(offsets), asynchronous=False),
            doing=f"committing positions in {', '.join(offsets)}",
        )

    async def seek(self, offsets: Offsets) -> None:
        """Read these assigned partitions again from these offsets."""

        def seek() -> None:
            for each in _partitions(offsets):
                self._consumer.seek(each)

        await self._call(seek, doing=f"seeking in {', '.join(offsets)}")

    async def pause(self, partitions: Partitions) -> None:
        """Stop reading these partitions until `resume`; they stay assigned."""
        await self._call(lambda: self._consumer.pause(_pairs(partitions)), doing="pausing partitions")

    async def resume(self, partitions: Partitions) -> None:
        """Go on reading these partitions."""
        await self._call(lambda: self._consumer.resume(_pairs(partitions)), doing="resuming partitions")

    def _take(self, max_records: int, wait_s: float) -> list[Message]:
        # `consume(n, t)` waits out t even when records are there: wait for one, then take what lies ready.
        first = self._consumer.poll(wait_s)
        if first is None:
            return []
        return [first, *(self._consumer.consume(max_records - 1, 0) if max_records > 1 else ())]

    async def _call(self, call: Callable[[], R], *, doing: str) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except KafkaException as error:
            raise translate(error, doing) from error

    def _begun(self, partition: TopicPartition) -> TopicPartition:
        """Return it with the number of its first offset where BEGINNING is wanted.

        Told BEGINNING, librdkafka asks a leader that a new consumer does not know yet, and again after 500 ms.
        """
        if partition.offset == BEGINNING:
            partition.offset, _ = self._consumer.get_watermark_offsets(partition, timeout=self._timeout_s)
        return partition

    async def _close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    # Called by librdkafka within `poll`, in the stream's thread, while its task waits for `read`.
    def _gained(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned |= {(each.topic, each.partition) for each in partitions}

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned -= {(each.topic, each.partition) for each in partitions}


def next_offsets(items: Collection[Item]) -> Offsets:
    """Return the positions to commit, or to resume from, once all of these items are dealt with."""
    offsets: Offsets = {}
    for item in items:
        position = item.position
        following = position.offset if isinstance(item, PartitionEnd) else position.offset + 1
        by_partition = offsets.setdefault(position.topic, {})
        by_partition[position.partition] = max(following, by_partition.get(position.partition, 0))
    return offsets


def from_beginning(counts: Mapping[str, int]) -> Offsets:
    """Return the start of every partition of topics with these partition counts."""
    return {topic: dict.fromkeys(range(count), BEGINNING) for topic, count in counts.items()}


def _open(config: dict[str, Any]) -> Consumer:
    try:
        return Consumer(config)
    except KafkaException as error:
        raise translate(error, "opening a consumer") from error


def _partitions(offsets: Offsets) -> list[TopicPartition]:
    return [TopicPartition(topic, each, offset) for topic, by in offsets.items() for each, offset in by.items()]


def _pairs(partitions: Partitions) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic, partition in partitions]
