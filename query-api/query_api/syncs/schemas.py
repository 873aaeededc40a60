"""Syncs as administrators ask for them and see them."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from schemas.events.syncs import SourceTested, SyncEnding, SyncMode, SyncProgressed

MAX_ITEMS = 1_000


class SyncBody(BaseModel, frozen=True, extra="forbid"):
    """What to look at."""

    mode: SyncMode = SyncMode.INCREMENTAL
    items: tuple[Annotated[str, StringConstraints(min_length=1, max_length=2_000)], ...] = Field(
        default=(), max_length=MAX_ITEMS, description="External ids, with the mode `items`."
    )

    @model_validator(mode="after")
    def _items_with_their_mode(self) -> Self:
        if bool(self.items) != (self.mode is SyncMode.ITEMS):
            raise ValueError("items: goes with the mode `items`, and the mode with at least one item")
        return self


class SyncAccepted(BaseModel, frozen=True):
    """The request is in the log. Requests of one source that wait are one run of the widest of them."""

    source: str
    mode: SyncMode | None = Field(description="None: a cancellation.")


class FailedItem(BaseModel, frozen=True):
    """An item that could not be brought in. Syncs try it again, if need be by looking at it alone."""

    external_id: str
    reason: str


class SyncView(BaseModel, frozen=True):
    """How a source's newest sync stands or ended."""

    source: str
    running: bool = Field(description="Without news for longer than a minute, its worker is gone and another goes on.")
    mode: SyncMode
    ending: SyncEnding | None
    message: str
    started_at: datetime
    updated_at: datetime = Field(description="When it ended, or last said how far it is.")
    upserted: int
    patched: int
    deleted: int
    failures: int
    failed: list[FailedItem] = Field(description="The first of them.")
    content_bytes: int
    remaining: int | None = Field(
        description="Items still to be looked at, of those that were known before; null where nobody can tell, as in a "
        "first sync. What is new is met unawares, so it is about so many."
    )
    estimated_end_at: datetime | None = Field(description="When all are looked at, at the pace so far.")
    waits_until: datetime | None = Field(
        description="The source's rate limit allows no request before: a running sync waits, a suspended one goes on."
    )

    @classmethod
    def of(cls, event: SyncProgressed) -> "SyncView":
        """Show an event."""
        return cls(
            source=event.source,
            running=event.ending is None,
            mode=event.mode,
            ending=event.ending,
            message=event.message,
            started_at=event.started_at,
            updated_at=event.occurred_at,
            upserted=event.upserted,
            patched=event.patched,
            deleted=event.deleted,
            failures=event.failures,
            failed=[FailedItem(external_id=each.external_id, reason=each.reason) for each in event.failed],
            content_bytes=event.content_bytes,
            remaining=event.remaining,
            estimated_end_at=event.estimated_end_at,
            waits_until=event.waits_until,
        )


class SyncList(BaseModel, frozen=True):
    """The newest sync of each source, ordered by source."""

    syncs: list[SyncView]


class TrialAccepted(BaseModel, frozen=True):
    """The request is in the log; a connector worker answers it within a minute."""

    source: str
    test_id: UUID = Field(description="The test that answers it has this id, or began after this answer.")


class TrialView(BaseModel, frozen=True):
    """What a source's newest test found."""

    source: str
    test_id: UUID
    passed: bool
    ending: SyncEnding = Field(description="How a sync would end at once; `completed`: it can be read.")
    message: str
    started_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, event: SourceTested) -> "TrialView":
        """Show an event."""
        return cls(
            source=event.source,
            test_id=event.test_id,
            passed=event.ending is SyncEnding.COMPLETED,
            ending=event.ending,
            message=event.message,
            started_at=event.started_at,
            ended_at=event.occurred_at,
        )
