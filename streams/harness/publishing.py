"""How stages write to the log: with confirmation, in order, with the one partitioner."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing
from headwater.settings import Settings
from headwater.telemetry.tracing import Headers
from schemas.codec import encode
from schemas.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """An event on its way to a topic."""

    topic: Topic
    key: bytes
    event: object
    routed_by: bytes | None = None  # key that names the partition, where it is not `key`
    headers: Headers = ()


class Publisher(Protocol):
    """Appends events to the log.

    Raises RetryableError when the broker is away, PoisonError when a record is larger than its topic takes,
    FatalError when a topic is missing or access is refused.
    """

    async def publish(self, emissions: Sequence[Emission]) -> None:
        """Return when the broker holds all of them; those of one partition in this order."""

    async def partition_count(self, topic: Topic) -> int:
        """Return how many partitions a topic has."""


class KafkaPublisher:
    """Implements Publisher. The trace context goes along in the headers."""

    def __init__(self, producer: EventProducer, settings: Settings) -> None:
        self._producer, self._settings = producer, settings

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, client_id: str) -> AsyncIterator[Self]:
        """Open a producer and close it when all it was given is settled."""
        async with EventProducer.open(settings, client_id=client_id) as producer:
            yield cls(producer, settings)

    async def publish(self, emissions: Sequence[Emission]) -> None:
        """See Publisher."""
        await self._producer.send_many(
            Outgoing(
                topic=topic_of(self._settings, each.topic),
                key=each.key,
                value=encode(each.event),
                partition_key=each.routed_by,
                headers=each.headers,
            )
            for each in emissions
        )

    async def partition_count(self, topic: Topic) -> int:
        """See Publisher."""
        return await self._producer.partition_count(topic_of(self._settings, topic))
