"""A log in memory that can be backed up and restored into."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Record
from headwater.errors import FatalError
from headwater.ports.archive import RestoredRecord, TopicFacts
from schemas.codec import encode
from schemas.events.base import Position
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DocumentChanged
from schemas.ids import directory_key, document_key
from schemas.topics import Topic

PARTITIONS = 2
WEEK_S = 7 * 24 * 3600.0


@dataclass
class MemoryLog:
    """Implements SourceLog and TargetLog. A transaction is followed by a marker, as in Kafka: an offset of its own."""

    partitions: int = PARTITIONS
    identity: str = "first"
    settled: bool = True
    waiting: list[Record] = field(default_factory=list)  # submissions on their way, and dead letters
    topics: dict[Topic, list[list[Record | None]]] = field(default_factory=dict)
    asked: list[Topic] = field(default_factory=list)  # in which order topics were looked at

    async def facts(self, topic: Topic) -> TopicFacts:
        self.asked.append(topic)
        records = self._records(topic)
        return TopicFacts(
            topic_id=f"{self.identity}/{topic}",
            starts=dict.fromkeys(range(len(records)), 0),
            ends={number: len(each) for number, each in enumerate(records)},
            tombstones_kept_s=WEEK_S,
        )

    async def records(self, topic: Topic, start: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Record]:
        for number in start:
            records = self._records(topic)[number]
            for record in records[start[number] : ends[number]]:
                if record is not None:
                    yield record

    async def unsettled(self) -> AsyncIterator[Record]:
        for record in self.waiting:
            yield record

    async def submissions_settled(self) -> bool:
        return self.settled

    async def require_empty(self) -> None:
        if any(records for topic in self.topics.values() for records in topic):
            raise FatalError("not empty")

    async def partition_of(self, topic: Topic, key: bytes) -> int:
        return partition_of(key, len(self._records(topic)))

    async def append(self, topic: Topic, records: Sequence[RestoredRecord]) -> Sequence[int]:
        offsets = []
        touched = set()
        for each in records:
            number = await self.partition_of(topic, each.partition_key or each.key)
            touched.add(number)
            offsets.append(self._append(topic, number, each.key, each.value, timestamp_ms=each.timestamp_ms))
        for number in touched:
            self._records(topic)[number].append(None)
        return offsets

    def put(self, topic: Topic, key: bytes, value: bytes | None, *, timestamp_ms: int | None = 1_000) -> int:
        """Append one record; return its offset."""
        return self._append(topic, partition_of(key, len(self._records(topic))), key, value, timestamp_ms=timestamp_ms)

    def change(self, record: DocumentChanged, *, timestamp_ms: int = 1_000) -> int:
        """Append a document's state."""
        key = document_key(record.tenant_id, record.document_id)
        return self.put(Topic.DOCUMENTS_CHANGED, key, encode(record), timestamp_ms=timestamp_ms)

    def direct(self, record: DirectoryChanged) -> int:
        """Append a directory record."""
        key = directory_key(record.tenant_id, record.kind.value, record.record_id)
        return self.put(Topic.DIRECTORY_CHANGED, key, encode(record))

    def newest(self, topic: Topic) -> dict[bytes, Record]:
        """Return the newest record of each key."""
        everything = (record for records in self._records(topic) for record in records if record is not None)
        return {record.key or b"": record for record in everything}

    def _records(self, topic: Topic) -> list[list[Record | None]]:
        count = 1 if topic is Topic.DIRECTORY_CHANGED else self.partitions
        return self.topics.setdefault(topic, [[] for _ in range(count)])

    def _append(self, topic: Topic, number: int, key: bytes, value: bytes | None, *, timestamp_ms: int | None) -> int:
        records = self._records(topic)[number]
        position = Position(topic=topic.value, partition=number, offset=len(records))
        records.append(Record(position=position, key=key, value=value, headers=(), timestamp_ms=timestamp_ms))
        return position.offset
