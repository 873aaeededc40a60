"""What waits is in the log: written with the decision, taken back with what ends it, known again after a loss."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.records import Headers, Offsets
from headwater.errors import RetryableError
from headwater.heads.environment import WritableEnvironment
from schemas.codec import decode, encode
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DeletionQuarantined, DocumentChanged, DocumentSubmitted
from schemas.events.queries import AuditRecorded
from schemas.ids import DocumentId, Principal, document_key
from streams.admit.backlog import Place
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.outcomes import DocumentHead
from streams.admit.purge import Purges
from tests.support.heads import ACME, FILES, HANDBOOK, delete, directory_record, patch, put, state, world
from tests.unit.admit.test_worker import TOPICS, Bench, FakeWriter

NOTHING = Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK, max_deletions_per_day=0)
ADA = Principal("user:ada")


class KeyedWriter(FakeWriter):
    """Keeps keys as well: what a compacted topic would be left with."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[tuple[str, bytes], bytes | None] = {}
        self._keyed: list[tuple[str, bytes, bytes | None]] = []

    def begin(self) -> None:
        super().begin()
        self._keyed = []

    def produce(
        self, topic: str, *, key: bytes, value: bytes | None, partition: int = -1, headers: Headers = ()
    ) -> None:
        super().produce(topic, key=key, value=value, partition=partition, headers=headers)
        assert partition in {-1, partition_of(key, TOPICS.partitions)}
        self._keyed.append((topic, key, value))

    def commit(self, positions: Mapping[tuple[str, int], Place], group: Any) -> Offsets:
        written = super().commit(positions, group)
        self.newest |= {(topic, key): value for topic, key, value in self._keyed}
        return written

    def waiting(self) -> dict[str, DeletionQuarantined]:
        """What the topic says, by document."""
        found = {}
        for (topic, key), value in self.newest.items():
            if topic == TOPICS.quarantined and value is not None:
                found[key.decode().rpartition("/")[2]] = decode(value, DeletionQuarantined)
        return found


class Kept(Bench):
    """A worker whose source may delete nothing unasked, and a log that another worker can begin from."""

    def __init__(self, heads: AdmissionHeads, writer: KeyedWriter | None = None) -> None:
        super().__init__(heads)
        self.log = self.writer = writer or KeyedWriter()
        self.worker._writer = self.writer
        self.directory.table = world(source=NOTHING)

    def head(self, document: DocumentId) -> DocumentHead | None:
        return self.heads.get(partition_of(document_key(ACME, document), TOPICS.partitions), document)


def open_heads(environment: WritableEnvironment) -> AdmissionHeads:
    return AdmissionHeads(environment.lmdb, changed=TOPICS.changed, directory=TOPICS.directory_changed)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Kept]:
    with WritableEnvironment(tmp_path, map_size_bytes=2**26, layout=LAYOUT) as environment:
        yield Kept(open_heads(environment))


def approval(bench: Kept, document: DocumentId) -> DocumentSubmitted:
    deletion = bench.log.waiting()[document]
    return delete(deletion.external_id, approves=deletion.submitted, actor=ADA)


def restored(heads: AdmissionHeads, log: KeyedWriter) -> None:
    """Do what a worker does that takes over: read both topics, as compaction has left them."""
    waiting: dict[int, dict[str, bytes]] = {each: {} for each in range(TOPICS.partitions)}
    for (topic, key), value in log.newest.items():
        partition = partition_of(key, TOPICS.partitions)
        if topic == TOPICS.changed:
            record = None if value is None else decode(value, DocumentChanged)
            heads.restore(Position(topic=topic, partition=partition, offset=0), value, key, record)
        elif topic == TOPICS.quarantined and value is not None:
            waiting[partition][key.decode().rpartition("/")[2]] = value
    heads.persist()
    for partition, deletions in waiting.items():
        heads.restore_waiting(partition, deletions)


def outcomes(bench: Kept) -> list[tuple[str, str]]:
    trail = [decode(value or b"", AuditRecorded) for topic, value in bench.log.log if topic == "audit"]
    return [(each.action, each.outcome) for each in trail]


def test_a_deletion_waits_until_it_is_approved(bench: Kept) -> None:
    bench.admit(put(), delete())
    document = put().document_id
    assert list(bench.log.waiting()) == [document]
    assert bench.log.count("changed") == 1
    bench.admit(approval(bench, document))
    head = bench.head(document)
    assert head is not None
    assert (head.exists, head.waiting, head.record.approved) == (False, None, True)
    assert bench.log.waiting() == {}
    assert outcomes(bench) == [
        ("documents.put", "accepted"),
        ("documents.delete", "quarantined"),
        ("documents.delete", "accepted"),
    ]


def test_a_put_takes_it_back_in_the_same_transaction(bench: Kept) -> None:
    bench.admit(put(), delete())
    bench.writer.fail_next = True
    again = bench.record(put())
    with pytest.raises(RetryableError):
        bench.worker.admit_documents([again], None)
    head = bench.head(put().document_id)
    assert head is not None
    assert head.waiting is not None
    bench.worker.admit_documents([again], None)
    assert bench.log.waiting() == {}
    head = bench.head(put().document_id)
    assert head is not None
    assert (head.exists, head.waiting) == (True, None)


def test_a_deletion_that_nobody_approved_is_not_written_twice(bench: Kept) -> None:
    bench.admit(put(), delete(), delete(), patch({"title": "Ours"}))
    assert bench.log.count("quarantined") == 1


