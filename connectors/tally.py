"""What one pass came to, counted while it runs, and how it ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from connectors.endings import Ending, SyncReport
from connectors.in_flight import InFlight
from connectors.outstanding import Outstanding
from connectors.protocol import Left
from headwater.errors import (
    DeferredError,
    FatalError,
    HeadwaterError,
    PoisonError,
    RetryableError,
    SourceGoneError,
    UnauthorisedError,
)
from headwater.telemetry.metrics import SYNC_ITEMS, SYNCS_ENDED

log = structlog.get_logger(__name__)

REPORTED_FAILURES: Final = 100


@dataclass(slots=True)
class Tally:
    """Counts of one pass."""

    upserted: int = 0
    patched: int = 0
    deleted: int = 0
    doubted: int = 0  # deletions that wait because of the listing that they follow from
    doubt: str | None = None  # of the first of them
    groups: int = 0
    content_bytes: int = 0
    failures: int = 0
    left: Left | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    outstanding: Outstanding | None = None  # None: each pass meets again what fails
    in_flight: InFlight = field(default_factory=lambda: InFlight({}))

    def delete(self, doubt: str | None) -> None:
        """Count a deletion, and why it must wait."""
        if doubt is None:
            self.deleted += 1
            return
        self.doubted += 1
        self.doubt = self.doubt or doubt

    def fail(self, external_id: str, error: HeadwaterError) -> None:
        SYNC_ITEMS.labels(outcome="failed").inc()
        # Each with our own words of it: the report names the first hundred alone.
        log.warning("item_failed", external_id=external_id, error=type(error).__name__, exc_info=error)
        self.missing(external_id, str(error))
        if self.outstanding is not None:
            self.outstanding.fail(external_id, str(error))

    def missing(self, external_id: str, reason: str) -> None:
        """Report an item as missing, whether it was tried or not."""
        self.failures += 1
        if len(self.failed) < REPORTED_FAILURES:
            self.failed.append((external_id, reason))

    def report(self, ending: Ending, *, reason: str | None = None, waits_until: datetime | None = None) -> SyncReport:
        SYNCS_ENDED.labels(ending=ending.value).inc()
        return replace(self._counts(ending, reason), waits_until=waits_until)

    def so_far(self) -> SyncReport:
        """Return the counts of what still runs, as if it ended now."""
        return self._counts(Ending.SUSPENDED, None)

    def _counts(self, ending: Ending, reason: str | None) -> SyncReport:
        return SyncReport(
            ending=ending,
            upserted=self.upserted,
            patched=self.patched,
            deleted=self.deleted,
            doubted=self.doubted,
            doubt=self.doubt,
            content_bytes=self.content_bytes,
            failed=tuple(self.failed),
            failures=self.failures,
            reason=reason,
            left=self.left,
        )

    def ending(self) -> Ending:
        if self.failures or self.doubted:
            return Ending.PARTIAL
        return Ending.COMPLETED if self.upserted or self.patched or self.deleted or self.groups else Ending.NOTHING_NEW


async def reported(work: Callable[[Tally], Awaitable[None]]) -> SyncReport:
    """Do the work and name its ending. What is neither the source's word nor an outage is raised.

    A PoisonError that no item could be blamed for is the source's word: whoever ran it again would hear it again.
    """
    tally = Tally()
    try:
        await work(tally)
    except (FatalError, PoisonError, RetryableError) as error:
        until = error.until if isinstance(error, DeferredError) else None
        return tally.report(ending_of(error), reason=str(error), waits_until=until)
    except asyncio.CancelledError:
        tally.report(Ending.SUSPENDED)
        raise
    return tally.report(tally.ending())


def ending_of(error: FatalError | PoisonError | RetryableError) -> Ending:
    """Name the ending that an error is."""
    match error:
        case UnauthorisedError():
            return Ending.UNAUTHORISED
        case SourceGoneError():
            return Ending.SOURCE_GONE
        case FatalError() | PoisonError():
            return Ending.SOURCE_REFUSED
        case DeferredError():  # its rate limit: the source is neither away nor wrong
            return Ending.SUSPENDED
        case RetryableError():
            return Ending.FAILED
