"""The Backlogs port on Kafka: the groups' positions against the ends of a document's own partitions."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Offsets
from headwater.local.lag import INPUTS, PER_GENERATION
from headwater.ports.backlogs import Backlog
from headwater.settings import Settings
from schemas.ids import DocumentId, GenerationName, TenantId, document_key
from schemas.topics import Topic

# Topics whose key is the document's: only there is a partition the document's own.
_OF_DOCUMENTS: Final = frozenset(
    {
        Topic.DOCUMENTS_SUBMITTED,
        Topic.DOCUMENTS_BACKFILL,
        Topic.DOCUMENTS_CHANGED,
        Topic.DOCUMENTS_DEFERRED,
        Topic.CHUNKS_PREPARED,
        Topic.CHUNKS_EMBEDDED,
    }
)


class AsksTheLog(Protocol):
    """The part of `KafkaAdmin` that is needed here."""

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        ...

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        """Return the next offset that a group will read, for each partition it has committed."""
        ...

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        """Return the oldest offset that is still there."""
        ...

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        """Return the ends of the named partitions."""
        ...


class KafkaBacklogs:
    """Implements Backlogs."""

    def __init__(self, settings: Settings, admin: AsksTheLog) -> None:
        self._settings, self._admin = settings, admin

    async def of_document(
        self, tenant: TenantId, document: DocumentId, *, stages: Collection[str], generation: GenerationName
    ) -> Sequence[Backlog]:
        """See the port. All document topics have one number of partitions, so one partition number serves for all."""
        inputs = {stage: [topic for topic in INPUTS[stage] if topic in _OF_DOCUMENTS] for stage in stages}
        names = {
            topic: topic_of(self._settings, topic, generation=generation)
            for topic in dict.fromkeys(topic for topics in inputs.values() for topic in topics)
        }
        changed = topic_of(self._settings, Topic.DOCUMENTS_CHANGED)
        partition = partition_of(document_key(tenant, document), await self._admin.partition_count(changed))
        ends, starts, *positions = await asyncio.gather(
            self._admin.log_ends(dict.fromkeys(names.values(), (partition,))),
            self._admin.start_offsets(tuple(names.values())),
            *(
                self._admin.committed_offsets(self._group(stage, generation), [names[topic] for topic in topics])
                for stage, topics in inputs.items()
            ),
        )
        return [
            _backlog(
                stage,
                topic,
                partition,
                committed=committed[names[topic]].get(partition),
                oldest=starts[names[topic]].get(partition, 0),
                end=ends[names[topic]].get(partition, 0),
            )
            for (stage, topics), committed in zip(inputs.items(), positions, strict=True)
            for topic in topics
        ]

    def _group(self, stage: str, generation: GenerationName) -> str:
        return group_of(self._settings, stage, generation=generation if stage in PER_GENERATION else None)


def _backlog(stage: str, topic: Topic, partition: int, *, committed: int | None, oldest: int, end: int) -> Backlog:
    """Without a commit a group begins at the first record that is kept; so it does where its own expired."""
    own = oldest if committed is None else committed
    return Backlog(
        stage=stage,
        topic=topic,
        partition=partition,
        position=max(own, oldest),
        end=end,
        expired=max(0, oldest - own),
    )
