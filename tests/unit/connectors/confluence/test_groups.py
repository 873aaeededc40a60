"""Groups and spaces of the directory: whoever is not told of any more reads nothing, and doubt makes narrower."""

from collections.abc import AsyncIterator

import pytest

from connectors.confluence.rest import Operation
from tests.support.confluence import SPACE, ConfluenceSource, confluence_source, followed
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_server import ConfluenceServer
from tests.support.confluence_wiki import Group, Restricted


@pytest.fixture
async def wiki() -> AsyncIterator[ConfluenceSource]:
    async with confluence_source() as source:
        source.server.page_size = 50
        yield source


def restricted(wiki: ConfluenceSource, *groups: str) -> str:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    wiki.wiki.pieces[page].restriction = Restricted(groups=set(groups))
    return page


@pytest.mark.parametrize("gone", [True, False])
async def test_a_group_that_is_gone_or_cannot_be_read_has_no_members(wiki: ConfluenceSource, *, gone: bool) -> None:
    restricted(wiki, "leads")
    follower = await followed(wiki)
    assert list(follower.groups["group:leads"]) == ["user:bob"]
    if gone:
        kept = wiki.wiki.groups.pop("leads")
    else:
        wiki.server.no_permissions = {"leads"}
    await follower.follow()
    assert follower.groups.get("group:leads", ()) == ()
    assert follower.failed.keys() == (set() if gone else {"group:leads"})
    if gone:
        wiki.wiki.groups["leads"] = kept
    wiki.server.no_permissions = set()
    await follower.follow()
    assert list(follower.groups["group:leads"]) == ["user:bob"]


async def test_members_of_a_group_that_pages_alone_name_arrive_between_listings(wiki: ConfluenceSource) -> None:
    wiki.settings = {"listing_every_s": 86_400}
    restricted(wiki, "leads")
    follower = await followed(wiki)
    wiki.wiki.groups["leads"].users = {"ann"}
    assert await follower.follow() == []
    assert list(follower.groups["group:leads"]) == ["user:ann"]


async def test_a_look_at_one_page_leaves_groups_in_groups_as_they_are(wiki: ConfluenceSource) -> None:
    wiki.wiki.groups["board"] = Group(users={"ann"}, groups={"leads"})
    page = restricted(wiki, "board")
    follower = await followed(wiki)
    before = dict(follower.groups)
    assert list(before["group:board"]) == ["group:wiki:group:leads", "user:ann"]
    assert list(before["group:leads"]) == ["user:bob"]  # which nothing else names
    wiki.wiki.edit(page, "anew")
    await follower.submit(wiki.connector().items([page], dict(follower.cursor)))
    assert (follower.documents[page].text, follower.groups) == ("anew", before)


async def test_a_group_whose_ancestors_are_not_told_takes_them_from_no_other(wiki: ConfluenceSource) -> None:
    wiki.wiki.groups["zoo"] = Group(users={"ann"}, groups={"leads"})
    wiki.wiki.groups["all"] = Group(groups={"zoo"})
    restricted(wiki, "zoo")
    wiki.server.no_ancestors = {"all"}
    follower = await followed(wiki)
    assert list(follower.groups["group:zoo"]) == ["group:wiki:group:leads", "user:ann"]


async def test_where_nesting_is_not_told_groups_have_their_own_members_alone(wiki: ConfluenceSource) -> None:
    wiki.wiki.groups["board"] = Group(users={"ann"}, groups={"leads"})
    page = restricted(wiki, "board")
    wiki.server.no_permissions = {"groups"}
    follower = await followed(wiki)
    assert (list(follower.groups["group:board"]), list(follower.documents)) == (["user:ann"], [page])
    assert follower.failed.keys() == {"groups"}


@pytest.mark.parametrize("kind", [ConfluenceServer, CloudServer])
async def test_all_members_of_a_group_of_any_name_are_mirrored(kind: type[ConfluenceServer]) -> None:
    async with confluence_source(kind) as wiki:  # which tells three of them a request
        people = {f"user{number}" for number in range(7)}
        wiki.wiki.users |= {each: each for each in people}
        wiki.wiki.groups["all hands/2"] = Group(users=people)
        page = restricted(wiki, "all hands/2")
        follower = await followed(wiki)
        (named,) = follower.documents[page].access.clauses[1].principals
        assert {*follower.groups[named.removeprefix("group:wiki:")]} == {f"user:{each}" for each in people}


@pytest.mark.parametrize(
    ("told", "opens"),
    [
        ({"targetType": "space", "operationKey": "read"}, True),
        ({"targetType": "space", "operation": "read"}, True),
        ({"targetType": "space", "key": "read"}, True),
        ({"targetType": "space", "operationKey": "administer"}, False),
        ({"targetType": "page", "operationKey": "read"}, False),
        ({"operationKey": "read"}, False),
        ({}, False),
    ],
)
def test_the_right_to_view_a_space_alone_opens_it(told: dict[str, str], *, opens: bool) -> None:
    assert Operation.model_validate(told).opens_space is opens
