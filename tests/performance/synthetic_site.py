"""A Confluence site of so many pages in one space, made up as they are listed."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from connectors.confluence.access import Readers
from connectors.confluence.connector import ConfluenceConnector
from connectors.confluence.rest import Content, GroupRef, Lying, Parent, SpaceRef, Subjects, Version
from connectors.confluence.site import Site
from headwater.sources.confluence import ConfluenceSettings
from schemas.ids import KnowledgeBaseId, SourceId

_SPACE: Final = SpaceRef(key="ALL", name="All")
_MADE: Final = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
_BELOW: Final = 50  # pages that lie in the same one
_RESTRICTED: Final = 1_000  # one of so many pages is restricted


class SyntheticSite(Site):
    """Pages that lie in pages, some of them restricted. What is asked of a site is answered here, by no request."""

    def __init__(self, pages: int) -> None:
        self._pages = pages
        self.settings = ConfluenceSettings(url="https://wiki.invalid/", listing_every_s=0, by_username=True)

    async def spaces(self) -> list[SpaceRef]:
        return [_SPACE]

    async def open_to_anonymous(self) -> frozenset[str]:
        return frozenset()

    async def groups_above(self) -> dict[str, list[GroupRef]]:
        return {}

    async def space_readers(self, space: SpaceRef) -> Subjects:
        return Subjects()

    async def contents(self, space: SpaceRef) -> AsyncIterator[object]:
        for number in range(self._pages):
            yield _page(number)

    async def parts(self, space: SpaceRef) -> AsyncIterator[object]:
        for number in range(0, self._pages, _BELOW):
            yield _comment(number)

    async def changed(self, minutes: int, spaces: Collection[SpaceRef]) -> AsyncIterator[tuple[str, Version]]:
        nothing: Sequence[tuple[str, Version]] = ()
        for each in nothing:
            yield each

    async def lying(self, _space: SpaceRef) -> AsyncIterator[Lying]:
        """Tell it of each page, as of a Cloud site."""
        for number in range(self._pages):
            above = {"parentId": _id(number // _BELOW), "parentType": "page"} if number else {}
            yield Lying.model_validate({"id": _id(number), **above})

    async def parent(self, _content_id: str, _kind: str) -> Parent | None:
        return None

    async def with_body(self, content: Content) -> tuple[Content, str]:
        return content, "<p>text</p>"


def synthetic_site(pages: int) -> ConfluenceConnector:
    """Return the connector of such a site."""
    site = SyntheticSite(pages)
    readers = Readers(source=SourceId("synthetic"), settings=site.settings)
    return ConfluenceConnector(site=site, readers=readers, knowledge_base=KnowledgeBaseId("synthetic"))


def documents_of(pages: int) -> int:
    """Return how many documents such a site has."""
    return pages + len(range(0, pages, _BELOW))


def _page(number: int) -> dict[str, Any]:
    users = [{"username": "ann", "type": "known"}] if number % _RESTRICTED == 0 else []
    named = {"user": {"results": users}, "group": {"results": []}}
    return {
        **_said(_id(number), "page", f"Page {number} of a site that has very many of them"),
        "restrictions": {"read": {"restrictions": named}},
    }


def _comment(number: int) -> dict[str, Any]:
    home = {"id": _id(number), "type": "page", "title": ""}
    return {**_said(_id(number + 10**8), "comment", "Re: a page"), "container": home}


def _said(content_id: str, kind: str, title: str) -> dict[str, Any]:
    return {
        "id": content_id,
        "type": kind,
        "status": "current",
        "title": title,
        "space": {"key": _SPACE.key, "name": _SPACE.name},
        "version": {"number": 1, "when": _MADE},
        "ancestors": [],
    }


def _id(number: int) -> str:
    return str(10**8 + number)
