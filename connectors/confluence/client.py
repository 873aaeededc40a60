"""A Confluence site over HTTP: paging and expansion. Rate limits, retries and conditions are the egress client's."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ValidationError

from connectors.confluence.rest import Part, Rows
from connectors.paging import MOST_PAGES, EndlessListingError, Pages
from connectors.parts import Parts
from headwater.clients.egress.requests import EgressRequest, Fetched, Streamed
from headwater.clients.egress.source import EgressSource
from headwater.errors import PoisonError

P = TypeVar("P", bound=Part)
# Pages on end that show nothing new. Some versions of Data Center name a next page for ever (CONFSERVER-95396). What
# the account may not view leaves such pages too: so many pass over some thousand of those.
FRUITLESS_PAGES: Final = 25
# The same of a listing that is paged by links, of which some hide by the page what an account may not view.
BARREN_PAGES: Final = 250


class AnswerError(PoisonError):
    """The site answered, and not in the form that the REST API has."""


class Rest:
    """Reads a site's REST API below its address."""

    def __init__(self, source: EgressSource, *, url: str, site_url: str | None = None) -> None:
        """`url`: what the source's home is; `site_url`: where the site is, if something else stands before it."""
        self._source = source
        self._contexts = tuple(dict.fromkeys(urlsplit(each).path for each in (url, site_url or url)))

    async def fetch(self, path: str, **query: str | int) -> bytes:
        """Return a body. Raises as `EgressSource.fetch`."""
        answer = await self._source.fetch(EgressRequest(url=_url(path, query), headers={"Accept": "*/*"}))
        if not isinstance(answer, Fetched):  # nothing was asked conditionally
            raise AnswerError(f"{path}: the site says that nothing changed, and was not asked")
        return answer.content

    async def read(self, form: type[P], path: str, **query: str | int) -> P:
        """Return an answer in its form. Raises AnswerError, and as `EgressSource.fetch`."""
        return parsed(form, _json(await self.fetch(path, **query), path), path)

    async def read_list(self, form: type[P], path: str, **query: str | int) -> list[P]:
        """Return an answer that is a bare list, or one page of `results`."""
        answer = _json(await self.fetch(path, **query), path)
        items = answer.get("results", ()) if isinstance(answer, Mapping) else answer
        if not isinstance(items, list | tuple):
            raise AnswerError(f"{path}: no list; is this a Confluence site?")
        return [parsed(form, item, path) for item in items]

    async def pages(self, path: str, **query: str | int) -> AsyncIterator[list[object]]:
        """Yield a listing page by page, items as they came. Follows `next` as it is told, below the site's address.

        Raises EndlessListingError where page after page is empty, or what the one before was, and names a next one.
        """
        url = _url(path, query)
        pages = Pages(name=path, first=url, most=MOST_PAGES)
        last, barren = None, 0
        while True:
            answer = _json(await self.fetch(url), path)
            if not isinstance(answer, Mapping) or not isinstance(answer.get("results"), list):
                raise AnswerError(f"{path}: no listing; is this a Confluence site?")
            yield answer["results"]
            links = answer.get("_links")
            following = links.get("next") if isinstance(links, Mapping) else None
            if not following:
                return
            barren = barren + 1 if answer["results"] in ([], last) else 0
            if barren == BARREN_PAGES:
                raise EndlessListingError(path)
            last = answer["results"]
            url = pages.after(self._relative(str(following)))

    async def rows(self, path: str, **query: str | int) -> AsyncIterator[object]:
        """Yield a listing that is paged by offset, without gaps; an item may come twice.

        What is deleted meanwhile moves the rest up by one. So each page begins with an item that was seen before; where
        it does not, the listing goes back until it does. Where going back shows nothing new, nothing was deleted: the
        site hides what lies between.
        """
        start, fruitless = 0, 0
        seen, count = Parts(), 0  # a space may hold more items than memory should
        doubted: set[tuple[int, int]] = set()  # where the listing went back, and how many items it knew then
        for _ in range(MOST_PAGES):
            page = parsed(Rows, _json(await self.fetch(path, **query, start=start), path), path)
            ids = [str(item.get("id")) for item in page.results]
            if start and (not ids or ids[0] not in seen) and (doubt := (start, count)) not in doubted:
                doubted.add(doubt)
                start = max(0, start - max(len(ids), 1))
                continue
            fresh = {each for each in ids if each not in seen}
            fruitless = 0 if fresh else fruitless + 1
            count += len(fresh)
            seen.update(dict.fromkeys(fresh, b""))
            for item in page.results:
                yield item
            if not page.links.next or fruitless == FRUITLESS_PAGES:
                return
            start += max(1, len(ids) - 1 if ids else page.limit)
        raise EndlessListingError(path)

    async def stream(self, link: str, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield a body as it comes. Raises as `EgressSource.stream`."""
        request = EgressRequest(url=self._relative(link), max_bytes=max_bytes)
        async with self._source.stream(request) as answer:
            if isinstance(answer, Streamed):
                async for piece in answer.pieces:
                    yield piece

    def _relative(self, link: str) -> str:
        """Return a link below the site's address, whatever host it names: credentials go nowhere else."""
        parts = urlsplit(link)
        context = next((each for each in self._contexts if parts.path.startswith(each)), "")
        path = parts.path.removeprefix(context)
        return f"{path.lstrip('/')}?{parts.query}" if parts.query else path.lstrip("/")


def parsed(form: type[P], item: object, name: str) -> P:
    """Read a part of an answer. Raises AnswerError naming the field."""
    try:
        return form.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise AnswerError(f"{name}: {field or 'answer'}: {first['msg']}; is this a Confluence site?") from error


def segment(text: str) -> str:
    """Return text as one segment of a path."""
    return quote(text, safe="~@")


def _url(path: str, query: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _json(raw: bytes, name: str) -> object:
    try:
        found: object = json.loads(raw)
    except ValueError as error:
        raise AnswerError(f"{name.partition('?')[0]}: not JSON; is this a Confluence site?") from error
    return found
