"""What a repository lists by time of update: its issues, and the comments on them (ADR 0124, 0203)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from connectors.github.client import GithubClient, stated_at
from connectors.github.models import Comment, Issue, read_as
from connectors.paging import Pages

# GitHub's times have seconds, and what it lists may lag behind what it stored.
OVERLAP: Final = timedelta(minutes=2)
BEGINNING: Final = "1970-01-01T00:00:00Z"
_OLDEST_FIRST: Final = {"sort": "updated", "direction": "asc"}
U = TypeVar("U", Issue, Comment)


@dataclass(slots=True, kw_only=True)
class Updates(Generic[U]):
    """One listing, from a time on. What it tells of itself holds once it was read to its end."""

    client: GithubClient
    path: str
    form: type[U]
    query: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None  # of the page on which the next update will show
    begun_at: datetime | None = None  # by GitHub's clock; None where nothing is new

    async def since(self, mark: str, etag: str | None) -> AsyncIterator[U]:
        """Yield what was updated since, in the order of the updates; nothing where `etag` is still the page's.

        Pages are asked for by time, not by number: what is updated meanwhile goes to the end, and pages by number
        would shift over one that nobody then sees.
        """
        asked = {**self.query, **_OLDEST_FIRST}
        page = await self.client.conditional(self.path, {**asked, "since": mark}, etag)
        if page is None:
            self.etag = etag
            return
        self.begun_at = stated_at(page)
        number, pages = 1, Pages(name=self.path, first=mark)
        while page is not None:
            found: tuple[U, ...] = read_as(tuple[self.form, ...], page.content)  # type: ignore[name-defined]  # a type made at run time
            if number == 1 and len(found) < self.client.page_items:
                self.etag = page.validators.etag  # of a last page: what is updated later shows on it
            for each in found:
                yield each
            if len(found) < self.client.page_items:
                return
            last = stamp(found[-1].updated_at)
            number = number + 1 if last == mark else 1  # a whole page of one second: only then by number
            mark = last
            pages.after(f"{mark} {found[-1].place}" if number > 1 else mark)
            page = await self.client.conditional(self.path, {**asked, "since": mark, "page": str(number)}, None)


def stamp(at: datetime) -> str:
    """Write a time as GitHub takes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
