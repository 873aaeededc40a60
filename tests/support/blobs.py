"""A blob store in memory, and contents as stores take them."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from headwater.clients.blobs import BlobCorruptError, BlobMissingError, BlobTooLargeError
from schemas.events.documents import BlobRef
from schemas.ids import TenantId


async def pieces_of(content: bytes, size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    """Yield a content in pieces of `size` bytes, as the port's `write` takes it."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


class FakeBlobStore:
    """Implements the BlobStore port."""

    def __init__(self, *, max_content_bytes: int = 100 * 1024 * 1024) -> None:
        self.blobs: dict[tuple[TenantId, str], bytes] = {}
        self.derived: set[tuple[TenantId, str, str]] = set()  # tenant, source, what was made
        self._limit = max_content_bytes

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        content = b""
        async for piece in pieces:
            content += piece
            if len(content) > self._limit:
                raise BlobTooLargeError(f"content: more than {self._limit} bytes")
        ref = BlobRef(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        self.blobs[tenant, ref.sha256] = content
        return ref

    async def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        content = self.blobs.get((tenant, ref.sha256))
        if content is None:
            raise BlobMissingError("blob: not in the store")
        for start in range(0, len(content), 1024 * 1024):
            yield content[start : start + 1024 * 1024]
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise BlobCorruptError(f"blob {ref.sha256}: its bytes have another hash")

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        return len(self.blobs.get((tenant, ref.sha256), b"")) == ref.size_bytes and (tenant, ref.sha256) in self.blobs

    async def is_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> bool:
        return (tenant, source.sha256, ref.sha256) in self.derived

    async def record_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> None:
        self.derived.add((tenant, source.sha256, ref.sha256))
