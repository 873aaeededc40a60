"""Listings by offset have no gaps; links lead nowhere but below the site."""

from collections.abc import AsyncIterator

import pytest

from connectors.confluence.client import AnswerError, Rest
from connectors.confluence.site import quoted
from connectors.paging import EndlessListingError
from connectors.protocol import Deleted, ItemFailed, SourceChange, Upserted
from headwater.clients.egress.client import Egress
from tests.support.confluence import SPACE, confluence_source, followed
from tests.support.egress import FakeClock, ScriptedServer, egress, reply, scripted


@pytest.fixture
async def way_out() -> AsyncIterator[Egress]:
    async with egress(FakeClock()) as opened:
        yield opened


def page(*ids: int, more: bool = True, at: int = 9) -> bytes:
    items = ", ".join(f'{{"id": "{each}"}}' for each in ids)
    following = f'"next": "/rest/api/content?start={at}"' if more else ""
    return reply(200, f'{{"results": [{items}], "_links": {{{following}}}}}'.encode())


def rest(server: ScriptedServer, way_out: Egress) -> Rest:
    url = f"http://wiki.test:{server.port}/wiki/"
    return Rest(way_out.source(home=url), url=url)


async def test_what_moves_up_while_it_is_listed_is_not_missed(way_out: Egress) -> None:
    # 1 and 2 are deleted after the first page: the second begins with 5, which nobody has seen.
    async with scripted(page(1, 2, 3), page(5, 6), page(3, 4, 5), page(5, 6, more=False)) as server:
        found = [item async for item in rest(server, way_out).rows("rest/api/content")]
        starts = [each.target.rpartition("=")[2] for each in server.asked]
    assert {str(item["id"]) for item in found if isinstance(item, dict)} == {"1", "2", "3", "4", "5", "6"}
    assert starts == ["0", "2", "0", "2"]


@pytest.mark.parametrize("page_size", [1, 4])
@pytest.mark.parametrize("hidden", [set(), {0, 2, 3, 4, 6, 11}, {*range(2, 9)}])
async def test_what_may_not_be_viewed_leaves_holes_in_pages_and_no_page_out(hidden: set[int], page_size: int) -> None:
    async with confluence_source() as source:
        pages = [source.wiki.write(SPACE, f"Page {number}", "text") for number in range(12)]
        source.server.page_size, source.server.hidden = page_size, {pages[number] for number in hidden}
        follower = await followed(source)
        assert follower.documents.keys() == {*pages} - source.server.hidden


@pytest.mark.parametrize("many", [2, 7])
async def test_a_listing_that_names_a_next_page_for_ever_comes_to_an_end(many: int) -> None:
    async with confluence_source() as source:
        pages = {source.wiki.write(SPACE, f"Page {number}", "text") for number in range(many)}
        source.server.never_ends = True
        follower = await followed(source)
        assert follower.documents.keys() == pages


async def test_a_listing_that_does_not_end_is_not_believed(way_out: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.confluence.client.MOST_PAGES", 5)
    async with scripted(page(1, 2)) as server:
        with pytest.raises(EndlessListingError):
            _ = [item async for item in rest(server, way_out).rows("rest/api/content")]
        with pytest.raises(EndlessListingError):
            _ = [item async for item in rest(server, way_out).pages("rest/api/content")]


async def test_pages_that_show_nothing_new_are_not_asked_for_without_an_end(
    way_out: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.confluence.client.BARREN_PAGES", 3)
    for ids in ((), (7,)):
        async with scripted(*(page(*ids, at=number) for number in range(9))) as server:
            with pytest.raises(EndlessListingError):
                _ = [item async for item in rest(server, way_out).pages("rest/api/group")]
            assert len(server.asked) == 3 + len(ids)


async def test_a_search_without_an_end_is_a_failure_of_its_own_and_deletes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.confluence.client.BARREN_PAGES", 3)
    async with confluence_source() as source:
        top = source.wiki.write(SPACE, "Page", "text")
        said = [source.wiki.write(SPACE, "Re: Page", f"Answer {n}", parent=top, kind="comment") for n in range(3)]
        follower = await followed(source)
        source.server.search_never_ends = True
        source.wiki.edit(top, "edited")
        source.wiki.edit(said[0], "edited too")
        source.wiki.trash(said[1])
        found = [each async for each in source.connector().changes(dict(follower.cursor))]
        failed = {each.external_id for each in found if isinstance(each, ItemFailed)}
        changed = {each.external_id: type(each.what) for each in found if isinstance(each, SourceChange)}
        assert failed == {"search", f"space:{SPACE}"}
        assert changed == {top: Upserted, said[0]: Upserted, said[1]: Deleted}


async def test_a_listing_that_leads_back_to_a_page_is_not_followed_for_ever(way_out: Egress) -> None:
    async with scripted(page(1, 2)) as server:
        with pytest.raises(EndlessListingError):
            _ = [item async for item in rest(server, way_out).pages("rest/api/group")]
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/rest/api/group?start=2", "/wiki/rest/api/group?start=2"),
        ("/wiki/rest/api/group?start=2", "/wiki/rest/api/group?start=2"),
        ("https://evil.test/wiki/rest/api/group?start=2", "/wiki/rest/api/group?start=2"),
        ("//evil.test/rest/api/group?start=2", "/wiki/rest/api/group?start=2"),
    ],
)
async def test_links_lead_nowhere_but_below_the_site(way_out: Egress, link: str, target: str) -> None:
    first = reply(200, f'{{"results": [], "_links": {{"next": "{link}"}}}}'.encode())
    async with scripted(first, page(more=False)) as server:
        _ = [each async for each in rest(server, way_out).pages("rest/api/group")]
        assert server.asked[1].target == target


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b'{"results": 7}', b"{}"])
async def test_what_is_no_answer_of_the_api_is_said(way_out: Egress, body: bytes) -> None:
    async with scripted(reply(200, body)) as server:
        with pytest.raises(AnswerError, match="Confluence"):
            _ = [each async for each in rest(server, way_out).pages("rest/api/group")]
        with pytest.raises(AnswerError, match="Confluence"):
            _ = [each async for each in rest(server, way_out).rows("rest/api/content")]


def test_what_is_quoted_ends_no_quotation() -> None:
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'
