"""The log of syncs on Kafka: `rag.syncs.requested` and `rag.syncs.progressed`."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from connectors.worker.fence import KafkaFence
from connectors.worker.ports import Fence, Key
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.syncs import newest_syncs
from headwater.settings import Settings
from schemas.events.syncs import SourceTested, SyncProgressed, SyncRequested
from schemas.ids import scoped_key
from schemas.topics import Topic

WRITTEN: Final = (Topic.SYNCS_PROGRESSED, Topic.CONNECTORS_CURSORS)


class KafkaSyncLog:
    """Implements SyncLog. Use `open`."""

    def __init__(self, settings: Settings, producer: EventProducer, counts: Mapping[str, int]) -> None:
        self._settings, self._producer, self._counts = settings, producer, counts
        self._admin = KafkaAdmin(settings.kafka, client_id="headwater-connectors")
        self._requested = topic_of(settings, Topic.SYNCS_REQUESTED)

    @classmethod
    async def open(cls, settings: Settings, producer: EventProducer) -> "KafkaSyncLog":
        """Ask for the topics' shapes. Raises TopicMissingError."""
        topics = [topic_of(settings, topic) for topic in (Topic.SYNCS_REQUESTED, *WRITTEN)]
        return cls(settings, producer, {topic: await producer.partition_count(topic) for topic in topics})

    def take(self, key: Key) -> AbstractAsyncContextManager[Fence]:
        """See the port."""
        return KafkaFence.take(self._settings, key, self._counts)

    async def newest(self, partitions: Collection[int]) -> Mapping[Key, SyncProgressed]:
        """See the port. Waits for a transaction that a killed worker left open, as long as the broker lets it be."""
        # Requests and progress share key and partition count, hence partitions.
        ends = await self._admin.log_ends({self._requested: partitions}, committed=False)
        found = await newest_syncs(self._settings, self._admin, partitions)
        return {key: event for key, event in found.items() if _is_of(event, self._requested, ends[self._requested])}

    async def ask(self, request: SyncRequested) -> None:
        """See the port."""
        key = scoped_key(request.tenant_id, request.source)
        await self._producer.send(Topic.SYNCS_REQUESTED, request, key=key)

    async def tell(self, tested: SourceTested) -> None:
        """See the port."""
        await self._producer.send(Topic.SOURCES_TESTED, tested, key=scoped_key(tested.tenant_id, tested.source))

    def partition_of(self, key: Key) -> int:
        """See the port."""
        return partition_of(scoped_key(*key), self._counts[self._requested])


def _is_of(event: SyncProgressed, topic: str, ends: Mapping[int, int]) -> bool:
    """Say whether an event speaks of the requests that there are: a topic that was created anew begins at 0 again."""
    at = event.requested
    return at is None or (at.topic == topic and at.offset < ends.get(at.partition, 0))
