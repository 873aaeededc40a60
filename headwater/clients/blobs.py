"""The blob store on obstore: a local folder, S3, GCS or Azure by setting."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar
from uuid import uuid4

import obstore

from headwater.clients.objects import (
    CALL_TIMEOUT_S,
    ObjectMissingError,
    StoredObject,
    list_objects,
    open_objects,
    translated,
)
from headwater.errors import PoisonError
from headwater.ports.blobs import StoredBlob, StoredKind
from headwater.settings import BlobSettings
from schemas.events.documents import BlobRef
from schemas.ids import TenantId

T = TypeVar("T")
_WHAT: Final = "blob store"
_OPTIONS: Final = "HEADWATER_BLOBS__OPTIONS"
_LINKS: Final = "derived"
_INCOMING: Final = "incoming"
_HEX_DIGITS: Final = 64
# Up to here content is hashed in memory and put at once; above, it is streamed to a temporary name and renamed.
INLINE_BYTES: Final = 5 * 1024 * 1024


class BlobMissingError(PoisonError):
    """A blob that an event refers to is not there."""


class BlobCorruptError(PoisonError):
    """A blob's bytes do not have the hash they are named by."""


class BlobTooLargeError(PoisonError):
    """Content above the limit."""


class ObjectBlobStore:
    """Implements the ports BlobStore and BlobInventory.

    Blobs lie at `tenant/aa/hash`; a rename makes a streamed one visible whole. `tenant/derived/source/made` are links.
    """

    def __init__(self, settings: BlobSettings) -> None:
        self._settings = settings
        self._store = open_objects(
            settings.url, settings.options, setting="HEADWATER_BLOBS__URL", options_setting=_OPTIONS
        )

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        """See the port. Memory: one part; what exceeds the limit leaves nothing behind."""
        counted = _Counted(pieces, limit=self._settings.max_content_bytes)
        iterator = aiter(counted)
        first = bytearray()
        async for piece in iterator:
            first += piece
            if len(first) > INLINE_BYTES:
                return await self._write_streamed(tenant, counted, bytes(first), iterator)
        ref = counted.ref()
        await _translated(obstore.put_async(self._store, _path(tenant, ref), bytes(first), use_multipart=False))
        return ref

    async def _write_streamed(
        self, tenant: TenantId, counted: "_Counted", first: bytes, rest: AsyncIterator[bytes]
    ) -> BlobRef:
        async def all_pieces() -> AsyncIterator[bytes]:
            yield first
            async for piece in rest:
                yield piece

        temporary = f"{tenant}/{_INCOMING}/{uuid4().hex}"
        try:
            await _translated(
                obstore.put_async(self._store, temporary, all_pieces(), max_concurrency=1), timeout_s=None
            )
            ref = counted.ref()
            await _translated(obstore.rename_async(self._store, temporary, _path(tenant, ref)))
        except BaseException:
            with suppress(Exception):
                await obstore.delete_async(self._store, temporary)
            if counted.error is not None:  # obstore wraps what the caller's stream raised
                raise counted.error from None
            raise
        return ref

    async def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        """See the port."""
        digest = hashlib.sha256()
        result = await _translated(obstore.get_async(self._store, _path(tenant, ref)))
        stream = aiter(result.stream(min_chunk_size=self._settings.piece_bytes))
        while (piece := await _translated(_next(stream))) is not None:
            digest.update(piece)
            yield piece
        if digest.hexdigest() != ref.sha256:
            raise BlobCorruptError(f"blob {ref.sha256}: its bytes have another hash; submit the document again")

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        """See the port."""
        try:
            meta = await _translated(obstore.head_async(self._store, _path(tenant, ref)))
        except BlobMissingError:
            return False
        return meta["size"] == ref.size_bytes

    async def is_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> bool:
        """See the port."""
        try:
            await _translated(obstore.head_async(self._store, _link(tenant, ref, source)))
        except BlobMissingError:
            return False
        return True

    async def record_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> None:
        """See the port: an empty object whose name says it."""
        await _translated(obstore.put_async(self._store, _link(tenant, ref, source), b"", use_multipart=False))

    async def tenants(self) -> Sequence[TenantId]:
        """See the port BlobInventory."""
        listing = await _translated(obstore.list_with_delimiter_async(self._store))
        return sorted(TenantId(each.rstrip("/")) for each in listing["common_prefixes"])

    async def stored(self, tenant: TenantId, kind: StoredKind | None = None) -> AsyncIterator[StoredBlob]:
        """See the port BlobInventory. What is none of ours is passed over."""
        folder = f"{tenant}/{_LINKS}" if kind is StoredKind.LINK else f"{tenant}"
        async for each in list_objects(self._store, folder, what=_WHAT, options_setting=_OPTIONS):
            found = _stored(each)
            if found is not None and kind in {None, found.kind}:
                yield found

    async def modified_at(self, tenant: TenantId, sha256: str) -> datetime | None:
        """See the port BlobInventory."""
        try:
            meta = await _translated(obstore.head_async(self._store, f"{tenant}/{sha256[:2]}/{sha256}"))
        except BlobMissingError:
            return None
        return meta["last_modified"]

    async def remove(self, stored: StoredBlob) -> None:
        """See the port BlobInventory."""
        with suppress(BlobMissingError):
            await _translated(obstore.delete_async(self._store, stored.name))


