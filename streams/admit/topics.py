"""What admission reads and writes: topic names of one installation, checked once."""

from dataclasses import dataclass

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas.events.base import Lane
from schemas.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTopics:
    """Names, and the number of partitions that the document topics share."""

    submitted: str
    backfill: str
    directory_submitted: str
    changed: str
    directory_changed: str
    quarantined: str
    audit: str
    parked: str
    partitions: int

    @property
    def inputs(self) -> tuple[str, str, str]:
        """What the consumer group reads."""
        return (self.directory_submitted, self.submitted, self.backfill)

    def lane(self, topic: str) -> Lane:
        """Return the lane that a document topic stands for."""
        return Lane.BACKFILL if topic == self.backfill else Lane.LIVE


async def admission_topics(settings: Settings, admin: KafkaAdmin) -> AdmissionTopics:
    """Look at the topics. Raises FatalError unless a worker can own the same partitions of all document topics."""
    names = {topic: topic_of(settings, topic) for topic in Topic}
    documents = (
        Topic.DOCUMENTS_SUBMITTED,
        Topic.DOCUMENTS_BACKFILL,
        Topic.DOCUMENTS_CHANGED,
        Topic.DELETIONS_QUARANTINED,
    )
    counts = {names[topic]: await admin.partition_count(names[topic]) for topic in documents}
    if len(set(counts.values())) != 1:
        raise FatalError(f"these topics must have equal partition counts: {counts}; recreate the one that differs")
    for topic in (Topic.DIRECTORY_SUBMITTED, Topic.DIRECTORY_CHANGED):
        if (count := await admin.partition_count(names[topic])) != 1:
            raise FatalError(f"{names[topic]} has {count} partitions and must have one; recreate it")
    return AdmissionTopics(
        submitted=names[Topic.DOCUMENTS_SUBMITTED],
        backfill=names[Topic.DOCUMENTS_BACKFILL],
        directory_submitted=names[Topic.DIRECTORY_SUBMITTED],
        changed=names[Topic.DOCUMENTS_CHANGED],
        directory_changed=names[Topic.DIRECTORY_CHANGED],
        quarantined=names[Topic.DELETIONS_QUARANTINED],
        audit=names[Topic.AUDIT_RECORDED],
        parked=names[Topic.EVENTS_PARKED],
        partitions=counts[names[Topic.DOCUMENTS_CHANGED]],
    )
