"""Causes on a question's path: filters, legs, fusion, reranking, the context. Each is pure."""

from collections.abc import Sequence

from query_api.answers.context import CHARS_PER_TOKEN
from query_api.explain.evidence import LegProbe, Question, Trail
from query_api.explain.verdicts import (
    BelowDepth,
    CutByBudget,
    Empty,
    FilteredOut,
    Found,
    LostInFusion,
    RerankedOut,
    RowsMissing,
    Standing,
    Verdict,
)
from query_api.retrieval.passages import Passage


def empty(trail: Trail, question: Question) -> Verdict | None:
    """No store that was asked was ever given a row: there is no text."""
    if trail.revision is None or not question.rows:
        return None
    nothing = all(each.rows == 0 and each.reported == 0 for each in question.rows)
    return Empty(revision=trail.revision) if nothing else None


def rows_missing(_trail: Trail, question: Question) -> Verdict | None:
    """A store shows fewer rows than it had confirmed."""
    short = tuple(each for each in question.rows if each.short)
    return RowsMissing(stores=short) if short else None


def filtered_out(_trail: Trail, question: Question) -> Verdict | None:
    """The request's own filters exclude the document."""
    return FilteredOut(misses=question.misses) if question.misses else None


def below_depth(trail: Trail, question: Question) -> Verdict | None:
    """The document is among no leg's candidates."""
    if _first_of(trail, question.fused) is not None:
        return None
    return BelowDepth(legs=_standings(question))


def lost_in_fusion(trail: Trail, question: Question) -> Verdict | None:
    """A candidate, but too low in the list that the legs make together, and not to be reranked."""
    place = _first_of(trail, question.fused)
    if place is None or question.selection is None:
        return None if place is None else _lost(question, place, admitted=question.wanted)
    last = _first_of(trail, question.selection.ordered)
    judged = last is not None and question.selection.ordered[last].rerank_score is not None
    if place >= question.wanted:
        return _lost(question, place, admitted=question.wanted)
    if last is not None and last >= question.profile.context_passages and not judged:
        return _lost(question, place, admitted=question.profile.context_passages)
    return None


def reranked_out(trail: Trail, question: Question) -> Verdict | None:
    """Reranked, and below the passages that an answer may have."""
    selection, admitted = question.selection, question.profile.context_passages
    last = None if selection is None else _first_of(trail, selection.ordered)
    if selection is None or last is None or last < admitted:
        return None
    passage = selection.ordered[last]
    fused = [each.row.row_id for each in question.fused].index(passage.row.row_id)
    return RerankedOut(
        passage=passage.row.row_id,
        rank=last + 1,
        score=passage.rerank_score or 0.0,
        fused_rank=fused + 1,
        admitted=admitted,
        cutoff_score=selection.ordered[admitted - 1].rerank_score,
    )


def cut_by_budget(trail: Trail, question: Question) -> Verdict | None:
    """High enough, but the tokens were spent on the passages before it."""
    selection = question.selection
    last = None if selection is None else _first_of(trail, selection.ordered)
    if selection is None or last is None:
        return None
    chars = sum(len(each.row.text) for each in selection.ordered[: last + 1])
    return CutByBudget(
        passage=selection.ordered[last].row.row_id,
        rank=last + 1,
        admitted=len(selection.chosen),
        needed_tokens=-(-chars // CHARS_PER_TOKEN),
        budget_tokens=question.profile.context_tokens,
    )


def found(trail: Trail, question: Question) -> Verdict | None:
    """Among what a search shows, or what an answer is made from."""
    shown = question.fused[: question.wanted] if question.selection is None else question.selection.chosen
    place = _first_of(trail, shown)
    if place is None:
        return None
    passage = shown[place]
    return Found(
        passage=passage.row.row_id,
        revision=passage.row.revision,
        rank=place + 1,
        score=passage.score if passage.rerank_score is None else passage.rerank_score,
        legs=_standings(question),
    )


def _lost(question: Question, place: int, *, admitted: int) -> Verdict:
    passage = question.fused[place]
    return LostInFusion(
        passage=passage.row.row_id,
        rank=place + 1,
        score=passage.score,
        admitted=admitted,
        cutoff_score=question.fused[admitted - 1].score,
        legs=_standings(question),
    )


def _first_of(trail: Trail, passages: Sequence[Passage]) -> int | None:
    """Return where the explained revision's first passage stands, from 0."""
    wanted = (trail.document, trail.revision)
    places = (n for n, each in enumerate(passages) if (each.row.document_id, each.row.revision) == wanted)
    return next(places, None)


def _standings(question: Question) -> tuple[Standing, ...]:
    return tuple(map(_standing, question.probes))


def _standing(probe: LegProbe) -> Standing:
    hits = probe.leg.hits
    return Standing(
        store=probe.store,
        depth=probe.leg.depth,
        cutoff_score=hits[-1].score if hits else None,
        passage=None if probe.best is None else probe.best.row.row_id,
        score=None if probe.best is None else probe.best.score,
        rank=probe.rank,
        searched=probe.searched,
    )