def test_deleting_its_knowledge_base_ends_the_waiting(bench: Kept) -> None:
    bench.admit(put(), delete())
    partition = partition_of(document_key(ACME, put().document_id), TOPICS.partitions)
    purges = Purges(bench.heads, TOPICS.directory_changed)
    gone = directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None)
    purges.plan({(ACME, DirectoryKind.KNOWLEDGE_BASE, HANDBOOK): (5, gone)}, [partition])
    purge = purges.due(0)
    assert purge is not None
    bench.worker.purge(purges, purge, (TOPICS.submitted, partition, 9), None)
    assert bench.log.waiting() == {}
    head = bench.head(put().document_id)
    assert head is not None
    assert (head.exists, head.waiting) == (False, None)


def test_what_waited_elsewhere_before_is_forgotten(bench: Kept) -> None:
    bench.admit(put(), delete())
    partition = partition_of(document_key(ACME, put().document_id), TOPICS.partitions)
    bench.heads.restore_waiting((partition + 1) % TOPICS.partitions, {})
    head = bench.head(put().document_id)
    assert head is not None
    assert head.waiting is not None
    bench.heads.restore_waiting(partition, {})
    assert bench.head(put().document_id) == replace(head, waiting=None)


@pytest.mark.parametrize("seed", range(12))
def test_workers_that_come_and_go_know_what_the_log_says(seed: int, tmp_path: Path) -> None:
    """Random lives of six documents, against a model of one sentence each, with a new worker now and then."""
    random = Random(seed)
    names = [f"page-{number}.md" for number in range(6)]
    log, there, waits = KeyedWriter(), set[str](), set[str]()
    for life in range(4):
        with WritableEnvironment(
            tmp_path / str(random.choice((0, life))), map_size_bytes=2**26, layout=LAYOUT
        ) as opened:
            bench = Kept(open_heads(opened), log)
            bench._offset = life * 100
            restored(bench.heads, log)
            for _ in range(12):
                name = random.choice(names)
                bench.admit(*_step(random, bench, name, there, waits))
                known = {each.external_id for each in bench.log.waiting().values()}
                assert known == waits
                for each in names:
                    head = bench.head(put(external_id=each).document_id)
                    assert (head is not None and head.exists) == (each in there)
                    assert (head is not None and head.waiting is not None) == (each in waits)


def _step(random: Random, bench: Kept, name: str, there: set[str], waits: set[str]) -> Sequence[DocumentSubmitted]:
    kind = random.choice(("put", "same", "delete", "delete", "approve", "late approval"))
    if kind in {"put", "same"}:
        there.add(name)
        waits.discard(name)
        return [put(state("same" if kind == "same" else f"draft {random.random()}"), name)]
    if kind == "delete":
        if name in there:
            waits.add(name)
        return [delete(name)]
    document = put(external_id=name).document_id
    if name not in waits:
        return []
    approved = approval(bench, document)
    waits.discard(name)
    if kind == "late approval":
        return [put(state("same"), name), approved]
    there.discard(name)
    return [approved, approved]


def test_a_deletion_of_another_source_s_document_does_not_wait(bench: Kept) -> None:
    bench.admit(put(), replace(delete(), source=FILES, external_id="other.md"))
    assert bench.log.waiting() == {}


def test_what_waits_is_encoded_as_its_topic_has_it(bench: Kept) -> None:
    bench.admit(put(), delete(source_version=9))
    head = bench.head(put().document_id)
    assert head is not None
    assert head.waiting is not None
    [value] = [value for topic, value in bench.log.log if topic == "quarantined"]
    assert encode(head.waiting) == value
    assert head.seen_version == 9


def test_a_listing_that_is_suspiciously_short_costs_a_tenth_and_the_next_whole_one_takes_the_rest_back(
    bench: Kept,
) -> None:
    bench.directory.table = world()  # a source without limits of its own
    names = [f"page-{number}.md" for number in range(240)]
    bench.admit(*(put(external_id=name) for name in names))
    bench.admit(*(delete(name) for name in names[:200]))
    gone = [name for name in names if not _is_there(bench, name)]
    # A share of 100 for each of four partitions, each between a tenth of its own and 25.
    assert 60 <= len(gone) <= 100
    assert len(bench.log.waiting()) == 200 - len(gone)
    bench.admit(*(put(external_id=name) for name in names))
    assert bench.log.waiting() == {}
    assert [name for name in names if not _is_there(bench, name)] == []


def test_a_small_source_that_a_short_listing_would_empty_stays_whole(bench: Kept) -> None:
    bench.directory.table = world()  # a source whose budget of 100 would let all of it go
    names = [f"page-{number}.md" for number in range(30)]
    bench.admit(*(put(external_id=name) for name in names))
    bench.admit(*(delete(name, doubt="the listing showed 1 documents, where 30 were known") for name in names[1:]))
    assert all(_is_there(bench, name) for name in names)
    assert len(bench.log.waiting()) == 29
    # What it shows again is not held by the connector any more, so all of it is submitted once more.
    bench.admit(*(put(external_id=name) for name in names[1:]))
    assert bench.log.waiting() == {}
    assert bench.log.count("changed") == 30


def _is_there(bench: Kept, name: str) -> bool:
    head = bench.head(put(external_id=name).document_id)
    return head is not None and head.exists