async def read_all(blobs: ObjectBlobStore, tenant: TenantId, ref: BlobRef) -> bytes:
    """Return a whole blob; for content known to be small, such as canonical text."""
    return b"".join([piece async for piece in blobs.read(tenant, ref)])


class _Counted:
    """Hashes and counts what passes, and remembers what stopped it."""

    def __init__(self, pieces: AsyncIterable[bytes], *, limit: int) -> None:
        self._pieces, self._limit = pieces, limit
        self._digest, self._size = hashlib.sha256(), 0
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                self._add(piece)
                yield piece
        except Exception as error:
            self.error = error
            raise

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise BlobTooLargeError(
                f"content: more than {self._limit} bytes; split it, or raise HEADWATER_BLOBS__MAX_CONTENT_BYTES"
            )
        self._digest.update(piece)

    def ref(self) -> BlobRef:
        return BlobRef(sha256=self._digest.hexdigest(), size_bytes=self._size)


def _path(tenant: TenantId, ref: BlobRef) -> str:
    return f"{tenant}/{ref.sha256[:2]}/{ref.sha256}"


def _link(tenant: TenantId, ref: BlobRef, source: BlobRef) -> str:
    return f"{tenant}/{_LINKS}/{source.sha256}/{ref.sha256}"


def _stored(found: StoredObject) -> StoredBlob | None:
    made: str | None = None
    match found.name.split("/")[1:]:
        case [str(folder), str(source), str(derived)] if folder == _LINKS:
            kind, sha256, made = StoredKind.LINK, source, derived
        case [str(folder), str()] if folder == _INCOMING:
            kind, sha256 = StoredKind.INCOMING, ""
        case [str(folder), str(name)] if name.startswith(folder) and len(name) == _HEX_DIGITS:
            kind, sha256 = StoredKind.BLOB, name
        case _:
            return None
    return StoredBlob(
        name=found.name,
        kind=kind,
        sha256=sha256,
        derived=made,
        size_bytes=found.size_bytes,
        modified_at=found.modified_at,
    )


async def _next(stream: AsyncIterator[object]) -> bytes | None:
    piece = await anext(stream, None)
    return None if piece is None else bytes(piece)  # type: ignore[call-overload]  # obstore's own buffer type


async def _translated(call: Awaitable[T], *, timeout_s: float | None = CALL_TIMEOUT_S) -> T:
    try:
        return await translated(call, what=_WHAT, options_setting=_OPTIONS, timeout_s=timeout_s)
    except ObjectMissingError as error:
        raise BlobMissingError("blob: not in the store; submit the document again") from error
