"""Content by its hash."""

from collections.abc import AsyncIterable, AsyncIterator
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
