"""Where a pass was cut, or refused in part: nothing is passed over, and nothing is deleted on a doubt."""

from collections.abc import AsyncIterator

import pytest

from connectors.protocol import Deleted
from headwater.errors import FatalError
from tests.support.confluence import SPACE, ConfluenceSource, confluence_source, followed
from tests.support.sources import Follower


@pytest.fixture
async def wiki() -> AsyncIterator[ConfluenceSource]:
    async with confluence_source() as source:
        source.server.page_size = 50
        source.settings = {"listing_every_s": 86_400}
        yield source


async def test_a_listing_that_was_cut_is_made_again(wiki: ConfluenceSource) -> None:
    pages = {wiki.wiki.write(SPACE, f"Page {number}", "text") for number in range(4)}
    wiki.wiki.clock.passed_s += 3600  # longer ago than searches look
    follower = Follower(wiki)
    await follower.follow(at_most=2)
    await follower.follow()
    assert follower.documents.keys() == pages


@pytest.mark.parametrize("status", [400, 403])
async def test_a_listing_that_is_refused_half_way_deletes_nothing_and_is_made_again(
    wiki: ConfluenceSource, status: int
) -> None:
    wiki.settings = {}
    wiki.server.page_size = 2
    pages = [wiki.wiki.write(SPACE, f"Page {number}", "text") for number in range(4)]
    follower = await followed(wiki)
    wiki.wiki.trash(pages[0])
    wiki.wiki.clock.passed_s += 3600
    before = dict(follower.cursor)
    wiki.server.listing_fails_after, wiki.server.listing_refusal = 1, status
    with pytest.raises(FatalError, match="nothing is deleted"):
        await follower.follow()
    assert (follower.deleted, follower.cursor | {"searched": b""}) == ([], before | {"searched": b""})
    wiki.mend()
    await follower.follow()
    assert follower.deleted == [pages[0]]


async def test_what_is_edited_during_a_long_listing_is_found_by_the_next_search(wiki: ConfluenceSource) -> None:
    early, late = wiki.wiki.write(SPACE, "A", "text"), wiki.wiki.write(SPACE, "B", "text")
    wiki._titles[late] = "B"

    def hour() -> None:
        wiki.wiki.edit(early, "edited")
        wiki.wiki.clock.passed_s += 3600

    wiki.before_read("B", hour)
    follower = await followed(wiki)
    assert follower.documents[early].text == "text"
    assert [each.external_id for each in await follower.follow()] == [early]
    assert follower.documents[early].text == "edited"


async def test_a_comment_goes_with_a_page_that_may_not_be_viewed_any_more(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "A", "text")
    comment = wiki.wiki.write(SPACE, "Re", "hm", parent=page, kind="comment")
    follower = await followed(wiki)
    wiki.server.hidden = {page}
    await follower.submit(wiki.connector().items([comment], dict(follower.cursor)))
    assert follower.deleted == [comment]


async def test_a_look_that_is_refused_deletes_nothing(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "A", "text")
    follower = await followed(wiki)
    wiki.server.answers = [(400, {})]
    await follower.submit(wiki.connector().items([page], dict(follower.cursor)))
    assert follower.failed.keys() == {page}
    assert follower.deleted == []
    wiki.wiki.trash(page)
    changes = await follower.submit(wiki.connector().items([page], dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Deleted]
