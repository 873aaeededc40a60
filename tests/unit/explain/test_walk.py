"""The walk names the first cause: each alone, all in pairs, and what it says of each."""

from dataclasses import replace
from typing import Any

import pytest

from headwater.ports.backlogs import Backlog
from query_api.explain.evidence import Evidence
from query_api.explain.verdicts import (
    BelowDepth,
    Cause,
    CutByBudget,
    Found,
    Hidden,
    LostInFusion,
    Parked,
    Place,
    RerankedOut,
    Superseded,
    Waiting,
)
from query_api.explain.walk import ChangedMeanwhileError, judge
from query_api.explain.wording import word
from schemas.events.base import Store
from schemas.events.documents import NOBODY
from schemas.ids import Revision
from schemas.topics import Topic
from tests.support.explaining import G1, INJECTIONS, NEWEST, OLDER, OLDEST, evidence_of_found, own

ORDER = list(INJECTIONS)
PAIRS = [(first, second) for first in ORDER for second in ORDER if first != second]


def injected(*names: str) -> Evidence:
    evidence = evidence_of_found()
    for name in names:
        evidence = INJECTIONS[name][1](evidence)
    return evidence


@pytest.mark.parametrize("name", ORDER)
def test_each_cause_alone(name: str) -> None:
    assert judge(injected(name)).cause is INJECTIONS[name][0]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_causes_the_first_on_the_way_is_named(first: str, second: str) -> None:
    earlier = min(first, second, key=ORDER.index)
    assert judge(injected(first, second)).cause is INJECTIONS[earlier][0]


def test_every_cause_is_injected_and_every_verdict_can_be_worded() -> None:
    verdicts = [judge(injected(name)) for name in ORDER]
    assert {verdict.cause for verdict in verdicts} == set(Cause)
    wordings = [word(verdict) for verdict in verdicts]
    assert all(wording.detail and wording.remedy.endswith(".") for wording in wordings)


def head_of(evidence: Evidence, **changes: Any) -> Evidence:
    head = evidence.trail.head
    assert head is not None
    return replace(evidence, trail=replace(evidence.trail, head=replace(head, **changes)))


class TestRecord:
    """What the log says."""

    def test_a_refused_edit_does_not_explain_a_document_that_is_there(self) -> None:
        refusal = injected("refused").trail.refusal
        evidence = evidence_of_found()
        assert judge(replace(evidence, trail=replace(evidence.trail, refusal=refusal))).cause is Cause.FOUND

    @pytest.mark.parametrize(("deleted_before_ms", "cause"), [(+1, Cause.REFUSED), (-1, Cause.DELETED)])
    def test_a_refusal_explains_a_deleted_document_only_when_it_is_newer(
        self, deleted_before_ms: int, cause: Cause
    ) -> None:
        refusal = injected("refused").trail.refusal
        assert refusal is not None
        revision = Revision(int(refusal.refused_at.timestamp() * 1_000) - deleted_before_ms)
        deleted = head_of(injected("deleted"), revision=revision)
        assert judge(replace(deleted, trail=replace(deleted.trail, refusal=refusal))).cause is cause

    def test_a_superseded_revision_names_the_newest(self) -> None:
        assert judge(injected("superseded")) == Superseded(revision=Revision(7), newest=NEWEST)

    def test_a_revision_that_one_store_still_holds_is_superseded_by_the_newer_of_the_other(self) -> None:
        halfway = head_of(injected("superseded"), complete={(G1, Store.VECTORS): OLDER, (G1, Store.KEYWORDS): NEWEST})
        assert judge(halfway).cause is Cause.SUPERSEDED

    def test_an_older_revision_that_still_answers_is_explained_as_such(self) -> None:
        older = head_of(evidence_of_found(), complete={(G1, store): OLDEST for store in Store})
        assert older.question is not None
        assert older.question.selection is not None
        chosen = (own(revision=OLDEST),)
        question = replace(
            older.question, fused=chosen, selection=replace(older.question.selection, ordered=chosen, chosen=chosen)
        )
        asked = replace(older, trail=replace(older.trail, asked_revision=OLDEST), question=question)
        found = judge(asked)
        assert isinstance(found, Found)
        assert found.revision == OLDEST


