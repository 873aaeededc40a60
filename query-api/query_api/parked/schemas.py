"""Dead letters as administrators see them, and what they may do about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from headwater.ports.read_model import Letter, LetterFilter, LetterGroup
from query_api.documents.views import PositionView
from query_api.parked.judging import Judgement, Verdict
from schemas.events import EventParked, LetterState, Position
from schemas.events.base import Lane
from schemas.ids import DocumentId, GenerationName, Principal, Revision, TenantId

MAX_LETTERS = 100  # in one replay or discard


class Policy(StrEnum):
    """What a replay does when a letter's revision fails again."""

    STOP = "stop"  # wait for each to end, and leave the others parked when one fails
    PARK = "park"  # go on without waiting; what fails again is parked again


class Stop(StrEnum):
    """Why a replay ended before its last letter."""

    FAILED_AGAIN = "failed_again"
    TIME = "time"


class Ending(StrEnum):
    """How far a replayed revision is."""

    DONE = "done"  # searchable, or gone, in every store
    FAILED = "failed"
    NOT_ADMITTED = "not_admitted"  # admission appended nothing; the audit trail says why
    PENDING = "pending"


class LetterQuery(BaseModel, frozen=True, extra="forbid"):
    """Which dead letters."""

    stage: str | None = Field(default=None, max_length=64)
    error: str | None = Field(default=None, max_length=200, description="The error's class name.")
    document_id: Annotated[DocumentId | None, Field(pattern=r"^[0-9a-f]{32}$")] = None
    parked_from: AwareDatetime | None = None
    parked_until: AwareDatetime | None = Field(default=None, description="Exclusive.")
    tenant: TenantId | None = Field(
        default=None, max_length=200, description="The caller's by default; any other needs the scope `system`."
    )
    all_tenants: bool = Field(default=False, description="Also letters that name no tenant. Needs the scope `system`.")
    cursor: str | None = Field(default=None, max_length=4_000)

    def whose(self, caller: TenantId) -> TenantId | None:
        """Return the tenant whose letters are meant; None: those of all tenants, and of none."""
        return self.tenant or (None if self.all_tenants else caller)

    def filter(self, caller: TenantId, *, state: LetterState | None) -> LetterFilter:
        """Return what the read model is asked for."""
        return LetterFilter(
            tenant=self.whose(caller),
            stage=self.stage,
            error=self.error,
            document=self.document_id,
            parked_from=self.parked_from,
            parked_until=self.parked_until,
            state=state,
        )


class ListQuery(LetterQuery, frozen=True):
    """Which dead letters to list."""

    state: LetterState | None = Field(default=None, description="Left out: all.")
    limit: int = Field(default=50, ge=1, le=200)


class OriginBody(BaseModel, frozen=True, extra="forbid"):
    """Where a letter's event lies."""

    topic: str = Field(min_length=1, max_length=249)
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)

    def position(self) -> Position:
        """Return it as a value."""
        return Position(topic=self.topic, partition=self.partition, offset=self.offset)


class Selection(LetterQuery, frozen=True):
    """Letters to deal with: those named, or else those that are parked and match, newest first."""

    origins: list[OriginBody] = Field(default=[], max_length=MAX_LETTERS)
    limit: int = Field(default=50, ge=1, le=MAX_LETTERS)
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class ReplayBody(Selection, frozen=True):
    """A bounded replay."""

    policy: Policy = Policy.STOP
    lane: Lane = Field(default=Lane.LIVE, description="`backfill` leaves edits in front.")


class DiscardBody(Selection, frozen=True):
    """A bounded decision to leave letters as they are."""

    reason: str = Field(min_length=1, max_length=500, description="Kept with the letter and in the audit trail.")


class ResolutionView(BaseModel, frozen=True):
    """What was done about a letter."""

    state: LetterState
    actor: Principal
    at: datetime
    reason: str | None
    sent: PositionView | None = Field(description="The submission or event that the replay sent.")


class ParkedLetter(BaseModel, frozen=True):
    """Why one event was set aside, and what became of it. The bytes themselves stay in the log, at `origin`."""

    origin: PositionView
    tenant_id: TenantId | None
    stage: str
    generation: GenerationName
    error: str
    reason: str
    attempts: int
    parked_at: datetime
    document_id: DocumentId | None
    revision: Revision | None
    state: LetterState
    resolution: ResolutionView | None

    @classmethod
    def of(cls, letter: Letter) -> "ParkedLetter":
        """Show a letter."""
        parked = letter.parked
        return cls(
            origin=position_view(parked.origin),
            tenant_id=parked.tenant_id,
            stage=parked.stage,
            generation=parked.generation,
            error=parked.error,
            reason=parked.reason,
            attempts=parked.attempts,
            parked_at=parked.parked_at,
            document_id=parked.document_id,
            revision=parked.revision,
            state=letter.state,
            resolution=_resolution(letter),
        )


class Cause(BaseModel, frozen=True):
    """Dead letters with one stage and error."""

    stage: str
    error: str
    count: int
    oldest: datetime
    newest: datetime

    @classmethod
    def of(cls, group: LetterGroup) -> "Cause":
        """Show a group."""
        return cls(stage=group.stage, error=group.error, count=group.count, oldest=group.oldest, newest=group.newest)


class ParkedList(BaseModel, frozen=True):
    """Dead letters, newest first, and their causes."""

    causes: list[Cause] = Field(description="Of all that match, the most frequent first; on the first page only.")
    letters: list[ParkedLetter]
    cursor: str | None = Field(description="Pass it to get the next page; none on the last.")


class LetterResult(BaseModel, frozen=True):
    """What a replay did, or would do, to one letter."""

    origin: PositionView
    document_id: DocumentId | None
    revision: Revision | None
    verdict: Verdict
    detail: str
    ended: Ending | None = Field(default=None, description="Only where the replay waited for it.")
    token: str | None = Field(default=None, description="Pass it as `after`: the response then reflects the rerun.")

    @classmethod
    def of(
        cls, letter: EventParked, judgement: Judgement, *, token: str | None = None, ended: Ending | None = None
    ) -> "LetterResult":
        """Show a result."""
        return cls(
            origin=position_view(letter.origin),
            document_id=letter.document_id,
            revision=letter.revision,
            verdict=judgement.verdict,
            detail=judgement.detail,
            ended=ended,
            token=token,
        )


class ReplayReport(BaseModel, frozen=True):
    """What a replay did, or would do."""

    dry_run: bool
    results: list[LetterResult]
    stopped: Stop | None
    cursor: str | None = Field(description="Pass it to go on behind the last letter; none when there is no other.")


class DiscardReport(BaseModel, frozen=True):
    """Which letters were, or would be, discarded."""

    dry_run: bool
    discarded: list[PositionView]
    cursor: str | None


def position_view(position: Position) -> PositionView:
    """Show a position."""
    return PositionView(topic=position.topic, partition=position.partition, offset=position.offset)


def _resolution(letter: Letter) -> ResolutionView | None:
    resolved = letter.resolved
    if resolved is None:
        return None
    return ResolutionView(
        state=resolved.state,
        actor=resolved.actor,
        at=resolved.occurred_at,
        reason=resolved.reason,
        sent=None if resolved.sent is None else position_view(resolved.sent),
    )
