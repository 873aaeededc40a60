"""Sending from asyncio, confirmed by the broker."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headwater.clients.kafka.budget import ByteBudget
from headwater.clients.kafka.config import producer_config, topic_of
from headwater.clients.kafka.errors import KafkaUnavailableError, UnconfirmedError, translate
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.partitions import count_partitions
from headwater.clients.kafka.records import Headers, Outgoing, position_of
from headwater.settings import Settings
from headwater.telemetry.tracing import inject_headers
from schemas.codec import encode
from schemas.events import Position
from schemas.topics import Topic

Value: TypeAlias = object  # an event, its bytes, or None for a tombstone

_BY_KEY = -1  # librdkafka: let the partitioner choose
_POLL_S = 0.1  # how long a stop may wait for the thread; a delivery report ends a poll at once
_IN_FLIGHT_BYTES = 32 * 1024 * 1024  # half of librdkafka's own buffer, so that it never refuses


class EventProducer:
    """Sends events; a call returns only when the broker holds the record on all in-sync replicas.

    Delivery reports are served by one thread and handed to the event loop that sent. Idempotent: a repetition by the
    client never doubles or reorders records. Use `EventProducer.open`.
    """

    def __init__(self, settings: Settings, *, client_id: str) -> None:
        self._settings = settings
        self._timeout_s = settings.kafka.request_timeout_s
        self._producer = Producer(producer_config(settings.kafka, client_id=client_id))
        self._budget = ByteBudget(_IN_FLIGHT_BYTES)
        self._partitions: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"{client_id}-deliveries", daemon=True)
        self._thread.start()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, client_id: str) -> AsyncIterator["EventProducer"]:
        """Open a producer and, at the end, deliver what is queued and close it."""
        producer = cls(settings, client_id=client_id)
        try:
            yield producer
        finally:
            await producer.close()

    async def send(
        self,
        topic: Topic | str,
        value: Value,
        *,
        key: bytes,
        headers: Headers = (),
        partition_key: bytes | None = None,
        partition: int | None = None,
    ) -> Position:
        """Send one event (or bytes, or a tombstone) and return where the broker stored it.

        A `Topic` is named for this installation and the settings' generation. The trace context is added to `headers`.
        Raises UnencodableError, RetryableError (UnconfirmedError where it may be stored), RecordRefusedError (poison)
        or FatalError.
        """
        name = topic_of(self._settings, topic) if isinstance(topic, Topic) else topic
        payload = value if value is None or isinstance(value, bytes) else encode(value)
        if partition_key is not None:
            partition = partition_of(partition_key, await self.partition_count(name))
        size = len(key) + len(payload or b"")
        await self._budget.take(size)
        try:
            return await self._deliver(name, payload, key, (*headers, *inject_headers()), partition)
        finally:
            self._budget.give(size)

    async def send_many(self, records: Iterable[Outgoing]) -> tuple[Position, ...]:
        """Send records side by side, in their order within a partition, and return their positions in that order.

        Every record is settled before this returns; if some failed, the first failure is raised. A repetition may then
        store records twice, which every reader of ours tolerates.
        """
        records = tuple(records)
        for topic in {each.topic for each in records if each.partition_key is not None}:
            await self.partition_count(topic)  # known beforehand, so that no send waits and is overtaken
        sends = [
            self.send(each.topic, each.value, key=each.key, headers=each.headers, partition_key=each.partition_key)
            for each in records
        ]
        results = await asyncio.gather(*sends, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return tuple(result for result in results if isinstance(result, Position))

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has. Asked once: partitions never grow in place."""
        known = self._partitions.get(topic)
        if known is None:
            known = await asyncio.to_thread(count_partitions, self._producer, topic, timeout_s=self._timeout_s)
            self._partitions[topic] = known
        return known

    async def flush(self) -> None:
        """Return when everything sent so far is settled. Raises KafkaUnavailableError when that takes too long."""
        left = await asyncio.to_thread(self._producer.flush, self._timeout_s)
        if left:
            raise KafkaUnavailableError(f"{left} records were not confirmed within {self._timeout_s} s")

    async def close(self) -> None:
        """Deliver what is queued, within the request timeout, and stop the thread."""
        try:
            await self.flush()
        finally:
            self._stopping.set()
            await asyncio.to_thread(self._thread.join)

    async def _deliver(
        self, topic: str, payload: bytes | None, key: bytes, headers: Headers, partition: int | None
    ) -> Position:
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[Position] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, settled, error, message)

        try:
            self._producer.produce(
                topic,
                payload,
                key=key,
                headers=list(headers),
                partition=_BY_KEY if partition is None else partition,
                on_delivery=on_delivery,
            )
        except BufferError as error:
            raise KafkaUnavailableError(f"the producer's queue is full while producing to {topic}") from error
        except KafkaException as error:
            raise translate(error, f"producing to {topic}") from error
        return await settled

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)


def _settle(settled: asyncio.Future[Position], error: KafkaError | None, message: Message) -> None:
    if settled.done():  # its caller gave up waiting
        return
    if error is not None:
        settled.set_exception(translate(error, f"producing to {message.topic()}"))
    elif message.offset() is None:
        settled.set_exception(UnconfirmedError(f"{message.topic()}: the broker never said where a record is stored"))
    else:
        settled.set_result(position_of(message))
