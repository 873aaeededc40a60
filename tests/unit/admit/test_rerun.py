"""A revision runs again: the head, unchanged, under a new number; or nothing, where it is not the newest."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from headwater.heads.directory_table import DirectoryTable
from headwater.rerun import rerun_of
from schemas.events.base import Lane, Position
from schemas.events.directory import Tenant
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentPatch, DocumentSubmitted
from schemas.ids import Principal, Revision
from streams.admit.audit import audit_document
from streams.admit.context import Usage
from streams.admit.outcomes import Admitted, DocumentHead, Drop, Dropped, Refusal
from streams.admit.state import state_of
from streams.admit.step import decide
from tests.support.heads import NOON, NOON_MS, delete, patch, put, state, world
from tests.unit.admit.test_decide import admitted, context, head_of, refusal
from tests.unit.admit.test_decide_properties import CLOCKS, HISTORIES, admit_all

ADA = Principal("user:ada")
LATER = NOON + timedelta(days=3)
LATER_MS = NOON_MS + 3 * 24 * 3_600_000


def rerun(head: DocumentHead, *, lane: Lane = Lane.LIVE, **changes: Any) -> DocumentSubmitted:
    return replace(rerun_of(head.record, actor=ADA, now=LATER, lane=lane), **changes)


def again(head: DocumentHead, **changes: Any) -> DocumentChanged:
    return admitted(decide(rerun(head), head, context(9, now_ms=LATER_MS, **changes))).record


def superseded(decision: object) -> Dropped:
    assert isinstance(decision, Dropped), decision
    assert decision.reason is Drop.SUPERSEDED
    return decision


def test_the_head_is_appended_again_under_a_new_revision_and_nothing_else_changes() -> None:
    head = head_of(put(state("Leave", attributes={"year": 2026}, holds=("case-7",)), source_version=7))
    record = again(head)
    assert record.revision == LATER_MS
    assert record.submitted == Position(topic="rag.documents.submitted", partition=1, offset=9)
    assert (record.observed_at, record.admitted_at, record.occurred_at) == (LATER, LATER, NOON)
    moved = ("event_id", "revision", "submitted", "live_offset", "observed_at", "admitted_at")
    assert record == replace(head.record, **{name: getattr(record, name) for name in moved})


def test_the_lane_is_the_submission_s() -> None:
    head = head_of(put())
    decision = admitted(decide(rerun(head, lane=Lane.BACKFILL), head, context(9)))
    assert decision.record.lane is Lane.BACKFILL
    assert (decision.head.live_offset, decision.head.backfill_offset) == (0, 9)


def test_a_deletion_runs_again_as_a_deletion() -> None:
    head = head_of(put(), delete())
    record = again(head)
    assert (record.op, record.title, record.content) == (DocumentOp.DELETED, "", None)
    assert record.revision > head.record.revision


def test_versions_of_the_source_stay_as_they_are() -> None:
    dropped = decide(put(source_version=9), head_of(put(source_version=5)), context(1))
    assert isinstance(dropped, Dropped)
    assert dropped.head is not None
    decision = admitted(decide(rerun(dropped.head), dropped.head, context(9)))
    assert (decision.record.source_version, decision.head.seen_version) == (5, 9)
    assert refusal(decide(put(state("v8"), source_version=8), decision.head, context(10))) is Refusal.STALE


def test_what_is_not_the_newest_revision_is_superseded() -> None:
    old = head_of(put())
    head = admitted(decide(put(state("New")), old, context(1))).head
    decision = superseded(decide(rerun(old), head, context(9)))
    assert decision.head is not None
    assert (decision.head.record, decision.head.live_offset) == (head.record, 9)


def test_a_document_that_nobody_knows_is_superseded() -> None:
    assert superseded(decide(rerun(head_of(put())), None, context(9))).head is None


def test_of_two_reruns_of_one_revision_the_second_is_superseded() -> None:
    head = head_of(put())
    first, second = rerun(head), rerun(head)
    after = admitted(decide(first, head, context(8))).head
    superseded(decide(second, after, context(9)))


def test_read_twice_it_runs_once() -> None:
    head = head_of(put())
    submission = rerun(head)
    after = admitted(decide(submission, head, context(8))).head
    assert decide(submission, after, context(8)) == Dropped(reason=Drop.REPLAYED)


def test_no_limit_and_no_directory_stands_in_the_way() -> None:
    """What is there must be repairable: in a full tenant, of a deleted source, in a deleted knowledge base."""
    full = {
        "directory": world(tenant=Tenant(name="A", max_documents=1, max_content_bytes=1)),
        "usage": lambda tenant, source: Usage(documents=9, content_bytes=99, deletions=9_999),
    }
    for head in (head_of(put()), head_of(put(), delete())):
        again(head, **full)
        again(head, directory=DirectoryTable())


def test_it_does_not_look_admitted_after_a_deletion_of_its_knowledge_base() -> None:
    assert again(head_of(put()), directory_position=99).directory_position == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_revision": None},
        {"actor": None},
        {"source_version": 5},
        {"state": state()},
        {"patch": DocumentPatch(title="New")},
        {"document_id": "0" * 32},
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    head = head_of(put())
    assert refusal(decide(rerun(head, **changes), head, context(9))) is Refusal.INVALID


@pytest.mark.parametrize(("revision", "outcome"), [(NOON_MS, "accepted"), (NOON_MS - 1, "superseded")])
def test_the_audit_trail_says_who_asked_and_what_became_of_it(revision: int, outcome: str) -> None:
    head = head_of(put())
    submission = rerun(head, lane=Lane.BACKFILL, expected_revision=Revision(revision))
    event = audit_document(submission, decide(submission, head, context(9)), context(9))
    assert event is not None
    assert (event.actor, event.action, event.outcome) == (ADA, "documents.rerun", outcome)


def test_another_revision_than_the_known_one_can_be_named() -> None:
    known = head_of(put())
    newest = admitted(decide(patch({"title": "New"}), known, context(1))).head
    asked = rerun_of(known.record, actor=ADA, now=LATER, lane=Lane.LIVE, revision=newest.record.revision)
    assert admitted(decide(asked, newest, context(9))).record.title == "New"


@given(HISTORIES, CLOCKS)
def test_after_any_history_it_carries_the_newest_state(history: list[DocumentSubmitted], clock: list[int]) -> None:
    _, head = admit_all([(each, offset) for offset, each in enumerate(history)], clock)
    if head is None:
        return
    decision = decide(rerun(head), head, context(len(history), now_ms=clock[-1]))
    assert isinstance(decision, Admitted)
    assert state_of(decision.record) == state_of(head.record)
    assert decision.record.op is head.record.op
    assert decision.record.revision > head.record.revision
    assert decision.head.seen_version == head.seen_version
