"""Requests for syncs go into the log; how they stand is read from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from headwater.ports.heads import Directory
from headwater.ports.syncs import SyncStates
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin
from query_api.problems import ConflictError, NotFoundError, SourcePausedError
from query_api.runtime import Runtime
from schemas.events.directory import DirectoryKind, Source
from schemas.events.syncs import SourceTested, SyncMode, SyncProgressed, SyncRequested
from schemas.ids import SourceId

API_KIND = "api"  # written by callers: there is nothing to read


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncService:
    """Syncs of the caller's tenant."""

    origin: Origin
    changes: ChangeLog
    directory: Directory
    syncs: SyncStates

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "SyncService":
        """Build one for a request."""
        changes = ChangeLog(events=runtime.events, now=runtime.now)
        return cls(origin=origin, changes=changes, directory=runtime.directory, syncs=runtime.syncs)

    async def request(self, source: str, mode: SyncMode, items: Sequence[str]) -> None:
        """Ask for a sync. Raise NotFoundError, ConflictError where no connector reads it, SourcePausedError."""
        resource, record = self._read_by_a_connector(source)
        if record.paused:
            raise SourcePausedError(f"{resource}: is paused", field="id")
        wish = replace(self._wish(resource), mode=mode, items=tuple(items))
        await self._append(resource, wish, action=f"sources.sync.{mode.value}")

    async def cancel(self, source: str) -> None:
        """Ask that what runs be stopped and what waits be dropped."""
        resource, _ = self._authorized(source, Action.SYNC_SOURCES)
        await self._append(resource, replace(self._wish(resource), cancels=True), action="sources.cancel")

    async def request_test(self, source: str) -> UUID:
        """Ask for a test; return its id. Raise NotFoundError, ConflictError where no connector reads it."""
        resource, _ = self._read_by_a_connector(source)
        wish = replace(self._wish(resource), tests=True)
        await self._append(resource, wish, action="sources.test")
        return wish.event_id

    async def show_test(self, source: str) -> SourceTested:
        """Return what the newest test found; raise NotFoundError where there was none."""
        resource, _ = self._authorized(source, Action.READ_DIRECTORY)
        event = await self.syncs.newest_test(resource.tenant_id, SourceId(source))
        if event is None:
            raise NotFoundError(f"{resource}: was never tested")
        return event

    async def show(self, source: str) -> SyncProgressed:
        """Return the newest sync; raise NotFoundError where there was none."""
        resource, _ = self._authorized(source, Action.READ_DIRECTORY)
        event = await self.syncs.newest(resource.tenant_id, SourceId(source))
        if event is None:
            raise NotFoundError(f"{resource}: was never synced")
        return event

    async def all(self) -> Sequence[SyncProgressed]:
        """Return the newest sync of each source that there is."""
        tenant = self.origin.caller.tenant_id
        authorize(
            self.origin.caller, Action.READ_DIRECTORY, Resource(tenant_id=tenant, kind=DirectoryKind.SOURCE.value)
        )
        known = {entry.record_id for entry in self.directory.list(tenant, DirectoryKind.SOURCE)}
        return [event for event in await self.syncs.all(tenant) if event.source in known]

    def _authorized(self, source: str, action: Action) -> tuple[Resource, Source]:
        tenant = self.origin.caller.tenant_id
        resource = Resource(tenant_id=tenant, kind=DirectoryKind.SOURCE.value, id=source)
        authorize(self.origin.caller, action, resource)
        entry = self.directory.get(tenant, DirectoryKind.SOURCE, source)
        if entry is None or not isinstance(entry.record, Source):
            raise NotFoundError(f"{resource}: not found")
        return resource, entry.record

    def _read_by_a_connector(self, source: str) -> tuple[Resource, Source]:
        resource, record = self._authorized(source, Action.SYNC_SOURCES)
        if record.kind == API_KIND:
            raise ConflictError(f"{resource}: is written by this API, there is nothing to read", field="id")
        return resource, record

    def _wish(self, resource: Resource) -> SyncRequested:
        now = self.changes.now()
        return SyncRequested(
            event_id=uuid4(),
            tenant_id=resource.tenant_id,
            occurred_at=now,
            observed_at=now,
            source=SourceId(resource.id),
            mode=SyncMode.INCREMENTAL,
            actor=self.origin.caller.principal,
        )

    async def _append(self, resource: Resource, wish: SyncRequested, *, action: str) -> None:
        await self.changes.append(wish, action=action, resource=resource, origin=self.origin)
