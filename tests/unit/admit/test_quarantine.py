"""Deletions past their source's budget: what waits, what ends the waiting, and what does not."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.events.base import Lane, Position
from schemas.events.directory import Source
from schemas.events.documents import DocumentOp, DocumentSubmitted
from schemas.ids import Principal
from streams.admit.context import Context, Usage
from streams.admit.limits import DELETIONS_PER_DAY
from streams.admit.outcomes import DocumentDecision, DocumentHead, Drop, Dropped, Quarantined, Refusal, Refused
from streams.admit.step import decide
from streams.admit.validation import MAX_DOUBT_CHARS
from tests.support.heads import HANDBOOK, NOON, blob, delete, patch, put, state, world
from tests.unit.admit.test_decide import LIVE_TOPIC, admitted, context, head_of, refusal

ADA = Principal("user:ada")
DOUBT = "the listing showed 1 documents, where 100 were known"
USED_UP = Usage(source_documents=50, deletions_today=DELETIONS_PER_DAY)


def used(usage: Usage, offset: int = 1, *, partitions: int = 4, **limits: Any) -> Context:
    """What a source has deleted, and the limits of its own."""
    source = Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK, **limits)
    return context(offset, directory=world(source=source), usage=lambda tenant, source: usage, partitions=partitions)


def waits(decision: DocumentDecision) -> DocumentHead:
    assert isinstance(decision, Quarantined), decision
    assert decision.head.waiting is not None
    return decision.head


def waiting(**changes: Any) -> DocumentHead:
    """A document whose deletion, submission 1, waits."""
    return waits(decide(delete(**changes), head_of(put()), used(USED_UP)))


def approval(of: int = 1, **changes: Any) -> DocumentSubmitted:
    values: dict[str, Any] = {"approves": Position(topic=LIVE_TOPIC, partition=1, offset=of), "actor": ADA}
    return delete(**(values | changes))


def dropped(decision: DocumentDecision) -> Drop:
    assert isinstance(decision, Dropped), decision
    return decision.reason


@pytest.mark.parametrize(
    ("usage", "limits", "through"),
    [
        # A quarter of 100 a day for each of four partitions, or a tenth of what the partition had in the morning.
        (Usage(source_documents=50, deletions_today=24), {}, True),
        (Usage(source_documents=50, deletions_today=25), {}, False),
        (Usage(source_documents=901, deletions_today=99), {}, True),
        (Usage(source_documents=900, deletions_today=100), {}, False),
        (Usage(source_documents=1), {}, True),
        # Of its own: shared out, rounded up, and without the tenth.
        (Usage(source_documents=900, deletions_today=2), {"max_deletions_per_day": 10}, True),
        (Usage(source_documents=900, deletions_today=3), {"max_deletions_per_day": 10}, False),
        (Usage(source_documents=900), {"max_deletions_per_day": 0}, False),
        (Usage(source_documents=50, deletions_today=99), {"max_deletions_per_day": 1_000}, True),
        (Usage(source_documents=50, deletions=2), {"max_deletions_per_hour": 10}, True),
        (Usage(source_documents=50, deletions=3), {"max_deletions_per_hour": 10}, False),
    ],
)
def test_a_source_may_delete_a_tenth_or_a_hundred_a_day(usage: Usage, limits: dict[str, int], *, through: bool) -> None:
    decision = decide(delete(), head_of(put()), used(usage, **limits))
    if through:
        assert not admitted(decision).record.approved
    else:
        waits(decision)


def test_what_waits_says_who_wanted_it_and_which_budget_it_exceeds() -> None:
    head = waiting(actor=Principal("group:files:connector"), source_version=7)
    assert head.exists
    deletion = head.waiting
    assert deletion is not None
    assert (deletion.external_id, deletion.actor, deletion.source_version) == ("leave.md", "group:files:connector", 7)
    assert deletion.submitted == Position(topic=LIVE_TOPIC, partition=1, offset=1)
    assert deletion.quarantined_at == NOON
    assert "a tenth" in deletion.reason
    assert "100" in deletion.reason
    decision = decide(delete(), head_of(put()), used(Usage(), max_deletions_per_day=0))
    assert isinstance(decision, Quarantined)
    assert (decision.reason, decision.detail) == (
        Refusal.DELETION_BUDGET,
        "more than max_deletions_per_day of the source, 0",
    )


def test_a_doubted_deletion_waits_whatever_the_budget_and_says_why() -> None:
    decision = decide(delete(doubt=DOUBT), head_of(put()), used(Usage(), max_deletions_per_day=1_000))
    head = waits(decision)
    assert isinstance(decision, Quarantined)
    assert (decision.reason, decision.detail) == (Refusal.DELETION_DOUBTED, DOUBT)
    assert head.exists
    assert head.waiting is not None
    assert head.waiting.reason == DOUBT
    gone = admitted(decide(approval(), head, used(USED_UP, 2)))
    assert (gone.record.op, gone.record.approved) == (DocumentOp.DELETED, True)
    there = decide(put(), head, used(Usage(), 2))
    assert isinstance(there, Dropped)
    assert (there.reason, there.head and there.head.waiting) == (Drop.UNCHANGED, None)


@pytest.mark.parametrize(
    "doubted",
    [
        replace(put(), doubt=DOUBT),
        replace(patch({"title": "Ours"}), doubt=DOUBT),
        approval(doubt=DOUBT),
        delete(doubt=""),
        delete(doubt="x" * (MAX_DOUBT_CHARS + 1)),
    ],
)
def test_only_a_deletion_is_doubted_and_in_few_words(doubted: DocumentSubmitted) -> None:
    assert refusal(decide(doubted, waiting(), used(Usage(), 2))) is Refusal.INVALID


def test_an_approved_deletion_goes_through_and_is_marked() -> None:
    decision = admitted(decide(approval(), waiting(source_version=7), used(USED_UP, 2)))
    assert (decision.record.op, decision.record.approved) == (DocumentOp.DELETED, True)
    assert decision.record.source_version == 7
    assert decision.head.waiting is None


def test_an_approval_is_of_one_deletion_alone() -> None:
    assert dropped(decide(approval(of=0), waiting(), used(USED_UP, 2))) is Drop.SUPERSEDED
    assert dropped(decide(approval(), head_of(put()), used(Usage(), 2))) is Drop.SUPERSEDED
    gone = admitted(decide(approval(), waiting(), used(USED_UP, 2))).head
    assert dropped(decide(approval(), gone, used(USED_UP, 3))) is Drop.GONE_ALREADY


def test_no_source_approves() -> None:
    assert refusal(decide(approval(actor=None), waiting(), used(USED_UP, 2))) is Refusal.INVALID
    assert refusal(decide(approval(source_version=3), waiting(), used(USED_UP, 2))) is Refusal.INVALID
    marked = replace(put(), approves=approval().approves, actor=ADA)
    assert refusal(decide(marked, waiting(), used(USED_UP, 2))) is Refusal.INVALID


@pytest.mark.parametrize("lane", list(Lane))
def test_a_document_that_is_submitted_again_is_there(lane: Lane) -> None:
    same = decide(put(lane=lane), waiting(), used(USED_UP, 2))
    assert isinstance(same, Dropped)
    assert (same.reason, same.head and same.head.waiting) == (Drop.UNCHANGED, None)
    assert admitted(decide(put(state("Edited"), lane=lane), waiting(), used(USED_UP, 2))).head.waiting is None


def test_a_state_that_is_refused_says_all_the_same_that_the_document_is_there() -> None:
    huge = replace(used(USED_UP, 2), region="eu")
    decision = decide(put(state(region="us", content=blob("new"))), waiting(), huge)
    assert isinstance(decision, Refused)
    assert decision.reason is Refusal.WRONG_REGION
    assert decision.head is not None
    assert decision.head.waiting is None


def test_an_older_state_of_the_source_does_not_say_so() -> None:
    decision = decide(put(source_version=6), waiting(source_version=7), used(USED_UP, 2))
    assert isinstance(decision, Refused)
    assert (decision.reason, decision.head) == (Refusal.STALE, None)


def test_an_edit_of_ours_does_not_say_so_either() -> None:
    head = waiting()
    assert admitted(decide(patch({"title": "Ours"}), head, used(USED_UP, 2))).head.waiting == head.waiting


def test_a_deletion_that_waits_goes_on_waiting_when_it_comes_again_the_next_day() -> None:
    head = waiting()
    again = decide(delete(), head, used(Usage(source_documents=50), 2))
    assert isinstance(again, Dropped)
    assert again.reason is Drop.WAITING
    assert again.head is not None
    assert again.head.waiting == head.waiting


def test_a_deletion_that_is_read_again_does_not_wait_again() -> None:
    head = waiting()
    assert dropped(decide(delete(), head, used(USED_UP))) is Drop.REPLAYED
    there = admitted(decide(put(state("Edited")), head, used(USED_UP, 2))).head
    assert dropped(decide(delete(), there, used(USED_UP))) is Drop.REPLAYED


def test_a_hold_is_stronger_than_a_budget_and_an_approval() -> None:
    held = head_of(put(state(holds=("case-7",))))
    assert refusal(decide(delete(), held, used(USED_UP))) is Refusal.HELD
    head = waiting()
    since = admitted(decide(patch({"holds": ("case-7",)}), head, used(USED_UP, 2))).head
    assert refusal(decide(approval(), since, used(USED_UP, 3))) is Refusal.HELD
    assert since.waiting == head.waiting
