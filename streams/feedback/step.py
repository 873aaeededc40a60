"""The step: which feedback a person should look at, and what they need for it. Pure."""

from typing import Final
from uuid import UUID, uuid5

from schemas.events import FeedbackReceived, QueryExecuted, ReviewRequested
from schemas.events.queries import FeedbackType

_NAMESPACE = UUID("e0a5a0c2-3b53-4d32-9c67-0f5d7f1b8a44")
LOW_RATING: Final = 2  # of 5, and below
_FAULTS: Final = frozenset({FeedbackType.INCORRECT, FeedbackType.OUTDATED})


def review_reason(feedback: FeedbackReceived) -> str | None:
    """Return why a person should look at the answer, None where nobody needs to."""
    if feedback.type in _FAULTS:
        return f"reported as {feedback.type.value}"
    return f"rated {feedback.rating} of 5" if feedback.rating <= LOW_RATING else None


def review(feedback: FeedbackReceived, reason: str, query: QueryExecuted | None) -> ReviewRequested:
    """Return the request, with the documents that the answer was made from. The same feedback, the same event id."""
    passages = () if query is None else query.passages
    return ReviewRequested(
        event_id=uuid5(_NAMESPACE, str(feedback.event_id)),
        tenant_id=feedback.tenant_id,
        occurred_at=feedback.occurred_at,
        observed_at=feedback.observed_at,
        query_id=feedback.query_id,
        reason=reason,
        rating=feedback.rating,
        type=feedback.type,
        comment=feedback.comment,
        documents=tuple(dict.fromkeys(passage.document_id for passage in passages)),
    )