class TestStages:
    """Parked and waiting."""

    def test_a_parked_revision_is_told_with_its_letter_and_what_answers_meanwhile(self) -> None:
        parked = judge(injected("parked"))
        assert isinstance(parked, Parked)
        assert (parked.stage, parked.error, parked.reason) == ("prepare", "UnreadableFileError", "content: not a PDF")
        assert (parked.attempts, parked.answering) == (3, OLDEST)

    def test_a_letter_alone_is_enough_and_one_of_another_leg_or_revision_is_not(self) -> None:
        evidence = injected("parked")
        by_letter = replace(evidence, trail=replace(evidence.trail, reports={}))
        assert judge(by_letter).cause is Cause.PARKED
        (letter,) = by_letter.trail.letters
        for other in (replace(letter, revision=OLDEST), replace(letter, stage="index-vectors")):
            words_only = replace(by_letter.trail, letters=(other,), asked=(Store.KEYWORDS,))
            assert judge(replace(by_letter, trail=words_only)).cause is Cause.WAITING

    def test_the_first_stage_with_work_before_the_document_is_named(self) -> None:
        waiting = judge(injected("waiting"))
        assert isinstance(waiting, Waiting)
        assert waiting.places == (
            Place(stage="embed", store=Store.VECTORS, partition=2, behind=17),
            Place(stage="index-keywords", store=Store.KEYWORDS, partition=2, behind=0),
        )
        assert waiting.answering == OLDEST

    def test_where_the_log_position_is_known_the_number_of_events_is_exact(self) -> None:
        evidence = injected("waiting")
        backlogs = [replace(each, position=20) if each.stage == "prepare" else each for each in evidence.trail.backlogs]
        waiting = judge(replace(evidence, trail=replace(evidence.trail, backlogs=tuple(backlogs))))
        assert isinstance(waiting, Waiting)
        assert {(place.stage, place.behind) for place in waiting.places} == {("prepare", 12)}  # 20 to 31, its own

    def test_the_heavy_lane_is_named_where_no_stage_has_anything_else_before_the_document(self) -> None:
        evidence = injected("waiting")
        deferred = Backlog(stage="prepare", topic=Topic.DOCUMENTS_DEFERRED, partition=2, position=5, end=8)
        waiting = judge(replace(evidence, trail=replace(evidence.trail, backlogs=(deferred, *evidence.trail.backlogs))))
        assert isinstance(waiting, Waiting)
        assert {(place.store, place.stage, place.behind) for place in waiting.places} == {
            (Store.VECTORS, "embed", 17),
            (Store.KEYWORDS, "prepare", 3),
        }

    def test_what_is_found_by_words_is_found_while_its_meaning_waits(self) -> None:
        partial = head_of(evidence_of_found(), complete={(G1, Store.KEYWORDS): NEWEST})
        assert judge(partial).cause is Cause.FOUND
        assert judge(INJECTIONS["below_depth"][1](partial)).cause is Cause.WAITING

    def test_a_leg_that_was_not_asked_keeps_nothing_out(self) -> None:
        partial = head_of(injected("below_depth"), complete={(G1, Store.KEYWORDS): NEWEST})
        words_only = replace(partial, trail=replace(partial.trail, asked=(Store.KEYWORDS,)))
        assert judge(words_only).cause is Cause.BELOW_DEPTH


class TestQuestion:
    """Access, ranks and scores."""

    def test_a_hidden_document_names_the_clauses_that_do_not_match(self) -> None:
        assert judge(injected("hidden")) == Hidden(user="ann", unmatched_clauses=(1,), denied_by=())
        nobody = judge(head_of(injected("hidden"), access=NOBODY))
        assert nobody == Hidden(user="ann", unmatched_clauses=(), denied_by=())
        assert "for nobody" in word(nobody).detail

    def test_below_the_depth_each_leg_tells_rank_score_and_cutoff(self) -> None:
        verdict = judge(injected("below_depth"))
        assert isinstance(verdict, BelowDepth)
        assert [(leg.store, leg.rank, leg.score, leg.cutoff_score) for leg in verdict.legs] == [
            (store, 140, 0.4, 0.5) for store in Store
        ]
        assert "rank 140 with 0.400" in word(verdict).detail

    def test_lost_in_fusion_tells_the_scores_on_both_sides_of_the_cut(self) -> None:
        verdict = judge(injected("lost_in_fusion"))
        assert isinstance(verdict, LostInFusion)
        assert (verdict.rank, verdict.score, verdict.admitted, verdict.cutoff_score) == (7, 0.9, 4, 0.95)

    def test_without_reranking_too_low_for_the_context_is_lost_in_fusion(self) -> None:
        evidence = injected("reranked_out")
        assert evidence.question is not None
        assert evidence.question.selection is not None
        plain = tuple(replace(passage, rerank_score=None) for passage in evidence.question.selection.ordered)
        selection = replace(evidence.question.selection, reranked=None, ordered=plain)
        question = replace(evidence.question, fused=plain, selection=selection)
        verdict = judge(replace(evidence, question=question))
        assert isinstance(verdict, LostInFusion)
        assert (verdict.rank, verdict.admitted) == (4, 3)

    def test_reranked_out_tells_both_ranks(self) -> None:
        verdict = judge(injected("reranked_out"))
        assert isinstance(verdict, RerankedOut)
        assert (verdict.fused_rank, verdict.rank, verdict.admitted) == (1, 4, 3)
        assert (verdict.score, verdict.cutoff_score) == (0.1, 0.95)

    def test_the_budget_tells_what_was_needed(self) -> None:
        verdict = judge(injected("cut_by_budget"))
        assert isinstance(verdict, CutByBudget)
        assert (verdict.rank, verdict.admitted, verdict.budget_tokens) == (2, 1, 100)
        assert verdict.needed_tokens == -(-(390 + len(own().row.text)) // 4)

    def test_a_search_shows_the_first_of_the_fused_list(self) -> None:
        evidence = injected("lost_in_fusion")
        assert evidence.question is not None
        for top_k, cause in ((6, Cause.LOST_IN_FUSION), (7, Cause.FOUND)):
            question = replace(evidence.question, selection=None, wanted=top_k)
            assert judge(replace(evidence, question=question)).cause is cause


def test_evidence_that_contradicts_itself_is_no_verdict() -> None:
    """Nothing on its way keeps it out, and yet it was never looked for: between two looks it was changed."""
    with pytest.raises(ChangedMeanwhileError, match="ask again"):
        judge(replace(evidence_of_found(), question=None))
