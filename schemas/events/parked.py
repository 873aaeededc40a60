"""Dead letters of all stages, and what was done about them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

from schemas.events.base import Event, Position
from schemas.ids import DocumentId, GenerationName, Principal, Revision, TenantId
from schemas.topics import Topic

# `error` of a letter that stands for submissions which retention took before admission had read them. Its origin is the
# first of them; it names no tenant and no document, since nobody has read whose they were.
SUBMISSIONS_EXPIRED: Final = "SubmissionsExpiredError"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventParked:  # not an Event: bytes that cannot be decoded have no tenant to name
    """All that is needed to explain one dead letter and to run its revision again. Key: the original key."""

    topic: ClassVar[Topic] = Topic.EVENTS_PARKED
    origin: Position  # the letter's identity, so parking twice is harmless
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    stage: str
    generation: GenerationName
    error: str  # class name: a closed set, safe as a metric label
    reason: str
    attempts: int  # counted before the work began, so that a crash counts too
    parked_at: datetime
    tenant_id: TenantId | None  # these three where the event could be decoded
    document_id: DocumentId | None
    revision: Revision | None


class LetterState(StrEnum):
    """What became of a dead letter."""

    PARKED = "parked"  # nobody has dealt with it
    REPLAYED = "replayed"  # its revision, or its event, was sent again
    SUPERSEDED = "superseded"  # a newer revision of its document exists: there is nothing left to run
    DISCARDED = "discarded"  # an administrator decided to leave it


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResolved(Event):
    """What an administrator did about a dead letter. Key: tenant/origin of the letter.

    The tenant is the letter's, the system's where the letter names none. `occurred_at` is when it was done.
    """

    topic: ClassVar[Topic] = Topic.EVENTS_RESOLVED
    letter: EventParked  # whole, but for key, value and headers: whoever records this need not have seen the letter
    state: LetterState  # never `parked`
    actor: Principal
    reason: str | None  # why, in the administrator's or our own words
    sent: Position | None  # the submission or event that the replay sent
