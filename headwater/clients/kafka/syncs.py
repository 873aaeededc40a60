"""Reads `rag.syncs.progressed`: compacted, one record a source, so that reading it whole is quick."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import BEGINNING, RecordStream
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import PartitionEnd
from headwater.errors import RetryableError
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.syncs import SyncProgressed
from schemas.ids import SourceId, TenantId, scoped_key
from schemas.topics import Topic


async def newest_syncs(
    settings: Settings, admin: KafkaAdmin, partitions: Collection[int]
) -> Mapping[tuple[TenantId, SourceId], SyncProgressed]:
    """Return the newest record of each source in these partitions.

    Waits for a transaction that a killed worker left open, as long as the broker lets it be; then RetryableError.
    """
    topic, patience_s = topic_of(settings, Topic.SYNCS_PROGRESSED), 3 * settings.kafka.transaction_timeout_s
    found: dict[tuple[TenantId, SourceId], SyncProgressed] = {}
    try:
        async with asyncio.timeout(patience_s):
            ends = (await admin.log_ends({topic: partitions}, committed=False))[topic]
            left = {partition for partition in partitions if ends[partition] > 0}
            start = {topic: dict.fromkeys(left, BEGINNING)}
            async with RecordStream.assign_all(settings.kafka, start, client_id="headwater-syncs") as stream:
                while left:
                    for item in await stream.read():
                        if isinstance(item, PartitionEnd):
                            if item.position.offset >= ends[item.position.partition]:
                                left.discard(item.position.partition)
                        elif item.value is not None:
                            event = decode(item.value, SyncProgressed)
                            found[event.tenant_id, event.source] = event
    except TimeoutError as error:
        raise RetryableError(f"{topic} could not be read to its end within {patience_s} s") from error
    return found


class KafkaSyncStates:
    """Implements SyncStates: reads the topic when it is asked, which administrators do now and then."""

    def __init__(self, settings: Settings, admin: KafkaAdmin) -> None:
        self._settings, self._admin = settings, admin
        self._topic = topic_of(settings, Topic.SYNCS_PROGRESSED)

    async def newest(self, tenant: TenantId, source: SourceId) -> SyncProgressed | None:
        """See the port."""
        partition = partition_of(scoped_key(tenant, source), await self._admin.partition_count(self._topic))
        return (await newest_syncs(self._settings, self._admin, [partition])).get((tenant, source))

    async def all(self, tenant: TenantId) -> Sequence[SyncProgressed]:
        """See the port."""
        partitions = range(await self._admin.partition_count(self._topic))
        found = await newest_syncs(self._settings, self._admin, partitions)
        return [found[key] for key in sorted(found) if key[0] == tenant]
