"""Asks for what is due: by the sources' schedules, and for live sources that nobody follows. Only appends requests."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import structlog

from connectors.worker.cron import Cron, ScheduleError, is_due, jitter_of
from connectors.worker.desk import Desk
from connectors.worker.ports import Jobs, Key, Sources, SyncLog
from headwater.settings import Settings
from schemas.events.directory import Source
from schemas.events.syncs import SyncMode, SyncRequested

log = structlog.get_logger(__name__)

FOLLOW_AGAIN: Final = timedelta(seconds=60)  # after a live source failed


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Each source's schedule belongs to the worker that holds its requests' partition."""

    settings: Settings
    syncs: SyncLog
    jobs: Jobs
    now: Callable[[], datetime]
    _looked_at: datetime | None = None
    _asked_at: dict[Key, datetime] = field(default_factory=dict)

    async def ask_what_is_due(self, desk: Desk, sources: Sources, owned: Collection[int]) -> None:
        """Look at all sources, unless it has just been done. Raises RetryableError."""
        now = self.now()
        every = timedelta(seconds=self.settings.connectors.schedule_every_s)
        if self._looked_at is not None and now - self._looked_at < every:
            return
        self._looked_at = now
        for key, source in sources.items():
            if self.syncs.partition_of(key) in owned and not desk.is_busy(key) and self._wants(key, source, desk, now):
                self._asked_at[key] = now
                await self.syncs.ask(_request(key, now))

    def _wants(self, key: Key, source: Source, desk: Desk, now: datetime) -> bool:
        if source.paused or not self.jobs.reads(source):
            return False
        last = max(filter(None, [desk.begun_at(key), self._asked_at.get(key)]), default=None)
        if self.jobs.follows(source):
            idle = desk.idle_since(key)
            asked = self._asked_at.get(key)
            return all(each is None or now - each > FOLLOW_AGAIN for each in (idle, asked))
        if source.schedule is None:
            return False
        try:
            cron = Cron.parse(source.schedule)
        except ScheduleError:
            log.warning("schedule_unreadable", tenant_id=key[0], source=key[1])
            return False
        jitter = jitter_of("/".join(key), up_to_s=self.settings.connectors.schedule_jitter_s)
        return is_due(cron, jitter=jitter, last=last, now=now)


def _request(key: Key, now: datetime) -> SyncRequested:
    tenant, source = key
    return SyncRequested(
        event_id=uuid4(),
        tenant_id=tenant,
        occurred_at=now,
        observed_at=now,
        source=source,
        mode=SyncMode.INCREMENTAL,
        actor=None,
    )
