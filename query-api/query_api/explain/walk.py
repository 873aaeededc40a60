"""The walk: from evidence to the first cause. Pure; the order of the checks is the order of a document's way."""

from collections.abc import Callable
from typing import Final

from headwater.errors import RetryableError
from query_api.explain import question_checks, trail_checks
from query_api.explain.evidence import Evidence, Question, Trail
from query_api.explain.verdicts import Verdict

# The log's record first, in the gate's own order: what it says holds at once, whatever the stages are at.
_RECORD: Final[tuple[Callable[[Trail], Verdict | None], ...]] = (
    trail_checks.refused,
    trail_checks.not_admitted,
    trail_checks.deleted,
    trail_checks.replica_behind,
    trail_checks.expired,
    trail_checks.hidden,
    trail_checks.superseded,
)
_STAGES: Final[tuple[Callable[[Trail], Verdict | None], ...]] = (
    trail_checks.parked,
    trail_checks.waiting,
)
_QUESTION: Final[tuple[Callable[[Trail, Question], Verdict | None], ...]] = (
    question_checks.empty,
    question_checks.rows_missing,
    question_checks.filtered_out,
    question_checks.below_depth,
    question_checks.lost_in_fusion,
    question_checks.reranked_out,
    question_checks.cut_by_budget,
)


class ChangedMeanwhileError(RetryableError):
    """What was found out first does not fit to what was found out last: the document was changed in between."""


def judge(evidence: Evidence) -> Verdict:
    """Return the first cause on the document's way, or where it stands if it is found.

    Whether it is found is judged of the revision that is asked for. So one that came to one store and is found there
    is found, whatever keeps it from the other. Raises ChangedMeanwhileError for evidence that contradicts itself.
    """
    trail, question = evidence.trail, evidence.question
    for of_record in _RECORD:
        if (verdict := of_record(trail)) is not None:
            return verdict
    if question is not None and (found := question_checks.found(trail, question)) is not None:
        return found
    for of_stages in _STAGES:
        if (verdict := of_stages(trail)) is not None:
            return verdict
    for of_question in _QUESTION:
        if question is not None and (verdict := of_question(trail, question)) is not None:
            return verdict
    raise ChangedMeanwhileError("the document was changed while it was explained; ask again")
