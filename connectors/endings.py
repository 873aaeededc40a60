"""How a sync ends: a ladder of endings, each with what an operator needs to know."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from connectors.protocol import Left
from schemas.events.syncs import SyncEnding

Ending: TypeAlias = SyncEnding


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one pass over a source came to."""

    ending: Ending
    upserted: int = 0
    patched: int = 0
    deleted: int = 0
    doubted: int = 0  # deletions that wait for an administrator: the listing showed suspiciously little
    doubt: str | None = None  # what it showed, in words
    content_bytes: int = 0
    failed: tuple[tuple[str, str], ...] = ()  # external id and reason; the first hundred
    failures: int = 0  # all of them
    reason: str | None = None
    left: Left | None = None  # to be looked at; None where nobody can tell
    waits_until: datetime | None = None  # the source allows no request before

    @property
    def message(self) -> str:
        """Return the one sentence an operator reads."""
        done = f"{self.upserted} written, {self.patched} changed in metadata, {self.deleted} deleted"
        if self.ending is Ending.SUSPENDED and self.waits_until is not None:
            said = _LIMITED.format(done=done, until=clock_time(self.waits_until))
        elif self.ending is Ending.PARTIAL and not self.failures:
            said = f"{done}."
        else:
            named = _ALL_NAMED if self.failures <= len(self.failed) else _SOME_NAMED.format(named=len(self.failed))
            said = _SENTENCES[self.ending].format(done=done, failures=self.failures, named=named, reason=self.reason)
        if not self.doubted:
            return said
        return f"{said} {_DOUBTED.format(doubted=self.doubted, doubt=self.doubt)}"


def clock_time(at: datetime) -> str:
    """Write a moment as operators read it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_DOUBTED: Final = (
    "{doubted} deletions wait for an administrator, and the documents stay: {doubt}. Look at the source first. What it "
    "shows again is kept by the next full sync; what is really gone is deleted by `headwater sources approve`."
)
# Neither a failure nor an operator's business: the request stays in the log, and a worker goes on with it by itself.
_LIMITED: Final = (
    "The source allows requests again at {until}: its rate limit is used up. {done} so far; the sync goes on from "
    "there."
)
_ALL_NAMED: Final = "each is named with its reason"
_SOME_NAMED: Final = (
    "the first {named} are named with their reasons, and each is in the connector's log as `item_failed`, where it was "
    "tried last"
)
_SENTENCES: Final = {
    Ending.COMPLETED: "The source is in sync: {done}.",
    Ending.NOTHING_NEW: "The source is in sync: nothing had changed.",
    Ending.PARTIAL: "{done}; {failures} items could not be read and are tried again without being asked for, and "
    "all of them by a full sync; {named}.",
    Ending.SUSPENDED: "Stopped on request after {done}; the next pass goes on from there.",
    Ending.PAUSED: "The source is paused in the directory and is not read. Let an administrator resume it "
    "(`paused: false`), then sync again: the next pass goes on where the last one stopped.",
    Ending.CANCELLED: "Cancelled after {done}: {reason}. The next sync goes on from there.",
    Ending.UNAUTHORISED: "The source refuses the credentials: {reason}. Give the right or renew the credential, run "
    "`headwater sources test`, then sync again: nothing is lost meanwhile.",
    Ending.SOURCE_GONE: "There is nothing to read: {reason}. Its documents stay as they are. Correct the source's "
    "settings, or remove the source.",
    Ending.SOURCE_REFUSED: "The source refuses: {reason}",
    Ending.FAILED: "Not finished, after {done}: {reason}. The next pass goes on from there.",
}
