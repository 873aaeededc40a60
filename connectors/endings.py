"""How a sync ends: a ladder of endings, each with what an operator needs to know."""

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """From best to worst. A closed set: safe as a metric label."""

    COMPLETED = "completed"
    NOTHING_NEW = "nothing_new"
    PARTIAL = "partial"
    SUSPENDED = "suspended"
    SOURCE_REFUSED = "source_refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one pass over a source came to."""

    ending: Ending
    upserted: int = 0
    patched: int = 0
    deleted: int = 0
    content_bytes: int = 0
    failed: tuple[tuple[str, str], ...] = ()  # external id and reason; the first hundred
    failures: int = 0
    reason: str | None = None

    @property
    def message(self) -> str:
        """Return the one sentence an operator reads."""
        done = f"{self.upserted} written, {self.patched} changed in metadata, {self.deleted} deleted"
        match self.ending:
            case Ending.COMPLETED:
                return f"The source is in sync: {done}."
            case Ending.NOTHING_NEW:
                return "The source is in sync: nothing had changed."
            case Ending.PARTIAL:
                return f"{done}; {self.failures} items could not be read and are tried again on the next pass."
            case Ending.SUSPENDED:
                return f"Stopped on request after {done}; the next pass goes on from there."
            case Ending.SOURCE_REFUSED:
                return f"The source refuses: {self.reason}"
            case Ending.FAILED:
                return f"Not finished, after {done}: {self.reason}. The next pass goes on from there."
