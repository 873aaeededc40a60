"""The port Objects on obstore: Google Cloud Storage, Azure Blob Storage, a local folder, memory.

obstore knows paths, not keys: it cannot carry empty segments, `.`, `..` and control characters, and drops a slash at
either end (ADR 0118). A bucket that has such keys is refused by name; over S3's protocol they are read.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore import exceptions
from obstore.store import LocalStore, ObjectStore

from headwater.clients.objects import ObjectMissingError, refuses_credentials, translated
from headwater.errors import FatalError, RetryableError, UnauthorisedError
from headwater.ports.objects import (
    ListedObject,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectVanishedError,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

T = TypeVar("T")
_PAGE: Final = 1000
_PIECE_BYTES: Final = 1024 * 1024


class ObstoreObjects:
    """Implements the port Objects. `options_setting` is named where the store refuses."""

    def __init__(self, store: ObjectStore, *, url: str, options_setting: str) -> None:
        self._store, self._url, self._setting = store, url, options_setting

    async def check(self, prefix: str) -> None:
        """See the port."""
        async for page in self.pages(prefix):
            for listed in islice(page, 1):
                await self.head(listed.key)
            return

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """See the port. A local folder lists in no order: it is read whole and sorted."""
        if isinstance(self._store, LocalStore):
            found = [each async for page in self._unordered(prefix) for each in page]
            yield sorted(found, key=lambda listed: listed.key)
            return
        async for page in self._unordered(prefix):
            yield page

    async def _unordered(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        stream = aiter(obstore.list(self._store, prefix=prefix.rstrip("/") or None, chunk_size=_PAGE))
        while True:
            seen_ns = time.time_ns()
            try:
                page = await self._called(_next(stream))
            except RetryableError as error:
                if isinstance(error.__cause__, exceptions.InvalidPathError):
                    raise FatalError(
                        f"{self._url}: has a key with an empty segment, `.`, `..` or a control character, which this "
                        "kind of store cannot be asked for; rename it, or connect the bucket by its S3 interface"
                    ) from error
                raise
            if page is None:
                return
            # A folder's marker is listed without its slash: an empty object that is not there when it is read.
            yield [_listed(each, seen_ns=seen_ns) for each in page if each["size"]]

    async def head(self, key: str) -> ListedObject | None:
        """See the port."""
        seen_ns = time.time_ns()
        try:
            return _listed(await self._called(obstore.head_async(self._store, key)), seen_ns=seen_ns)
        except ObjectMissingError:
            return None

    async def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        """See the port."""
        key = listed.key
        try:
            result = await self._called(
                obstore.get_async(self._store, key, options={"if_match": listed.etag} if listed.etag else {})
            )
            stream = aiter(result.stream(min_chunk_size=_PIECE_BYTES))
            while (piece := await self._called(_next(stream))) is not None:
                yield bytes(piece)
        except ObjectMissingError as error:
            raise ObjectVanishedError(f"{key}: gone since it was listed") from error
        except RetryableError as error:
            if isinstance(error.__cause__, exceptions.PreconditionError):
                raise ObjectChangedError(f"{key}: changed since it was listed; it is tried again") from error
            raise
        except UnauthorisedError as error:
            if refuses_credentials(error.__cause__):
                raise
            # This one object: the listing was granted.
            raise ObjectDeniedError(f"{key}: access denied; grant the right to read objects") from error

    async def tags(self, key: str) -> Mapping[str, str]:
        """Raise FatalError: obstore cannot ask for tags."""
        raise FatalError(f"{self._url}: access_tags works for s3:// only (asked for {key}); use rules or sidecars")

    async def _called(self, call: Awaitable[T]) -> T:
        return await translated(call, what=self._url, options_setting=self._setting)


async def _next(stream: AsyncIterator[T]) -> T | None:
    return await anext(stream, None)


def _listed(meta: "ObjectMeta", *, seen_ns: int) -> ListedObject:
    return ListedObject(
        key=meta["path"],
        size_bytes=meta["size"],
        modified_at=meta["last_modified"],
        etag=meta["e_tag"],
        seen_ns=seen_ns,
    )
