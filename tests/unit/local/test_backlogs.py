"""What lies before a document: its own partition, the group of each stage, and what is kept."""

from collections.abc import Collection, Mapping

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Offsets
from headwater.local.backlogs import KafkaBacklogs
from headwater.settings import Settings
from schemas.ids import DocumentId, GenerationName, TenantId, document_key
from schemas.topics import Topic

ACME, DOCUMENT, G2 = TenantId("acme"), DocumentId("d" * 32), GenerationName("g2")
PARTITIONS = 12
MINE = partition_of(document_key(ACME, DOCUMENT), PARTITIONS)


class FakeAdmin:
    """A broker where every topic begins at 5 and ends at 50 in every partition."""

    def __init__(self, committed: Mapping[str, int]) -> None:
        self.committed = committed
        self.groups: list[str] = []

    async def partition_count(self, topic: str) -> int:
        return PARTITIONS

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        self.groups.append(group)
        return {topic: {MINE: self.committed[topic]} if topic in self.committed else {} for topic in topics}

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        return {topic: dict.fromkeys(range(PARTITIONS), 5) for topic in topics}

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        return {topic: dict.fromkeys(numbers, 50) for topic, numbers in partitions.items()}


async def test_each_stage_is_asked_by_its_group_in_the_documents_own_partition() -> None:
    admin = FakeAdmin({"rag.documents.changed": 50, "rag.documents.deferred.g2": 33, "rag.chunks.prepared.g2": 33})
    backlogs = await KafkaBacklogs(Settings(), admin).of_document(
        ACME, DOCUMENT, stages=("prepare", "embed", "index-vectors"), generation=G2
    )
    assert [(each.stage, each.topic, each.partition, each.events) for each in backlogs] == [
        ("prepare", Topic.DOCUMENTS_CHANGED, MINE, 0),
        ("prepare", Topic.DOCUMENTS_DEFERRED, MINE, 17),
        ("embed", Topic.CHUNKS_PREPARED, MINE, 17),
        ("index-vectors", Topic.CHUNKS_EMBEDDED, MINE, 45),  # never committed: all that is kept lies before it
    ]
    assert admin.groups == ["headwater-prepare-g2", "headwater-embed-g2", "headwater-index-vectors-g2"]


async def test_admission_has_a_backlog_for_each_lane_and_one_group_for_all_generations() -> None:
    admin = FakeAdmin({"rag.documents.submitted": 48, "rag.documents.backfill": 2})
    backlogs = await KafkaBacklogs(Settings(), admin).of_document(ACME, DOCUMENT, stages=("admit",), generation=G2)
    assert [(each.topic, each.position, each.events, each.expired) for each in backlogs] == [
        (Topic.DOCUMENTS_SUBMITTED, 48, 2, 0),
        (Topic.DOCUMENTS_BACKFILL, 5, 45, 3),  # what it had not read has expired
    ]
    assert admin.groups == ["headwater-admit"]
