"""Cursors live in the log: one compacted record a part, keyed tenant/source/part."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from connectors.protocol import Cursor
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing, PartitionEnd, Record
from headwater.errors import RetryableError
from headwater.settings import Settings
from schemas.codec import decode, encode
from schemas.events.syncs import CursorSaved
from schemas.ids import SourceId, TenantId, scoped_key
from schemas.topics import Topic


class CursorStore:
    """Loads and saves one source's cursor."""

    def __init__(self, settings: Settings, producer: EventProducer, *, tenant: TenantId, source: SourceId) -> None:
        self._settings, self._producer = settings, producer
        self._admin = KafkaAdmin(settings.kafka, client_id="connector-cursors")
        self._tenant, self._source = tenant, source
        self._topic = topic_of(settings, Topic.CONNECTORS_CURSORS)
        self._prefix = scoped_key(tenant, source) + b"/"

    async def load(self) -> dict[str, bytes]:
        """Read the topic to its end and return the newest state of each of this source's parts.

        Raises RetryableError when the end is not reached: a transaction that a killed worker left open hides it, but
        no longer than the broker lets it.
        """
        counts = {self._topic: await self._producer.partition_count(self._topic)}
        ends = await self._admin.log_ends({self._topic: range(counts[self._topic])}, committed=False)
        patience_s = 3 * self._settings.kafka.transaction_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                return await self._read_to(ends[self._topic], counts)
        except TimeoutError as error:
            raise RetryableError(f"{self._topic} could not be read to its end within {patience_s} s") from error

    async def _read_to(self, ends: Mapping[int, int], counts: Mapping[str, int]) -> dict[str, bytes]:
        cursor: dict[str, bytes] = {}
        open_partitions = set(ends)
        async with RecordStream.assign_all(
            self._settings.kafka, from_beginning(counts), client_id="connector-cursors"
        ) as stream:
            while open_partitions:
                for item in await stream.read():
                    if isinstance(item, PartitionEnd):
                        if item.position.offset >= ends[item.position.partition]:
                            open_partitions.discard(item.position.partition)
                    else:
                        self._apply(item, cursor)
        return cursor

    def _apply(self, record: Record, cursor: dict[str, bytes]) -> None:
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
            partition_key=scoped_key(self._tenant, self._source),
        )


def without_marks(cursor: Cursor) -> dict[str, bytes]:
    """Return the connector's own parts: names that begin with an exclamation mark are the runner's."""
    return {part: state for part, state in cursor.items() if not part.startswith("!")}
