"""Reads a source of the directory with the connector of its kind."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime

from connectors.endings import SyncReport
from connectors.registry import KINDS, Connected, connect
from connectors.runner import Runner
from connectors.tally import ending_of
from connectors.work import Work
from connectors.worker.fence import FencedCursors
from connectors.worker.ports import Held, Key
from headwater.clients.egress.client import Egress
from headwater.clients.kafka.producer import EventProducer
from headwater.errors import FatalError
from headwater.ports.blobs import BlobStore
from headwater.settings import Settings
from headwater.telemetry.metrics import SYNCS_ENDED
from schemas.events.directory import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorJobs:
    """Implements Jobs."""

    settings: Settings
    producer: EventProducer
    blobs: BlobStore
    egress: Egress
    _read: dict[Key, Connected] = field(default_factory=dict)  # now

    def reads(self, source: Source) -> bool:
        """See the port."""
        return source.kind in KINDS

    def follows(self, source: Source) -> bool:
        """See the port: by the setting `watch`, which every kind that can be followed has."""
        return self.reads(source) and source.settings.get("watch", "").lower() in {"true", "1", "yes", "on"}

    async def check(self, key: Key, source: Source) -> None:
        """See the port."""
        await connect(key, source, self.settings.connectors, self.egress).connector.check()

    def waits_until(self, key: Key) -> datetime | None:
        """See the port."""
        return self._read[key].waits_until() if key in self._read else None

    async def sync(self, held: Held, work: Work) -> SyncReport:
        """See the port."""
        connected = self._connected(held)
        if isinstance(connected, SyncReport):
            return connected
        return await self._while_read(held.key, connected, self._runner(held, connected).sync(work))

    async def follow(self, held: Held) -> SyncReport:
        """See the port."""
        connected = self._connected(held)
        if isinstance(connected, SyncReport):
            return connected
        if connected.live is None:
            return SyncReport(ending=ending_of(FatalError()), reason=f"kind {held.source.kind}: cannot be followed")
        return await self._while_read(held.key, connected, self._runner(held, connected).follow(connected.live))

    async def _while_read(self, key: Key, connected: Connected, reading: Awaitable[SyncReport]) -> SyncReport:
        self._read[key] = connected
        try:
            return await reading
        finally:
            if self._read.get(key) is connected:
                del self._read[key]

    def _connected(self, held: Held) -> Connected | SyncReport:
        """Return the connector, or how a sync ends that has none."""
        try:
            return connect(held.key, held.source, self.settings.connectors, self.egress)
        except FatalError as error:
            ending = ending_of(error)
            SYNCS_ENDED.labels(ending=ending.value).inc()
            return SyncReport(ending=ending, reason=str(error))

    def _runner(self, held: Held, connected: Connected) -> Runner:
        tenant, source = held.key
        return Runner(
            settings=self.settings,
            connector=connected.connector,
            cursors=FencedCursors(self.settings, self.producer, held.fence, tenant=tenant, source=source),
            blobs=self.blobs,
            producer=self.producer,
            tenant=tenant,
            source=source,
            may_write=held.may_write,
            tell=held.tell,
            created=held.created,
        )
