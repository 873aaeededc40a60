"""How a sync ends: a ladder of endings, each with what an operator needs to know."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Ending(StrEnum):
    """From best to worst. A closed set: safe as a metric label."""

    COMPLETED = "completed"
    NOTHING_NEW = "nothing_new"
    PARTIAL = "partial"
    SUSPENDED = "suspended"
    PAUSED = "paused"
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
        return _SENTENCES[self.ending].format(done=done, failures=self.failures, reason=self.reason)


_SENTENCES: Final = {
    Ending.COMPLETED: "The source is in sync: {done}.",
    Ending.NOTHING_NEW: "The source is in sync: nothing had changed.",
    Ending.PARTIAL: "{done}; {failures} items could not be read and are tried again on the next pass.",
    Ending.SUSPENDED: "Stopped on request after {done}; the next pass goes on from there.",
    Ending.PAUSED: "The source is paused in the directory and is not read. Let an administrator resume it "
    "(`paused: false`), then sync again: the next pass goes on where the last one stopped.",
    Ending.SOURCE_REFUSED: "The source refuses: {reason}",
    Ending.FAILED: "Not finished, after {done}: {reason}. The next pass goes on from there.",
}
