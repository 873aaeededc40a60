"""How stages write to the log: with confirmation, in order, with the one partitioner."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2

from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.settings import Settings
from headwater.telemetry.tracing import inject_headers
from schemas.codec import encode
from schemas.topics import Topic, topic_name
from streams.harness.connection import connection_options

_MAX_REQUEST_BYTES = 4 * 1024 * 1024  # the broker's own limit per topic decides; this only must not be below it
_REFUSALS = (AuthenticationFailedError, ClusterAuthorizationFailedError, TopicAuthorizationFailedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An event on its way to a topic."""

    topic: Topic
    key: bytes | None
    event: object
    routed_by: bytes | None = None  # key that names the partition, where it is not `key`


class Publisher(Protocol):
    """Appends events to the log.

    Raises RetryableError when the broker is away, PoisonError when a record is larger than its topic takes,
    FatalError when a topic is missing or access is refused.
    """

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when the broker holds all of them; those of one partition in this order."""

    async def partition_of(self, topic: Topic, key: bytes) -> int:
        """Return the partition that a key belongs to."""


class KafkaPublisher:
    """Implements Publisher with an idempotent producer: order survives the client's own repeats."""

    def __init__(self, producer: AIOKafkaProducer, settings: Settings) -> None:
        self._producer, self._settings = producer, settings

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connect. Raises FatalError when no broker answers."""
        producer = AIOKafkaProducer(
            **connection_options(settings.kafka),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise FatalError(
                f"HEADWATER_KAFKA__BOOTSTRAP_SERVERS {settings.kafka.bootstrap_servers!r}: "
                f"no broker answers ({type(error).__name__})"
            ) from error
        try:
            yield cls(producer, settings)
        finally:
            await producer.stop()

    async def publish(self, records: Sequence[Record]) -> None:
        """See Publisher."""
        headers = list(inject_headers())
        try:
            sent = [
                await self._producer.send(
                    self._name(record.topic),
                    key=record.key,
                    value=encode(record.event),
                    partition=await self._explicit_partition(record),
                    headers=headers,
                )
                for record in records
            ]
            async with asyncio.timeout(self._settings.kafka.request_timeout_s + 5):
                await asyncio.gather(*sent)
        except MessageSizeTooLargeError as error:
            raise PoisonError(f"a record for {records[0].topic} is larger than the broker takes: {error}") from error
        except _REFUSALS as error:
            raise FatalError(f"Kafka refuses to write {records[0].topic}: check HEADWATER_KAFKA__SASL_*") from error
        except UnknownTopicOrPartitionError as error:
            raise FatalError(f"topic {records[0].topic} is missing: run `headwater topics apply`") from error
        except (KafkaError, TimeoutError, OSError) as error:
            raise RetryableError(f"Kafka: {type(error).__name__}") from error

    async def partition_of(self, topic: Topic, key: bytes) -> int:
        """See Publisher."""
        partitions = await self._producer.partitions_for(self._name(topic))
        return partition_for(key, len(partitions))

    async def _explicit_partition(self, record: Record) -> int | None:
        if record.routed_by is None:
            return None  # aiokafka's default partitioner is murmur2 already
        return await self.partition_of(record.topic, record.routed_by)

    def _name(self, topic: Topic) -> str:
        return topic_name(topic, generation=self._settings.generation, prefix=self._settings.kafka.topic_prefix)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own clients choose for a key: murmur2, made positive, modulo."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
