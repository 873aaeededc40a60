"""Content by its hash."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from schemas.events.documents import BlobRef
from schemas.ids import TenantId


class BlobStore(Protocol):
    """Tenant-scoped, content-addressed bytes. Writing what is there already is harmless.

    Raises RetryableError when the store is away or full, PoisonError when a blob is missing, corrupt or too large.
    """

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        """Store a stream without holding it in memory and return its hash and size, once it is durable."""
        ...

    def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield the content in pieces of about 1 MiB; the hash is verified at the end."""
        ...

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        """Say whether the whole blob is there."""
        ...

    async def is_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> bool:
        """Say whether `record_derived` was called with these."""
        ...

    async def record_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> None:
        """Record that `ref` was made from `source`: it is kept as long as `source` is. Write `ref` first."""
        ...


class StoredKind(StrEnum):
    """What an object of a blob store is."""

    BLOB = "blob"
    LINK = "link"  # says that one blob was made from another
    INCOMING = "incoming"  # a stream that was not finished, or has not been yet


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """An object of a tenant as a listing shows it. `sha256` is empty for what is incoming; of a link, its source's."""

    name: str
    kind: StoredKind
    sha256: str
    derived: str | None  # of a link: the hash of what was made
    size_bytes: int
    modified_at: datetime


class BlobInventory(Protocol):
    """What a blob store holds, for who removes what nothing refers to. Raises RetryableError when it is away."""

    async def tenants(self) -> Sequence[TenantId]:
        """Return the tenants that have anything, ascending."""
        ...

    def stored(self, tenant: TenantId, kind: StoredKind | None = None) -> AsyncIterator[StoredBlob]:
        """Yield a tenant's objects, all or of one kind, in no order, a page of the store's at a time."""
        ...

    async def modified_at(self, tenant: TenantId, sha256: str) -> datetime | None:
        """Return when a blob was last written, None where it is not there."""
        ...

    async def remove(self, stored: StoredBlob) -> None:
        """Remove an object; one that is gone already is no error."""
        ...
