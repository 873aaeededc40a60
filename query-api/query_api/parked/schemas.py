"""Dead letters as administrators see them."""

from datetime import datetime

from pydantic import BaseModel, Field

from query_api.documents.views import PositionView
from schemas.events import EventParked
from schemas.ids import DocumentId, GenerationName, Revision


class ParkedLetter(BaseModel, frozen=True):
    """Why one event was set aside. The bytes themselves stay in the log, at `origin`."""

    origin: PositionView
    stage: str
    generation: GenerationName
    error: str
    reason: str
    attempts: int
    parked_at: datetime
    document_id: DocumentId | None
    revision: Revision | None

    @classmethod
    def of(cls, letter: EventParked) -> "ParkedLetter":
        """Show a letter."""
        origin = letter.origin
        return cls(
            origin=PositionView(topic=origin.topic, partition=origin.partition, offset=origin.offset),
            stage=letter.stage,
            generation=letter.generation,
            error=letter.error,
            reason=letter.reason,
            attempts=letter.attempts,
            parked_at=letter.parked_at,
            document_id=letter.document_id,
            revision=letter.revision,
        )


class ParkedList(BaseModel, frozen=True):
    """Dead letters, newest first."""

    letters: list[ParkedLetter]
    cursor: str | None = Field(description="Pass it to get the next page; none on the last.")
