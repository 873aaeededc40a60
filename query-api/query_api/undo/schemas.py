"""What is to be undone, and what came of it."""

from typing import Final

from pydantic import AwareDatetime, BaseModel, Field

from headwater.undoing import Lost

AT_ONCE: Final = 1_000


class UndoBody(BaseModel, frozen=True, extra="forbid"):
    """Since when; without `dry_run: false` nothing is submitted."""

    since: AwareDatetime = Field(description="Deletions from then on; the log remembers about seven days.")
    dry_run: bool = Field(default=True, description="Only say what would come back.")
    limit: int = Field(default=AT_ONCE, ge=1, le=AT_ONCE, description="At most so many documents of one call.")
    cursor: str | None = Field(default=None, max_length=100, description="Where the call before this one stopped.")


class LostDocument(BaseModel, frozen=True):
    """A document that cannot be brought back from the log."""

    external_id: str
    why: str

    @classmethod
    def of(cls, lost: Lost) -> "LostDocument":
        """Show one."""
        return cls(external_id=lost.external_id, why=lost.why)


class UndoReport(BaseModel, frozen=True):
    """The submissions are in the log, or would be. Admission leaves what the source has brought back by itself."""

    source: str
    dry_run: bool
    restored: int = Field(description="Deleted documents that are submitted again.")
    kept: int = Field(description="Deletions that waited, and wait no longer.")
    lost: list[LostDocument] = Field(description="Those that cannot come back; a full sync brings what is there.")
    cursor: str | None = Field(description="Pass it to go on; none: nothing is left.")
    token: str | None = Field(description="Pass it as `after` to see the outcome; none where nothing was submitted.")
