"""Waiting deletions as administrators see and approve them."""

from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, BaseModel, Field

from schemas.events.documents import DeletionQuarantined
from schemas.ids import DocumentId

AT_ONCE: Final = 1_000
SHOWN: Final = 100


class WaitingReason(BaseModel, frozen=True):
    """Why deletions wait, and how many for that: a budget that is exceeded, or a listing that is doubted."""

    reason: str
    count: int


class WaitingDeletion(BaseModel, frozen=True):
    """A document that is there, although its source has reported it gone."""

    document_id: DocumentId
    external_id: str
    reason: str
    quarantined_at: datetime

    @classmethod
    def of(cls, event: DeletionQuarantined) -> "WaitingDeletion":
        """Show an event."""
        return cls(
            document_id=event.document_id,
            external_id=event.external_id,
            reason=event.reason,
            quarantined_at=event.quarantined_at,
        )


class WaitingDeletions(BaseModel, frozen=True):
    """What waits, and why."""

    source: str
    source_documents: int = Field(description="How many documents the source has: what to confirm to remove it.")
    waiting: int
    reasons: list[WaitingReason]
    oldest_at: datetime | None
    newest_at: datetime | None
    documents: list[WaitingDeletion] = Field(description="The longest waiting of them.")


class ApprovalBody(BaseModel, frozen=True, extra="forbid"):
    """Which to let through: the longest waiting first."""

    until: AwareDatetime | None = Field(default=None, description="Those that began to wait by then; none: all.")
    limit: int = Field(default=AT_ONCE, ge=1, le=AT_ONCE)


class ApprovalAccepted(BaseModel, frozen=True):
    """The approvals are in the log."""

    source: str
    approved: int
    left: int = Field(description="Deletions of those that were asked for that wait still: ask again.")
    token: str | None = Field(description="Pass it as `after` to see the outcome; none where nothing was approved.")
