"""What a verdict says to people: one sentence with the evidence, one with the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from query_api.explain.verdicts import (
    BelowDepth,
    CutByBudget,
    Deleted,
    Empty,
    Expired,
    ExpiredUnread,
    FilteredOut,
    Found,
    Hidden,
    LostInFusion,
    NeverSubmitted,
    Parked,
    Refused,
    RerankedOut,
    RowsMissing,
    Standing,
    Superseded,
    Verdict,
    Waiting,
)
from schemas.ids import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Both sentences."""

    detail: str
    remedy: str


def word(verdict: Verdict) -> Wording:  # noqa: C901, PLR0911, PLR0912 - a table: one case a verdict, nothing nested
    """Return what a verdict says."""
    match verdict:
        case NeverSubmitted():
            return _never_submitted(verdict)
        case Refused():
            return Wording(
                detail=f"admission refused the newest submission ({verdict.reason}): {verdict.explanation}",
                remedy="Correct what is named and submit again; docs/admission.md explains each reason.",
            )
        case Deleted():
            return Wording(
                detail=f"revision {verdict.revision} deleted the document",
                remedy="Put the document again; the audit trail says who deleted it.",
            )
        case Expired():
            return Wording(
                detail=f"knowledge base {verdict.knowledge_base!r} was deleted, and its documents with it",
                remedy="Create the knowledge base and put the document again, or move the document elsewhere.",
            )
        case Superseded():
            return Wording(
                detail=f"revision {verdict.revision} was superseded by revision {verdict.newest}",
                remedy="Ask for the newest revision: leave `revision` out.",
            )
        case Parked():
            return Wording(
                detail=f"stage {verdict.stage} set the revision aside ({verdict.error}): {verdict.reason}"
                f"{_meanwhile(verdict.answering)}",
                remedy="Correct the content and submit it again, or what the reason names and replay the dead letter.",
            )
        case Waiting():
            return _waiting(verdict)
        case Hidden():
            return Wording(
                detail=f"user {verdict.user!r} may not read the document: {_rule(verdict)}",
                remedy="Grant access at the source, or add the user to a group that every unmatched clause names.",
            )
        case FilteredOut():
            named = "; ".join(f"{miss.path} ({miss.field} is {_values(miss.has)})" for miss in verdict.misses)
            return Wording(
                detail=f"the request excludes the document: {named}",
                remedy="Leave the named part of the request out, or correct the document's attribute.",
            )
        case Empty():
            return Wording(
                detail=f"revision {verdict.revision} has no text: no store holds a row of it",
                remedy="Check that the content has text; a scan needs to be recognised before it is submitted.",
            )
        case RowsMissing():
            named = ", ".join(f"{each.store.value} shows {each.rows} of {each.reported}" for each in verdict.stores)
            return Wording(
                detail=f"rows that were confirmed are missing: {named}",
                remedy="Rebuild the store from the log: docs/operations.md; then find out who removed them.",
            )
        case BelowDepth():
            return Wording(
                detail="no leg came down to it: " + "; ".join(map(_standing, verdict.legs)),
                remedy="Ask in the document's words or narrow the request by filters; `candidates` of the profile "
                "looks deeper.",
            )
        case LostInFusion():
            return Wording(
                detail=f"rank {verdict.rank} after fusion with {verdict.score:.3f}; the first {verdict.admitted} go "
                f"on, the last of them with {verdict.cutoff_score:.3f}",
                remedy="Raise `top_k` of a search, or `rerank_candidates` and `vector_weight` of the profile; measure "
                "with `headwater evaluate`.",
            )
        case RerankedOut():
            return Wording(
                detail=f"the reranker moved it from rank {verdict.fused_rank} to {verdict.rank} "
                f"({verdict.score:.3f}); an answer has the first {verdict.admitted}",
                remedy="Raise `context_passages` of the profile, or turn `rerank` off and measure with "
                "`headwater evaluate`.",
            )
        case CutByBudget():
            return Wording(
                detail=f"rank {verdict.rank}, but {verdict.admitted} passages filled the context: about "
                f"{verdict.needed_tokens} tokens were needed, {verdict.budget_tokens} are allowed",
                remedy="Raise `context_tokens` of the profile as far as the generator's window allows.",
            )
        case Found():
            return Wording(
                detail=f"it is found: rank {verdict.rank} with {verdict.score:.3f}",
                remedy="Nothing is to be done.",
            )
        case _:
            assert_never(verdict)


def _never_submitted(verdict: NeverSubmitted) -> Wording:
    if not verdict.expired_unread:
        return Wording(
            detail="nothing was ever submitted under this name, or it was forgotten after its deletion",
            remedy="Check tenant, source and external id; put the document, or sync its source.",
        )
    return Wording(
        detail="nothing that admission has read was submitted under this name; but submissions expired unread in the "
        f"document's partition, and one of it may have been among them: {describe(verdict.expired_unread)}",
        remedy="Submit it again: sync its source in full (`headwater sources sync NAME --mode full`), or put the "
        "document; check tenant, source and external id.",
    )


def describe(lost: Sequence[ExpiredUnread]) -> str:
    """Say where submissions expired unread, and when that was found."""
    return "; ".join(
        f"partition {each.partition}, lane {each.lane.value}, "
        + ("admission has still to come to it" if each.found_at is None else f"found at {each.found_at.isoformat()}")
        for each in lost
    )


def _waiting(verdict: Waiting) -> Wording:
    place = verdict.places[0]
    where = "" if place.partition is None else f" of partition {place.partition}"
    what = f"behind at most {place.behind} events{where}" if place.behind else f"in work{where}"
    return Wording(
        detail=f"it waits at {place.stage}, {what}{_meanwhile(verdict.answering)}",
        remedy=f"Wait a moment and ask again; if the number does not fall, look at {place.stage} with "
        "`headwater status`.",
    )


def _meanwhile(answering: Revision | None) -> str:
    return "" if answering is None else f"; revision {answering} answers meanwhile"


def _rule(verdict: Hidden) -> str:
    if verdict.denied_by:
        return f"denied to {', '.join(verdict.denied_by)}"
    if not verdict.unmatched_clauses:
        return "its rule has no clauses, so it is for nobody"
    return "no principal of the user is in " + ", ".join(f"access.clauses[{n}]" for n in verdict.unmatched_clauses)


def _values(has: tuple[str, ...]) -> str:
    return ", ".join(map(repr, has)) or "not set"


def _standing(leg: Standing) -> str:
    if leg.score is None:
        return f"{leg.store.value}: no passage of it matches"
    cutoff = "nothing else" if leg.cutoff_score is None else f"the last candidate has {leg.cutoff_score:.3f}"
    rank = f"below rank {leg.searched}" if leg.rank is None else f"rank {leg.rank}"
    return f"{leg.store.value}: {rank} with {leg.score:.3f}, {leg.depth} are looked at, {cutoff}"
