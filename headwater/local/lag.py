"""How far each consumer group is behind the log, and how old the oldest waiting event is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from headwater.clients.kafka.config import client_config, consumer_config, group_of, topic_of
from headwater.errors import RetryableError
from headwater.ports.freshness import StageLag
from headwater.settings import Settings
from schemas.ids import GenerationName
from schemas.topics import Topic

# stage -> what it reads. Stages in PER_GENERATION have a group for each generation.
INPUTS: Mapping[str, tuple[Topic, ...]] = {
    "admit": (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL, Topic.DIRECTORY_SUBMITTED),
    "prepare": (Topic.DOCUMENTS_CHANGED, Topic.DOCUMENTS_DEFERRED),
    "embed": (Topic.CHUNKS_PREPARED,),
    "index-vectors": (Topic.CHUNKS_EMBEDDED,),
    "index-keywords": (Topic.CHUNKS_PREPARED,),
    "status": (
        Topic.DOCUMENTS_PROGRESSED,
        Topic.DOCUMENTS_CHANGED,
        Topic.EVENTS_PARKED,
        Topic.EVENTS_RESOLVED,
        Topic.AUDIT_RECORDED,
    ),
    "feedback": (Topic.FEEDBACK_RECEIVED,),
    "analytics": (Topic.QUERIES_EXECUTED, Topic.DOCUMENTS_INGESTED, Topic.CANARIES_MEASURED),
}
PER_GENERATION = frozenset({"prepare", "embed", "index-vectors", "index-keywords"})
Partition: TypeAlias = tuple[str, int]
_CLIENT = "headwater-status"
_TIMEOUT_S = 5.0
_SEEK_TIMEOUT_S = 2.0
_RETENTIONS_FROM: Final = timedelta(hours=1)  # topics are kept for days: for what is younger the broker is not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """One partition of one group."""

    partition: Partition
    position: int  # where the group goes on
    end: int
    expired: int = 0  # what lay before that and was removed before the group had read it

    @property
    def offsets(self) -> int:
        return max(0, self.end - self.position)


class LagReader:
    """Reads the lag of every stage. Blocking; raises RetryableError when the broker does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_config(settings.kafka, client_id=_CLIENT))
        self._consumer = Consumer(consumer_config(settings.kafka, client_id=_CLIENT, group=_CLIENT))

    def close(self) -> None:
        self._consumer.close()

    def stages(self, *, generation: GenerationName | None = None) -> tuple[StageLag, ...]:
        """Return the lag of each stage whose topics exist, in a generation: the settings' own unless told."""
        try:
            existing = self._topics()
            return tuple(self._stage(stage, existing, generation or self._settings.generation) for stage in INPUTS)
        except KafkaException as error:
            raise RetryableError(f"Kafka does not answer: {error}") from error

    def parked(self) -> int:
        """Return how many dead letters the topic holds."""
        topic = topic_of(self._settings, Topic.EVENTS_PARKED)
        try:
            watermarks = [self._watermarks((topic, number)) for number in self._topics().get(topic, ())]
        except KafkaException as error:
            raise RetryableError(f"Kafka does not answer: {error}") from error
        return sum(high - low for low, high in watermarks)

    def _topics(self) -> Mapping[str, tuple[int, ...]]:
        topics = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        return {name: tuple(topic.partitions) for name, topic in topics.items()}

    def _stage(self, stage: str, existing: Mapping[str, tuple[int, ...]], generation: GenerationName) -> StageLag:
        group = group_of(self._settings, stage, generation=generation if stage in PER_GENERATION else None)
        names = [topic_of(self._settings, topic, generation=generation) for topic in INPUTS[stage]]
        partitions = [(name, number) for name in names for number in existing.get(name, ())]
        known = list(self._partitions(group, partitions))
        behind = [lag for lag in known if lag.offsets]
        oldest = self._first_waiting(behind)
        events = sum(lag.offsets for lag in behind if lag.partition in oldest)
        first, expired = min(oldest.values(), default=None), sum(lag.expired for lag in known)
        expires = self._expires(oldest, now=datetime.now(tz=UTC))
        return StageLag(stage=stage, group=group, events=events, oldest=first, expired=expired, expires=expires)

    def _expires(self, oldest: Mapping[Partition, datetime], *, now: datetime) -> datetime | None:
        """Return when the first of the oldest waiting records may be removed, of those with half their time over."""
        old = [(topic, at) for (topic, _), at in oldest.items() if now - at > _RETENTIONS_FROM]
        kept = self._retentions({topic for topic, _ in old})
        return min(
            (at + kept[topic] for topic, at in old if topic in kept and now - at > kept[topic] / 2), default=None
        )

    def _retentions(self, topics: Collection[str]) -> Mapping[str, timedelta]:
        """Return for how long each topic keeps its records, of those that remove what is old."""
        if not topics:
            return {}
        asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        answers = self._admin.describe_configs(asked, request_timeout=_TIMEOUT_S)
        configs = {resource.name: answer.result() for resource, answer in answers.items()}
        return {
            topic: timedelta(milliseconds=kept_ms)
            for topic, config in configs.items()
            if "delete" in str(config["cleanup.policy"].value)
            and (kept_ms := int(config["retention.ms"].value or -1)) >= 0
        }

    def _partitions(self, group: str, partitions: Sequence[Partition]) -> Iterator[PartitionLag]:
        if not partitions:
            return
        asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(*partition) for partition in partitions])]
        [answer] = self._admin.list_consumer_group_offsets(asked, request_timeout=_TIMEOUT_S).values()
        for each in answer.result().topic_partitions:
            low, high = self._watermarks((each.topic, each.partition))
            # Without a commit the offset is negative; an expired one lies below the first that is kept.
            position = max(each.offset, low)
            expired = 0 if each.offset < 0 else position - each.offset
            yield PartitionLag(partition=(each.topic, each.partition), position=position, end=high, expired=expired)

    def _watermarks(self, partition: Partition) -> tuple[int, int]:
        marks = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=_TIMEOUT_S, cached=False)
        if marks is None:
            raise RetryableError(f"Kafka did not tell the ends of {partition[0]} within {_TIMEOUT_S:.0f} s")
        low, high = marks
        return low, high

    def _first_waiting(self, behind: Sequence[PartitionLag]) -> Mapping[Partition, datetime]:
        """Read the first committed record after each position. There may be none: transaction markers have offsets."""
        found: dict[Partition, datetime] = {}
        pending = {lag.partition for lag in behind}
        self._consumer.assign([TopicPartition(*lag.partition, lag.position) for lag in behind])
        while pending:
            record = self._consumer.poll(_SEEK_TIMEOUT_S)
            if record is None:
                break
            partition = (str(record.topic()), int(record.partition() or 0))
            if partition in pending and record.error() is None:
                found[partition] = datetime.fromtimestamp(record.timestamp()[1] / 1000, tz=UTC)
            pending.discard(partition)  # at its end, or read: either way known
        self._consumer.unassign()
        return found
