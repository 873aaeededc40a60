"""Objects of a bucket as a source reads them: listed in order, looked at, read as listed. Nothing is ever written."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headwater.errors import PoisonError


class ObjectVanishedError(PoisonError):
    """An object was listed and is not there any more."""


class ObjectChangedError(PoisonError):
    """An object is no longer the one that was listed."""


class ObjectArchivedError(PoisonError):
    """An object's content lies in an archive and must be restored before it can be read."""


class ObjectDeniedError(PoisonError):
    """This one object may not be read with the credentials given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """An object as a listing or a look at its head shows it."""

    key: str  # the whole key, whatever it is made of
    size_bytes: int
    modified_at: datetime
    etag: str | None  # as the store writes it, quotes included
    seen_ns: int  # wall clock before the request was sent: what it shows is at least as new
    archived: bool = False  # its content cannot be read before it is restored


class Objects(Protocol):
    """One bucket. Raises RetryableError when it is away or busy, FatalError where it refuses as a whole."""

    async def check(self, prefix: str) -> None:
        """Raise FatalError naming the setting or the right that is missing to list and read below a prefix."""
        ...

    def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield all objects whose keys begin with `prefix`, in the order of their keys' code points.

        Ends only when the store has said that there is no more; memory is one page.
        """
        ...

    async def head(self, key: str) -> ListedObject | None:
        """Look at one object; None where it is not there."""
        ...

    def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        """Yield the content of the very object that was listed.

        Raises ObjectChangedError where another has taken its place, ObjectVanishedError, ObjectArchivedError or
        ObjectDeniedError.
        """
        ...

    async def tags(self, key: str) -> Mapping[str, str]:
        """Return an object's tags. Raises ObjectVanishedError; FatalError where the right or the ability is missing."""
        ...
