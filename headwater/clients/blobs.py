"""The blob store on obstore: a local folder, S3, GCS or Azure by setting."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import obstore
from obstore import exceptions, store
from obstore.store import ObjectStore

from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.settings import BlobSettings
from schemas.events.documents import BlobRef
from schemas.ids import TenantId

T = TypeVar("T")
CALL_TIMEOUT_S: Final = 60.0  # one piece of at most 5 MiB, not a whole blob
# Up to here content is hashed in memory and put at once; above, it is streamed to a temporary name and renamed.
INLINE_BYTES: Final = 5 * 1024 * 1024
# Of `blobs.options`, what obstore takes apart from the store's own: mixed in, a name of these ends the process.
CLIENT_OPTIONS: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "http1_only",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "timeout",
        "user_agent",
    }
)


class BlobMissingError(PoisonError):
    """A blob that an event refers to is not there."""


class BlobCorruptError(PoisonError):
    """A blob's bytes do not have the hash they are named by."""


class BlobTooLargeError(PoisonError):
    """Content above the limit."""


class ObjectBlobStore:
    """Implements the BlobStore port. Blobs lie at `tenant/aa/hash`; a rename makes a streamed one visible whole."""

    def __init__(self, settings: BlobSettings) -> None:
        self._settings = settings
        self._store = _open(settings)

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

        temporary = f"{tenant}/incoming/{uuid4().hex}"
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


def _open(settings: BlobSettings) -> ObjectStore:
    try:
        if settings.url.startswith("file:"):
            folder = Path(settings.url.removeprefix("file:")).absolute()
            return store.LocalStore(folder, mkdir=True)
        options = {name: value.get_secret_value() for name, value in settings.options.items()}
        client = {name: options.pop(name) for name in CLIENT_OPTIONS & options.keys()}
        return store.from_url(  # type: ignore[call-overload, no-any-return]  # the options' names depend on the URL
            settings.url, config=options, client_options=client, retry_config={"max_retries": 0}
        )
    except (exceptions.BaseError, ValueError) as error:
        raise FatalError(
            f"HEADWATER_BLOBS__URL {settings.url!r}: cannot be opened; check it and HEADWATER_BLOBS__OPTIONS"
        ) from error


async def _next(stream: AsyncIterator[object]) -> bytes | None:
    piece = await anext(stream, None)
    return None if piece is None else bytes(piece)  # type: ignore[call-overload]  # obstore's own buffer type


async def _translated(call: Awaitable[T], *, timeout_s: float | None = CALL_TIMEOUT_S) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise BlobMissingError("blob: not in the store; submit the document again") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise FatalError("blob store: access refused; check HEADWATER_BLOBS__OPTIONS") from error
    except (exceptions.BaseError, TimeoutError, OSError) as error:
        raise RetryableError(f"blob store: {type(error).__name__}; is it reachable, is there space left?") from error
