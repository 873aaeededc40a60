"""Cursors live in the log: one compacted record a part, keyed tenant/source/part."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from connectors.parts import Parts, below
from connectors.protocol import Cursor, CursorMoved, GroupMirrored, SourceChange
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing, Record
from headwater.clients.kafka.whole import read_whole
from headwater.settings import Settings
from schemas.codec import decode, encode
from schemas.events.syncs import CursorSaved
from schemas.ids import SourceId, TenantId, scoped_key
from schemas.topics import Topic


def noted(changes: Iterable[SourceChange | GroupMirrored | CursorMoved]) -> dict[str, bytes | None]:
    """Return the parts of the cursor that are true once all of these are submitted.

    Each part is asked for once, of the last change that has it: making the state of a range of keys takes time.
    """
    last = {part: change.cursor for change in changes for part in change.cursor}
    return {part: parts[part] for part, parts in last.items()}


class CursorStore:
    """Loads and saves one source's cursor."""

    def __init__(self, settings: Settings, producer: EventProducer, *, tenant: TenantId, source: SourceId) -> None:
        self._settings, self._producer = settings, producer
        self._admin = KafkaAdmin(settings.kafka, client_id="connector-cursors")
        self._tenant, self._source = tenant, source
        self._topic = topic_of(settings, Topic.CONNECTORS_CURSORS)
        self._partition_key = scoped_key(tenant, source)
        self._prefix = self._partition_key + b"/"

    async def load(self) -> Parts:
        """Return the newest state of each of this source's parts. Raises as `read_whole`, and as Parts."""
        # One source's parts share a partition, which may hold other sources' as well.
        partition = partition_of(self._partition_key, await self._producer.partition_count(self._topic))
        cursor = Parts()
        await read_whole(
            self._settings.kafka,
            self._admin,
            self._topic,
            [partition],
            lambda record: self._apply(record, cursor),
            client_id="connector-cursors",
        )
        return cursor

    def _apply(self, record: Record, cursor: Parts) -> None:
        if record.key is None or not record.key.startswith(self._prefix):
            return
        part = record.key.removeprefix(self._prefix).decode()
        if record.value is None:
            cursor.pop(part, None)
        else:
            cursor[part] = decode(record.value, CursorSaved).state

    async def save(self, parts: Mapping[str, bytes | None]) -> None:
        """Return when the broker holds every part. Call it after the broker has confirmed what came before."""
        now = datetime.now(UTC)
        await self._send([self._outgoing(part, state, now) for part, state in parts.items()])

    async def _send(self, records: Sequence[Outgoing]) -> None:
        await self._producer.send_many(records)

    def _outgoing(self, part: str, state: bytes | None, now: datetime) -> Outgoing:
        event = CursorSaved(
            event_id=uuid4(),
            tenant_id=self._tenant,
            occurred_at=now,
            observed_at=now,
            source=self._source,
            part=part,
            state=state or b"",
        )
        return Outgoing(
            topic=self._topic,
            key=self._prefix + part.encode(),
            value=None if state is None else encode(event),
            # One source's parts share a partition: a later save is never overtaken by an earlier one.
            partition_key=self._partition_key,
        )


def without_marks(cursor: Cursor) -> Parts:
    """Return the connector's own parts: names that begin with an exclamation mark are the runner's."""
    return Parts(part for part in below(cursor, "") if not part[0].startswith("!"))
