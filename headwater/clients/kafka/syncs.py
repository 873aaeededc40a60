"""Reads `rag.syncs.progressed` and `rag.sources.tested`: compacted, one record a source, so reading whole is quick."""

from collections.abc import Collection, Mapping, Sequence

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Record
from headwater.clients.kafka.whole import read_whole
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.syncs import SourceTested, SyncProgressed
from schemas.ids import SourceId, TenantId, scoped_key
from schemas.topics import Topic


async def newest_syncs(
    settings: Settings, admin: KafkaAdmin, partitions: Collection[int]
) -> Mapping[tuple[TenantId, SourceId], SyncProgressed]:
    """Return the newest record of each source in these partitions. Raises as `read_whole`."""
    found: dict[tuple[TenantId, SourceId], SyncProgressed] = {}

    def apply(record: Record) -> None:
        if record.value is not None:
            event = decode(record.value, SyncProgressed)
            found[event.tenant_id, event.source] = event

    topic = topic_of(settings, Topic.SYNCS_PROGRESSED)
    await read_whole(settings.kafka, admin, topic, partitions, apply, client_id="headwater-syncs")
    return found


class KafkaSyncStates:
    """Implements SyncStates: reads the topic when it is asked, which administrators do now and then."""

    def __init__(self, settings: Settings, admin: KafkaAdmin) -> None:
        self._settings, self._admin = settings, admin
        self._topic = topic_of(settings, Topic.SYNCS_PROGRESSED)
        self._tested = topic_of(settings, Topic.SOURCES_TESTED)

    async def newest(self, tenant: TenantId, source: SourceId) -> SyncProgressed | None:
        """See the port."""
        partition = partition_of(scoped_key(tenant, source), await self._admin.partition_count(self._topic))
        return (await newest_syncs(self._settings, self._admin, [partition])).get((tenant, source))

    async def newest_test(self, tenant: TenantId, source: SourceId) -> SourceTested | None:
        """See the port."""
        found: list[SourceTested] = []
        key = scoped_key(tenant, source)

        def apply(record: Record) -> None:
            if record.key == key and record.value is not None:
                found[:] = [decode(record.value, SourceTested)]

        partition = partition_of(key, await self._admin.partition_count(self._tested))
        await read_whole(
            self._settings.kafka, self._admin, self._tested, [partition], apply, client_id="headwater-syncs"
        )
        return found[0] if found else None

    async def all(self, tenant: TenantId) -> Sequence[SyncProgressed]:
        """See the port."""
        partitions = range(await self._admin.partition_count(self._topic))
        found = await newest_syncs(self._settings, self._admin, partitions)
        return [found[key] for key in sorted(found) if key[0] == tenant]
