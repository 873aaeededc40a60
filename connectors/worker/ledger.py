"""What a sync says of itself while it runs and when it ends. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from connectors.endings import Ending, SyncReport
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
        done = report.upserted + report.patched + report.deleted
        remaining = None if ended else report.remaining
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
            message=report.message if ended else f"{done} items so far.",
            upserted=report.upserted,
            patched=report.patched,
            deleted=report.deleted,
            failures=report.failures,
            failed=tuple(
                ItemRefused(external_id=name[:MAX_ID], reason=why[:MAX_REASON]) for name, why in report.failed
            ),
            content_bytes=report.content_bytes,
            remaining=remaining,
            estimated_end_at=estimated_end(self.started_at, now, done=done, remaining=remaining),
        )


def estimated_end(started: datetime, now: datetime, *, done: int, remaining: int | None) -> datetime | None:
    """Return when a sync ends if it goes on as it went; None while nobody can tell."""
    if remaining is None or done <= 0:
        return None
    return now + timedelta(seconds=(now - started).total_seconds() * remaining / done)


def outgoing(event: SyncProgressed, topic: str) -> Outgoing:
    """Return the record of an event."""
    return Outgoing(topic=topic, key=scoped_key(event.tenant_id, event.source), value=encode(event))


def settled_by(event: SyncProgressed | None) -> int:
    """Return the newest request whose ending is recorded."""
    if event is None or event.requested is None or event.ending in UNSETTLED:
        return NOTHING_SETTLED
    return event.requested.offset
