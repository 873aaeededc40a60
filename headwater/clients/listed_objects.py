"""The port Objects on obstore: Google Cloud Storage, Azure Blob Storage, a local folder, memory.

obstore knows paths, not keys: it cannot carry empty segments, `.`, `..` and control characters, and drops a slash at
either end (ADR 0118). A bucket that has such keys is refused by name; over S3's protocol they are read.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore import exceptions
from obstore.store import LocalStore, ObjectStore

from headwater.clients.egress.limits import TOO_MANY, Stated, limit_wait_s
from headwater.clients.egress.pacing import SourceBudget
from headwater.clients.objects import ObjectMissingError, refuses_credentials, translated
from headwater.errors import FatalError, RetryableError, SourceGoneError, UnauthorisedError
from headwater.ports.objects import (
    ListedObject,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectVanishedError,
)

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta  # exist for type checkers only

T = TypeVar("T")
_PAGE: Final = 1000
_PIECE_BYTES: Final = 1024 * 1024
# The store's answer is in the error's text alone, without its headers.
_BUSY: Final = re.compile(r"status code: (?:429|503)\b")
_MISSING: Final = re.compile(r"status code: 404\b")  # of a listing: a prefix without objects is an empty one
_LISTED_AGAIN_S: Final = 60.0


class ObstoreObjects:
    """Implements the port Objects. `options_setting` is named where the store refuses; a folder needs no `budget`."""

    def __init__(
        self, store: ObjectStore, *, url: str, options_setting: str, budget: SourceBudget | None = None
    ) -> None:
        self._store, self._url, self._setting, self._budget = store, url, options_setting, budget

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
                async with self._asking():
                    page = await self._called(_next(stream))
            except RetryableError as error:
                await self._heed_limit(error)
                if _MISSING.search(str(error.__cause__)):
                    raise SourceGoneError(f"{self._url}: no such bucket or container; correct the URL") from error
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
            async with self._asking():
                meta = await self._patiently(lambda: obstore.head_async(self._store, key))
            return _listed(meta, seen_ns=seen_ns)
        except ObjectMissingError:
            return None

    async def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        """See the port."""
        key = listed.key
        try:
            async with self._asking():
                options: GetOptions = {"if_match": listed.etag} if listed.etag else {}
                result = await self._patiently(lambda: obstore.get_async(self._store, key, options=options))
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

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Wait until one more request may begin; it is under way within the block."""
        if self._budget is None:
            yield
            return
        async with self._budget.slots:
            await self._budget.pacer.admit(self._url, budget_s=0.0)
            yield

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call, and again while the store says that it is too much. Raises RateLimitedError past the budget."""
        if self._budget is None:
            return await self._called(call())
        pacer, wait_s, repeats = self._budget.pacer, self._budget.wait_s, 0
        while True:
            try:
                return await self._called(call())
            except RetryableError as error:
                if not _is_limit(error):
                    raise
                pacer.hold(self._url, limit_wait_s(TOO_MANY, Stated(), repeats=repeats))
                repeats += 1
            wait_s = await pacer.admit(self._url, budget_s=wait_s)

    async def _heed_limit(self, error: RetryableError) -> None:
        """Raise RateLimitedError where the store says that it is too much: a listing that broke off cannot go on."""
        if self._budget is not None and _is_limit(error):
            self._budget.pacer.hold(self._url, _LISTED_AGAIN_S)
            await self._budget.pacer.admit(self._url, budget_s=0.0)

    async def _called(self, call: Awaitable[T]) -> T:
        return await translated(call, what=self._url, options_setting=self._setting)


async def _next(stream: AsyncIterator[T]) -> T | None:
    return await anext(stream, None)


def _is_limit(error: RetryableError) -> bool:
    return _BUSY.search(str(error.__cause__)) is not None


def _listed(meta: "ObjectMeta", *, seen_ns: int) -> ListedObject:
    return ListedObject(
        key=meta["path"],
        size_bytes=meta["size"],
        modified_at=meta["last_modified"],
        etag=meta["e_tag"],
        seen_ns=seen_ns,
    )
