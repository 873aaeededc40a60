"""A batch in one transaction: what is written, what is remembered, and what is not after an abort."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Headers, Offsets, Record
from headwater.clients.kafka.transactions import TransactionAbortedError
from headwater.errors import RetryableError
from headwater.heads.directory_table import DirectoryTable
from headwater.heads.environment import WritableEnvironment
from headwater.settings import Settings
from headwater.telemetry.metrics import SUBMISSIONS_EXPIRED, SUBMISSIONS_EXPIRED_AT
from schemas.codec import decode, encode
from schemas.events.base import Lane, Position, Store
from schemas.events.directory import DirectoryKind, Group, KnowledgeBase, Source
from schemas.events.documents import DocumentSubmitted
from schemas.events.parked import EventParked
from schemas.ids import GenerationName, KnowledgeBaseId, directory_key, document_key
from streams.admit.backlog import Place
from streams.admit.credits import lag
from streams.admit.erasure import Candidate, Erasure
from streams.admit.expiry import gaps
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.intake import MAX_PARKED_BYTES
from streams.admit.topics import AdmissionTopics
from streams.admit.worker import AdmissionWorker
from tests.support.heads import ACME, NOON_MS, blob, command, delete, put, state, world

TOPICS = AdmissionTopics(
    submitted="submitted",
    backfill="backfill",
    directory_submitted="directory.submitted",
    changed="changed",
    directory_changed="directory.changed",
    quarantined="quarantined",
    audit="audit",
    parked="parked",
    partitions=4,
)


class FakeWriter:
    """Keeps what a broker would show: transactions that were committed."""

    def __init__(self) -> None:
        self.log: list[tuple[str, bytes | None]] = []
        self.positions: dict[tuple[str, int], Place] = {}
        self.aborted = 0
        self.fail_next = False
        self._open: list[tuple[str, bytes | None, int]] = []

    def begin(self) -> None:
        self._open = []

    def produce(
        self, topic: str, *, key: bytes, value: bytes | None, partition: int = -1, headers: Headers = ()
    ) -> None:
        self._open.append((topic, value, partition))

    def commit(self, positions: Mapping[tuple[str, int], Place], group: Any) -> Offsets:
        if self.fail_next:
            self.fail_next = False
            raise TransactionAbortedError("the group has moved on")
        written: Offsets = {}
        for topic, value, partition in self._open:
            self.log.append((topic, value))
            written.setdefault(topic, {})[partition] = len(self.log)
        self.positions |= positions
        return written

    def abort(self) -> None:
        self.aborted += 1

    def count(self, topic: str) -> int:
        return sum(written == topic for written, _ in self.log)


class FakeDirectory:
    """A directory that learns something when it is read to its end."""

    def __init__(self) -> None:
        self.table = DirectoryTable()
        self.position = 3
        self.refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1
        self.table = world()


class Bench:
    """A worker on fakes."""

    def __init__(self, heads: AdmissionHeads) -> None:
        self.heads = heads
        self.writer = FakeWriter()
        self.directory = FakeDirectory()
        self.backfilled: list[int] = []
        self.worker = AdmissionWorker(
            Settings(),
            TOPICS,
            heads,
            self.writer,
            self.directory,
            now_ms=lambda: NOON_MS,
            refresh_directory=self.directory.refresh,
            on_backfill=self.backfilled.append,
        )
        self._offset = 0

    def record(self, event: DocumentSubmitted) -> Record:
        key = document_key(event.tenant_id, event.document_id)
        topic = TOPICS.backfill if event.lane is Lane.BACKFILL else TOPICS.submitted
        return self.raw(topic, key, encode(event), partition_of(key, TOPICS.partitions))

    def raw(self, topic: str, key: bytes | None, value: bytes | None, partition: int) -> Record:
        self._offset += 1
        position = Position(topic=topic, partition=partition, offset=self._offset)
        return Record(position=position, key=key, value=value, headers=(("h", b"v"),), timestamp_ms=None)

    def admit(self, *events: DocumentSubmitted) -> None:
        self.worker.admit_documents([self.record(each) for each in events], None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with WritableEnvironment(tmp_path, map_size_bytes=2**26, layout=LAYOUT) as environment:
        heads = AdmissionHeads(environment.lmdb, changed=TOPICS.changed, directory=TOPICS.directory_changed)
        made = Bench(heads)
        made.directory.refresh()
        yield made


def test_records_audit_and_positions_go_together(bench: Bench) -> None:
    submission = put()
    record = bench.record(submission)
    bench.worker.admit_documents([record], None)
    assert [topic for topic, _ in bench.writer.log] == ["changed", "audit"]
    position = record.position
    assert bench.writer.positions == {(position.topic, position.partition): Place(offset=position.offset + 1)}
    assert bench.heads.get(position.partition, submission.document_id) is not None
    assert bench.heads.position(position.partition) == 1


def test_after_an_abort_nothing_is_remembered_and_the_batch_can_be_taken_again(bench: Bench) -> None:
    record = bench.record(put())
    bench.writer.fail_next = True
    with pytest.raises(RetryableError):
        bench.worker.admit_documents([record], None)
    assert bench.writer.aborted == 1
    assert bench.writer.log == []
    assert bench.heads.get(record.position.partition, put().document_id) is None
    bench.worker.admit_documents([record], None)
    assert bench.writer.count("changed") == 1


def test_a_batch_that_was_committed_and_is_read_again_writes_nothing(bench: Bench) -> None:
    records = [bench.record(put(state(f"v{number}"))) for number in range(3)]
    bench.worker.admit_documents(records, None)
    bench.worker.admit_documents(records, None)
    assert bench.writer.count("changed") == 3
    assert bench.writer.count("audit") == 3


def test_the_directory_is_looked_at_again_before_refusing_but_once_a_batch(bench: Bench) -> None:
    bench.directory.table = DirectoryTable()
    bench.directory.refreshed = 0
    bench.admit(put(), put(external_id="two.md"))
    assert bench.writer.count("changed") == 2
    gone = state(knowledge_base=KnowledgeBaseId("gone"))
    bench.admit(*(put(gone, f"{number}.md") for number in range(5)))
    assert bench.directory.refreshed == 2
    assert bench.writer.count("changed") == 2


def test_admitted_backfill_costs_credits_and_dropped_backfill_no_audit(bench: Bench) -> None:
    event = put(state(content=blob("12345")), lane=Lane.BACKFILL)
    bench.admit(event)
    bench.admit(event)
    assert bench.backfilled == [5]
    assert bench.writer.count("audit") == 1


def test_commands_of_one_batch_see_each_other(bench: Bench) -> None:
    commands = [
        command(DirectoryKind.KNOWLEDGE_BASE, "wiki", KnowledgeBase(name="Wiki")),
        command(DirectoryKind.SOURCE, "wiki", Source(name="W", kind="s3", knowledge_base=KnowledgeBaseId("wiki"))),
        command(DirectoryKind.GROUP, "wiki:x", Group(name="X", members=())),
        command(DirectoryKind.GROUP, "wiki:x", Group(name="X", members=())),
    ]
    records = [
        bench.raw(TOPICS.directory_submitted, directory_key(ACME, each.kind.value, each.record_id), encode(each), 0)
        for each in commands
    ]
    bench.worker.admit_directory(records, None)
    assert bench.writer.count("directory.changed") == 3
    assert bench.writer.count("audit") == 4


def test_a_letter_fits_into_a_record_and_names_its_reason(bench: Bench) -> None:
    key = document_key(ACME, put().document_id)
    record = bench.raw(TOPICS.submitted, key, b"x" * 900_000, partition_of(key, 4))
    bench.worker.admit_documents([record], None)
    [(topic, value)] = bench.writer.log
    letter = decode(value or b"", EventParked)
    assert topic == "parked"
    assert (letter.origin, letter.error, letter.headers) == (record.position, "UndecodableError", record.headers)
    assert len(letter.value) == MAX_PARKED_BYTES


def test_what_expired_is_told_together_with_the_position_behind_it(bench: Bench) -> None:
    found = gaps({(TOPICS.submitted, 2): Place(offset=5)}, {TOPICS.submitted: {2: 9}})
    bench.writer.fail_next = True
    with pytest.raises(RetryableError):
        bench.worker.tell_expired(found, None)
    assert (bench.writer.log, bench.writer.positions) == ([], {})
    before = SUBMISSIONS_EXPIRED._value.get()
    SUBMISSIONS_EXPIRED_AT.set(0)
    bench.worker.tell_expired(found, None)
    assert [topic for topic, _ in bench.writer.log] == ["parked", "audit"]
    assert decode(bench.writer.log[0][1] or b"", EventParked).error == "SubmissionsExpiredError"
    assert bench.writer.positions == {(TOPICS.submitted, 2): Place(offset=9)}
    assert SUBMISSIONS_EXPIRED._value.get() - before == 4
    assert (
        SUBMISSIONS_EXPIRED_AT._value.get() == decode(bench.writer.log[0][1] or b"", EventParked).parked_at.timestamp()
    )


def test_a_gap_of_which_everything_was_settled_pages_nobody(bench: Bench) -> None:
    SUBMISSIONS_EXPIRED_AT.set(0)
    bench.worker.tell_expired(
        gaps({(TOPICS.submitted, 2): Place(offset=5, note="3")}, {TOPICS.submitted: {2: 7}}), None
    )
    assert SUBMISSIONS_EXPIRED_AT._value.get() == 0


def test_lag_is_what_lies_between_read_and_end() -> None:
    assert lag({"t": {0: 10, 1: 5}}, {"t": {0: 4}}) == 11
    assert lag({"t": {0: 10}}, {"t": {0: 12}}) == 0


class TestErasure:
    """A deletion that everybody has confirmed becomes a tombstone."""

    def erasure(self, bench: Bench) -> tuple[int, Erasure]:
        bench.admit(put(), delete())
        document = put().document_id
        partition = partition_of(document_key(ACME, document), TOPICS.partitions)
        head = bench.heads.get(partition, document)
        assert head is not None
        candidate = Candidate(tenant_id=ACME, document_id=document, revision=head.record.revision)
        return partition, Erasure(candidate=candidate, reported=((GenerationName("g1"), Store.VECTORS),))

    def test_the_log_gets_tombstones_and_the_head_is_forgotten(self, bench: Bench) -> None:
        partition, erasure = self.erasure(bench)
        before = len(bench.writer.log)
        assert bench.worker.erase(partition, [erasure], (TOPICS.submitted, partition, 9), None) == 1
        written = bench.writer.log[before:]
        assert [(topic, value is None) for topic, value in written] == [
            ("changed", True),
            ("rag.documents.progressed", True),
            ("audit", False),
        ]
        assert bench.heads.get(partition, erasure.candidate.document_id) is None
        assert bench.writer.positions[TOPICS.submitted, partition] == Place(offset=9)

    def test_a_document_that_is_there_again_is_left_alone(self, bench: Bench) -> None:
        partition, erasure = self.erasure(bench)
        bench.admit(put(state("again")))
        before = len(bench.writer.log)
        assert bench.worker.erase(partition, [erasure], (TOPICS.submitted, partition, 9), None) == 0
        assert len(bench.writer.log) == before

    def test_an_aborted_erasure_leaves_the_head(self, bench: Bench) -> None:
        partition, erasure = self.erasure(bench)
        bench.writer.fail_next = True
        with pytest.raises(RetryableError):
            bench.worker.erase(partition, [erasure], (TOPICS.submitted, partition, 9), None)
        assert bench.heads.get(partition, erasure.candidate.document_id) is not None

    def test_an_erased_document_can_be_submitted_anew(self, bench: Bench) -> None:
        partition, erasure = self.erasure(bench)
        bench.worker.erase(partition, [erasure], (TOPICS.submitted, partition, 9), None)
        bench.admit(put(source_version=1))
        head = bench.heads.get(partition, erasure.candidate.document_id)
        assert head is not None
        assert head.exists
