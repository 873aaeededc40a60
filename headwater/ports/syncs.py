"""How the syncs of sources stand."""

from collections.abc import Sequence
from typing import Protocol

from schemas.events.syncs import SourceTested, SyncProgressed
from schemas.ids import SourceId, TenantId


class SyncStates(Protocol):
    """The newest word on each source's newest sync. Raises RetryableError when the log does not answer."""

    async def newest(self, tenant: TenantId, source: SourceId) -> SyncProgressed | None:
        """Return how a source's newest sync stands or ended, None before its first."""
        ...

    async def newest_test(self, tenant: TenantId, source: SourceId) -> SourceTested | None:
        """Return what a source's newest test has found, None before its first."""
        ...

    async def all(self, tenant: TenantId) -> Sequence[SyncProgressed]:
        """Return the same of each source of a tenant that was ever synced, ordered by source."""
        ...
