"""Dead letters of all stages."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from schemas.events.base import Position
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from schemas.topics import Topic


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
