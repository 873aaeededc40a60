"""What a sync says of itself while it runs and when it ends. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from connectors.endings import Ending, SyncReport, clock_time
from connectors.protocol import Left
from connectors.worker.ports import Key
from connectors.worker.queue import NOTHING_SETTLED
from headwater.clients.kafka.records import Outgoing
from schemas.codec import encode
from schemas.events.base import Position
from schemas.events.syncs import ItemRefused, SyncMode, SyncProgressed
from schemas.ids import scoped_key

MAX_REASON: Final = 500  # characters; a hundred of them with their ids stay far below a record's limit
MAX_ID: Final = 1_000
UNSETTLED: Final = frozenset({None, Ending.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One sync's identity."""

    sync_id: UUID
    key: Key
    mode: SyncMode
    requested: Position | None
    started_at: datetime

    def said(self, report: SyncReport, *, ended: bool, now: datetime) -> SyncProgressed:
        """Return the event that says how far it is, or how it ended."""
        tenant, source = self.key
        done = report.upserted + report.patched + report.deleted + report.doubted
        left = report.left if not ended and report.left is not None and report.left.items else None
        waits_until = report.waits_until if not ended or report.ending is Ending.SUSPENDED else None
        return SyncProgressed(
            event_id=uuid4(),
            tenant_id=tenant,
            occurred_at=now,
            observed_at=now,
            source=source,
            sync_id=self.sync_id,
            mode=self.mode,
            requested=self.requested,
            started_at=self.started_at,
            ending=report.ending if ended else None,
            message=report.message if ended else _so_far(done, left, waits_until),
            upserted=report.upserted,
            patched=report.patched,
            deleted=report.deleted,
            failures=report.failures,
            failed=tuple(
                ItemRefused(external_id=name[:MAX_ID], reason=why[:MAX_REASON]) for name, why in report.failed
            ),
            content_bytes=report.content_bytes,
            remaining=left.items if left is not None else None,
            estimated_end_at=estimated_end(self.started_at, now, left, waits_until=waits_until),
            waits_until=waits_until,
        )


def estimated_end(
    started: datetime, now: datetime, left: Left | None, *, waits_until: datetime | None = None
) -> datetime | None:
    """Return when a sync has looked at everything if it goes on as it went; None while nobody can tell.

    The pace is that of looking, not of submitting: most of a source does not change between two syncs. It goes on once
    what it waits for is over.
    """
    looked_at = left.of - left.items if left is not None else 0
    if left is None or looked_at <= 0:
        return None
    goes_on_at = now if waits_until is None else max(now, waits_until)
    return goes_on_at + timedelta(seconds=(now - started).total_seconds() * left.items / looked_at)


def _so_far(done: int, left: Left | None, waits_until: datetime | None) -> str:
    said = f"{done} items so far"
    if left is not None:
        said += f"; about {left.items} left to look at, of the {left.of} that were known before"
    if waits_until is not None:
        return f"{said}. Waits: the source allows requests again at {clock_time(waits_until)}."
    return f"{said}."


def outgoing(event: SyncProgressed, topic: str) -> Outgoing:
    """Return the record of an event."""
    return Outgoing(topic=topic, key=scoped_key(event.tenant_id, event.source), value=encode(event))


def settled_by(event: SyncProgressed | None) -> int:
    """Return the newest request whose ending is recorded."""
    if event is None or event.requested is None or event.ending in UNSETTLED:
        return NOTHING_SETTLED
    return event.requested.offset
