"""The source's API: paging, forms and addresses. Rate limits, retries, redirects and sizes are the egress client's."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

from pydantic import AwareDatetime, BaseModel, ValidationError

from headwater.clients.egress.requests import EgressRequest, Fetched, NotModified, Streamed
from headwater.clients.egress.source import EgressSource
from headwater.errors import FatalError

A = TypeVar("A", Fetched, Streamed)

PAGE_ITEMS: Final = 200  # the most that the source gives


class ListingError(FatalError):
    """A listing that cannot be believed. Nothing is deleted on its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One item of the source, as a listing shows it."""

    page_id: str  # identifies it for ever
    title: str
    version: int  # grows with each edit
    changed_at: datetime
    readers: tuple[str, ...]  # principals; empty where the source does not tell: then it is for nobody


class Pages(Protocol):
    """What the connector needs of the source: small, so that a test owns one in memory."""

    async def check(self) -> None:
        """Raise FatalError that names the setting, credential or right to correct."""
        ...

    def listing(self) -> AsyncIterator[Page]:
        """Yield all pages. Raises where the listing is not complete, so that nothing is taken for deleted."""
        ...

    def read(self, page: Page) -> AsyncIterator[bytes]:
        """Yield the content of this version. Raises PoisonError where the page is gone or has another by now."""
        ...


class _Item(BaseModel):
    """Unknown fields are passed over: sources add some at any time."""

    id: str
    title: str
    version: int
    changed_at: AwareDatetime
    readers: tuple[str, ...] = ()


class _Listing(BaseModel):
    items: tuple[_Item, ...]
    next: str | None = None


class HttpPages:
    """Implements Pages. Credentials, limits and errors with host and remedy come from the egress client."""

    def __init__(self, source: EgressSource, *, spaces: tuple[str, ...] = ()) -> None:
        self._source, self._spaces = source, spaces

    async def check(self) -> None:
        """See the port."""
        await self._listed(None, items=1)

    async def listing(self) -> AsyncIterator[Page]:
        """See the port. One page of it in memory."""
        after: str | None = None
        while True:
            listed = await self._listed(after, items=PAGE_ITEMS)
            for item in listed.items:
                yield Page(
                    page_id=item.id,
                    title=item.title,
                    version=item.version,
                    changed_at=item.changed_at,
                    readers=item.readers,
                )
            if listed.next is None:
                return
            if listed.next == after:
                raise ListingError("the listing goes on where it began; nothing is deleted")
            after = listed.next

    async def read(self, page: Page) -> AsyncIterator[bytes]:
        """See the port. Asks for the listed version: another one's content would go under the wrong number."""
        url = f"pages/{quote(page.page_id, safe='')}/versions/{page.version}/content"
        async with self._source.stream(EgressRequest(url=url)) as answer:
            async for piece in _full(answer).pieces:
                yield piece

    async def _listed(self, after: str | None, *, items: int) -> _Listing:
        wanted = {"limit": str(items), **({"after": after} if after else {})}
        query = urlencode([*wanted.items(), *(("space", space) for space in self._spaces)])
        answer = _full(await self._source.fetch(EgressRequest(url=f"pages?{query}")))
        try:
            return _Listing.model_validate_json(answer.content)
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "the answer"
            raise ListingError(f"listing: {field} is not as documented; is settings.url right?") from error


def _full(answer: A | NotModified) -> A:
    if isinstance(answer, NotModified):
        raise ListingError("304 without a condition; is a cache in between?")
    return answer
