"""Content on its way into the blob store: in pieces, never whole in memory, its type told from its first bytes."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from headwater.clients.blobs import BlobTooLargeError
from headwater.content.detection import HEAD_BYTES, detect_media_type
from headwater.ports.blobs import BlobStore
from query_api.problems import ContentTooLargeError
from schemas.events import BlobRef
from schemas.ids import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredContent:
    """Content that is durable, and what it is."""

    blob: BlobRef
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentStore:
    """Stores uploads of one tenant."""

    blobs: BlobStore
    piece_bytes: int

    async def store(
        self, tenant: TenantId, data: AsyncIterable[bytes], *, declared: str | None, name: str | None
    ) -> StoredContent:
        """Return once the content is durable. Raise ContentTooLargeError above the blob store's limit."""
        pieces = _Pieces(data, size=self.piece_bytes)
        try:
            blob = await self.blobs.write(tenant, pieces)
        except BlobTooLargeError as error:
            raise ContentTooLargeError(str(error), field="content") from error
        return StoredContent(blob=blob, media_type=detect_media_type(pieces.head, declared=declared, name=name))

    async def store_text(self, tenant: TenantId, text: str, *, declared: str | None) -> StoredContent:
        """Store text that came within a JSON body."""

        async def data() -> AsyncIterator[bytes]:
            yield text.encode()

        return await self.store(tenant, data(), declared=declared, name=None)


class _Pieces:
    """Joins what the network hands over into pieces of one size, and keeps the head for detection."""

    def __init__(self, data: AsyncIterable[bytes], *, size: int) -> None:
        self._data, self._size = data, size
        self.head = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        piece = bytearray()
        async for data in self._data:
            if len(self.head) < HEAD_BYTES:
                self.head += data[: HEAD_BYTES - len(self.head)]
            piece += data
            while len(piece) >= self._size:
                yield bytes(piece[: self._size])
                del piece[: self._size]
        if piece:
            yield bytes(piece)
