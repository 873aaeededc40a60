"""Reads `rag.deletions.quarantined`: compacted, and empty as long as nothing goes wrong."""

from collections.abc import Sequence

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.records import Record
from headwater.clients.kafka.whole import read_whole
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.documents import DeletionQuarantined
from schemas.ids import SourceId, TenantId
from schemas.topics import Topic


class KafkaQuarantine:
    """Implements Quarantine: reads the topic when it is asked, which administrators do now and then."""

    def __init__(self, settings: Settings, admin: KafkaAdmin) -> None:
        self._settings, self._admin = settings, admin
        self._topic = topic_of(settings, Topic.DELETIONS_QUARANTINED)

    async def waiting(self, tenant: TenantId, source: SourceId) -> Sequence[DeletionQuarantined]:
        """See the port."""
        found: dict[bytes, DeletionQuarantined] = {}

        def apply(record: Record) -> None:
            key = record.key or b""
            found.pop(key, None)
            if record.value is not None:
                event = decode(record.value, DeletionQuarantined)
                if (event.tenant_id, event.source) == (tenant, source):
                    found[key] = event

        partitions = range(await self._admin.partition_count(self._topic))
        await read_whole(
            self._settings.kafka, self._admin, self._topic, partitions, apply, client_id="headwater-quarantine"
        )
        return sorted(found.values(), key=lambda each: (each.quarantined_at, each.document_id))
