"""Where a listing goes on, and that it comes to an end. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from headwater.errors import PoisonError, RetryableError

MOST_PAGES: Final = 100_000  # of one listing: ten million items


class EndlessListingError(RetryableError):
    """A listing that does not come to an end. Nothing is deleted on its word."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: the listing does not end; nothing is deleted on its word. Where the next sync says so again, the "
            "source, or a proxy before it, repeats its pages or names a next one for ever: have that mended there"
        )


class EndlessPartError(PoisonError):
    """A listing of one item, or of one part of what there is, that does not end. All else is read."""


@contextmanager
def of_a_part() -> Iterator[None]:
    """Blame a listing without an end on the item, or the part, that the block is about: EndlessPartError."""
    try:
        yield
    except EndlessListingError as error:
        raise EndlessPartError(str(error)) from error


@dataclass(slots=True, kw_only=True)
class Pages:
    """The pages of one listing so far. `first`: what asks for the first one."""

    name: str
    first: str = ""
    most: int = MOST_PAGES
    _seen: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = {self.first}

    def after(self, page: str) -> str:
        """Return what asks for the next page. Raise EndlessListingError where that is one of those before."""
        if page in self._seen or len(self._seen) >= self.most:
            raise EndlessListingError(self.name)
        self._seen.add(page)
        return page
