"""What /feedback takes and gives."""

from pydantic import BaseModel, Field

from schemas.events.queries import FeedbackType


class FeedbackRequest(BaseModel, frozen=True, extra="forbid"):
    """A caller's word on one of their own queries."""

    query_id: str = Field(max_length=100, description="`meta.query_id` of the answer.")
    rating: int = Field(ge=1, le=5)
    type: FeedbackType
    comment: str | None = Field(default=None, max_length=4_000)


class FeedbackAccepted(BaseModel, frozen=True):
    """The feedback is in the log."""

    query_id: str
    event_id: str
