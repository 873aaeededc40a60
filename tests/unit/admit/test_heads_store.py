"""Admission's heads: an overlay until the transaction is committed, counters, restored from the log."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.heads.environment import WritableEnvironment
from schemas.codec import encode
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryChanged, DirectoryKind
from schemas.events.documents import DocumentChanged, DocumentOp
from schemas.ids import DocumentId, KnowledgeBaseId, Revision, SourceId, document_key
from streams.admit.context import Usage
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.outcomes import DocumentHead
from streams.admit.purge import Purges
from tests.support.heads import ACME, FILES, HANDBOOK, NOON_MS, blob, changed, directory_record
from tests.unit.admit.test_decide import context

CHANGED, DIRECTORY = "rag.documents.changed", "rag.directory.changed"
ONE, TWO = DocumentId("01" * 16), DocumentId("02" * 16)


def open_heads(environment: WritableEnvironment) -> AdmissionHeads:
    return AdmissionHeads(environment.lmdb, changed=CHANGED, directory=DIRECTORY)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[WritableEnvironment]:
    with WritableEnvironment(tmp_path / "heads", map_size_bytes=2**26, layout=LAYOUT) as opened:
        yield opened


@pytest.fixture
def heads(environment: WritableEnvironment) -> AdmissionHeads:
    return open_heads(environment)


def put(heads: AdmissionHeads, record: DocumentChanged, partition: int = 0, **learnt: Any) -> DocumentHead:
    previous = heads.get(partition, record.document_id)
    head = DocumentHead(record=record, seen_version=record.source_version, **learnt)
    heads.put(partition, head, encode(record), previous=previous)
    return head


def usage(heads: AdmissionHeads, partition: int = 0, *, now_ms: int = NOON_MS) -> Usage:
    return heads.usage(partition, ACME, FILES, now_ms=now_ms)


def test_decisions_see_those_before_them_and_vanish_with_an_aborted_transaction(heads: AdmissionHeads) -> None:
    head = put(heads, changed(ONE), live_offset=7)
    assert heads.get(0, ONE) == head
    heads.discard()
    assert heads.get(0, ONE) is None
    assert usage(heads) == Usage()


def test_committed_heads_survive_a_restart(heads: AdmissionHeads, environment: WritableEnvironment) -> None:
    head = put(heads, changed(ONE, source_version=4), live_offset=7, backfill_offset=2)
    heads.advance(0, 5)
    heads.persist()
    again = open_heads(environment)
    assert again.get(0, ONE) == head
    assert again.position(0) == 5
    assert again.get(1, ONE) is None


def test_what_was_learnt_of_a_dropped_submission_is_kept(heads: AdmissionHeads) -> None:
    head = put(heads, changed(ONE, source_version=4))
    heads.persist()
    heads.learn(0, replace(head, seen_version=9))
    heads.persist()
    assert heads.get(0, ONE) == replace(head, seen_version=9)


def test_counters_follow_documents_their_content_and_their_deletion(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE, content=blob("12345")))
    put(heads, changed(TWO, content=blob("123")))
    heads.persist()
    assert usage(heads) == Usage(documents=2, content_bytes=8, source_documents=2)
    put(heads, changed(ONE, content=blob("1")))
    put(heads, changed(TWO, op=DocumentOp.DELETED, content=None))
    left = Usage(documents=1, content_bytes=1, source_documents=1, deletions=1, deletions_today=1)
    assert usage(heads) == left
    assert usage(heads, 1) == Usage()


def test_the_deletion_budgets_are_renewed_with_the_hour_and_the_day(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE))
    put(heads, changed(ONE, op=DocumentOp.DELETED, content=None))
    assert (usage(heads).deletions, usage(heads).deletions_today) == (1, 1)
    later = usage(heads, now_ms=NOON_MS + 3_600_000)
    assert (later.deletions, later.deletions_today) == (0, 1)
    assert usage(heads, now_ms=NOON_MS + 12 * 3_600_000).deletions_today == 0


def test_a_purge_costs_no_budget(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE))
    position = Position(topic=DIRECTORY, partition=0, offset=5)
    put(heads, changed(ONE, op=DocumentOp.DELETED, content=None, submitted=position))
    assert usage(heads) == Usage()


def test_a_deletion_that_runs_again_costs_no_budget(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE))
    for revision in (NOON_MS + 1, NOON_MS + 2):
        put(heads, changed(ONE, op=DocumentOp.DELETED, content=None, revision=Revision(revision)))
    assert usage(heads) == Usage(deletions=1, deletions_today=1)


def test_an_approved_deletion_costs_no_budget(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE))
    put(heads, changed(ONE, op=DocumentOp.DELETED, content=None, approved=True))
    assert usage(heads) == Usage()


def test_the_log_restores_heads_offsets_and_counters(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE, source_version=3), backfill_offset=40)
    heads.persist()
    record = changed(ONE, revision=Revision(9), source_version=5, submitted=Position(topic="s", partition=0, offset=77))
    heads.restore(Position(topic=CHANGED, partition=0, offset=11), encode(record), document_key(ACME, ONE), record)
    heads.persist()
    head = heads.get(0, ONE)
    assert head is not None
    assert (head.record, head.seen_version) == (record, 5)
    assert (head.offset(Lane.LIVE), head.offset(Lane.BACKFILL)) == (77, 40)
    assert heads.position(0) == 12
    assert usage(heads).documents == 1


def test_one_record_is_enough_to_know_the_newest_submission_of_both_lanes(heads: AdmissionHeads) -> None:
    position = Position(topic="s", partition=0, offset=77)
    record = changed(ONE, submitted=position, live_offset=77, backfill_offset=40)
    heads.restore(Position(topic=CHANGED, partition=0, offset=11), encode(record), document_key(ACME, ONE), record)
    head = heads.get(0, ONE)
    assert head is not None
    assert (head.offset(Lane.LIVE), head.offset(Lane.BACKFILL)) == (77, 40)


def test_a_deletion_with_its_knowledge_base_still_names_the_submissions_before_it(heads: AdmissionHeads) -> None:
    position = Position(topic=DIRECTORY, partition=0, offset=900)
    record = changed(ONE, op=DocumentOp.DELETED, content=None, submitted=position, live_offset=77, backfill_offset=40)
    heads.restore(Position(topic=CHANGED, partition=0, offset=11), encode(record), document_key(ACME, ONE), record)
    head = heads.get(0, ONE)
    assert head is not None
    assert (head.offset(Lane.LIVE), head.offset(Lane.BACKFILL)) == (77, 40)


def test_an_erased_document_is_unknown(heads: AdmissionHeads) -> None:
    put(heads, changed(ONE))
    heads.persist()
    heads.restore(Position(topic=CHANGED, partition=0, offset=12), None, document_key(ACME, ONE), None)
    heads.persist()
    assert heads.get(0, ONE) is None


def test_one_partition_can_be_forgotten(heads: AdmissionHeads) -> None:
    for partition in (0, 1):
        put(heads, changed(ONE), partition)
        heads.advance(partition, 5)
    heads.persist()
    heads.forget(0)
    assert (heads.get(0, ONE), heads.position(0), usage(heads)) == (None, 0, Usage())
    assert heads.get(1, ONE) is not None
    assert (heads.position(1), usage(heads, 1).documents) == (5, 1)


class TestPurges:
    """Deleting what lay in a deleted knowledge base."""

    @staticmethod
    def plan(heads: AdmissionHeads, *, offset: int = 3) -> Purges:
        purges = Purges(heads, DIRECTORY)
        gone = directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None)
        deletions: dict[object, tuple[int, DirectoryChanged]] = {"key": (offset, gone)}
        purges.plan(deletions, [0])  # type: ignore[arg-type]  # only the values are looked at
        return purges

    @staticmethod
    def carry_out(heads: AdmissionHeads, purges: Purges) -> list[DocumentChanged]:
        deleted = []
        while (purge := purges.due(NOON_MS)) is not None:
            found, after = purges.scan(purge, context())
            for previous, record in found:
                heads.put(0, replace(previous, record=record), encode(record), previous=previous)
                deleted.append(record)
            heads.persist()
            purges.advance(purge, after, now_ms=NOON_MS)
        return deleted

    def test_deletes_what_lay_there_and_is_done_once(self, heads: AdmissionHeads) -> None:
        put(heads, changed(ONE))
        put(heads, changed(TWO, knowledge_base=KnowledgeBaseId("other")))
        heads.persist()
        deleted = self.carry_out(heads, self.plan(heads))
        assert [(record.document_id, record.op) for record in deleted] == [(ONE, DocumentOp.DELETED)]
        assert self.plan(heads).due(NOON_MS) is None

    def test_a_source_is_deleted_with_its_documents_and_no_others(self, heads: AdmissionHeads) -> None:
        put(heads, changed(ONE))
        put(heads, changed(TWO, source=SourceId("wiki")))
        put(heads, changed(DocumentId("03" * 16), directory_position=4))  # of the source that has its name since
        heads.persist()
        purges = Purges(heads, DIRECTORY)
        gone = directory_record(DirectoryKind.SOURCE, FILES, None, with_documents=True)
        purges.plan({(ACME, DirectoryKind.SOURCE, FILES): (3, gone)}, [0])
        assert [record.document_id for record in self.carry_out(heads, purges)] == [ONE]

    def test_spares_what_was_admitted_after_the_deletion(self, heads: AdmissionHeads) -> None:
        put(heads, changed(ONE, directory_position=4))
        heads.persist()
        assert self.carry_out(heads, self.plan(heads, offset=3)) == []

    def test_looks_again_at_what_is_under_a_hold(self, heads: AdmissionHeads) -> None:
        put(heads, changed(ONE, holds=("case-7",)))
        heads.persist()
        purges = self.plan(heads)
        assert self.carry_out(heads, purges) == []
        put(heads, changed(ONE, holds=()))
        heads.persist()
        assert purges.due(NOON_MS) is None
        purge = purges.due(NOON_MS + 3_600_000)
        assert purge is not None
        assert [record.document_id for _, record in purges.scan(purge, context())[0]] == [ONE]
