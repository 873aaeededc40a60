"""Removes what is not marked and not young."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headwater.blobs.marking import Marks
from headwater.ports.blobs import BlobInventory, StoredBlob, StoredKind
from schemas.ids import TenantId


@dataclass(slots=True, kw_only=True)
class Swept:
    """What was looked at and what was removed, or would be."""

    looked_at: int = 0
    kept_young: int = 0  # not referred to, but younger than the grace
    removed: int = 0
    removed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Goes through a blob store, tenant by tenant. `young_after`: what was written later stays, marked or not."""

    blobs: BlobInventory
    marks: Marks
    young_after: datetime
    dry_run: bool

    async def sweep(self, tenants: Sequence[TenantId]) -> Swept:
        """Remove what nothing refers to; with `dry_run`, only count it."""
        swept = Swept()
        for tenant in tenants:
            await self._keep_derived(tenant)
            async for stored in self.blobs.stored(tenant):
                swept.looked_at += 1
                if self._is_kept(tenant, stored):
                    continue
                if await self._is_young(tenant, stored):
                    swept.kept_young += 1
                    continue
                swept.removed += 1
                swept.removed_bytes += stored.size_bytes
                if not self.dry_run:
                    await self.blobs.remove(stored)
        return swept

    async def _keep_derived(self, tenant: TenantId) -> None:
        """What was made from a content stays as long as that does."""
        async for link in self.blobs.stored(tenant, StoredKind.LINK):
            if link.derived is not None and await self._stays(tenant, link):
                self.marks.mark(tenant, link.sha256)
                self.marks.mark(tenant, link.derived)

    async def _stays(self, tenant: TenantId, link: StoredBlob) -> bool:
        if self.marks.has(tenant, link.sha256):
            return True
        # Submitted again this moment, it is young once more.
        written = await self.blobs.modified_at(tenant, link.sha256)
        return written is not None and written > self.young_after

    def _is_kept(self, tenant: TenantId, stored: StoredBlob) -> bool:
        return stored.kind is not StoredKind.INCOMING and self.marks.has(tenant, stored.sha256)

    async def _is_young(self, tenant: TenantId, stored: StoredBlob) -> bool:
        if stored.modified_at > self.young_after:
            return True
        if stored.kind is not StoredKind.BLOB:
            return False
        # The listing may be a page old: whoever submits the same bytes meanwhile writes them again.
        written = await self.blobs.modified_at(tenant, stored.sha256)
        return written is None or written > self.young_after
