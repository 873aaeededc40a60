"""Writes a restored log the way admission would have: in transactions, every key in its own partition."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.transactions import TransactionAbortedError, TransactionalProducer
from headwater.errors import FatalError
from headwater.ports.archive import RestoredRecord
from headwater.settings import Settings
from schemas.topics import Topic

_ATTEMPTS: Final = 3  # at a transaction: what was begun in an empty installation cannot be begun again
# Whatever a running installation has written to, sooner or later.
_MUST_BE_EMPTY: Final = (
    Topic.DOCUMENTS_CHANGED,
    Topic.DELETIONS_QUARANTINED,
    Topic.DIRECTORY_CHANGED,
    Topic.DOCUMENTS_SUBMITTED,
    Topic.DOCUMENTS_BACKFILL,
    Topic.DIRECTORY_SUBMITTED,
    Topic.DOCUMENTS_PROGRESSED,
    Topic.CONNECTORS_CURSORS,
)


class KafkaTargetLog:
    """Implements the port TargetLog.

    Transactions are a must, not a comfort: readers take the last record of these topics for a transaction's marker,
    which nobody waits for. The transactional id is that of admission's slot 0, so a worker that starts in spite of the
    check fences the restore, which then ends with a clear sentence.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = KafkaAdmin(settings.kafka, client_id="headwater-restore")
        self._counts: dict[Topic, int] = {}
        self._producer: TransactionalProducer | None = None

    async def require_empty(self) -> None:
        """See the port."""
        members = await self._admin.members(group_of(self._settings, "admit"))
        if members:
            raise FatalError(
                f"{members} admission workers run: stop everything but the components, then restore, then start"
            )
        names = [topic_of(self._settings, topic) for topic in _MUST_BE_EMPTY]
        counts = {name: range(await self._admin.partition_count(name)) for name in names}
        ends = await self._admin.log_ends(counts, committed=False)
        written = [name for name in names if any(ends[name].values())]
        if written:
            raise FatalError(
                f"this installation is not empty: {', '.join(written)} were written to; restore into one whose topics "
                "were created anew, or set another HEADWATER_KAFKA__TOPIC_PREFIX and run `headwater topics apply`"
            )

    async def partition_of(self, topic: Topic, key: bytes) -> int:
        """See the port."""
        if topic not in self._counts:
            self._counts[topic] = await self._admin.partition_count(topic_of(self._settings, topic))
        return partition_of(key, self._counts[topic])

    async def append(self, topic: Topic, records: Sequence[RestoredRecord]) -> Sequence[int]:
        """See the port."""
        partitions = [await self.partition_of(topic, each.partition_key or each.key) for each in records]
        return await asyncio.to_thread(self._append, topic_of(self._settings, topic), records, partitions)

    def _append(self, topic: str, records: Sequence[RestoredRecord], partitions: Sequence[int]) -> Sequence[int]:
        behind = self._transact(topic, records, partitions)
        # One transaction writes a partition without gaps, so the offsets follow from the last one.
        first = {each: end - partitions.count(each) for each, end in behind.items()}
        offsets = []
        for partition in partitions:
            offsets.append(first[partition])
            first[partition] += 1
        return offsets

    def _transact(self, topic: str, records: Sequence[RestoredRecord], partitions: Sequence[int]) -> Mapping[int, int]:
        """Write in one transaction, and again where it had to be undone. Return the next offset by partition."""
        producer, left = self._opened(), _ATTEMPTS
        while True:
            producer.begin()
            try:
                for record, partition in zip(records, partitions, strict=True):
                    producer.produce(
                        topic,
                        key=record.key,
                        value=record.value,
                        partition=partition,
                        headers=record.headers,
                        timestamp_ms=record.timestamp_ms,
                    )
                return producer.commit_records()[topic]
            except TransactionAbortedError:
                producer.abort()
                left -= 1
                if not left:
                    raise

    def _opened(self) -> TransactionalProducer:
        if self._producer is None:
            producer = TransactionalProducer(
                self._settings.kafka,
                transactional_id=f"{group_of(self._settings, 'admit')}-0",
                client_id="headwater-restore",
            )
            producer.open()
            self._producer = producer
        return self._producer
