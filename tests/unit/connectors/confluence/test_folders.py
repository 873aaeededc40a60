"""Pages of Cloud below what is no page: its restriction is not told, and nobody is let in on a guess."""

from collections.abc import AsyncIterator

import pytest

from connectors.protocol import Patched
from schemas.events.documents import NOBODY
from tests.support.confluence import SPACE, ConfluenceSource, confluence_source, followed
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_wiki import Restricted
from tests.support.sources import Follower

OPEN = ("group:wiki:space:ENG",)
BOB = ("user:bob",)


@pytest.fixture
async def cloud() -> AsyncIterator[ConfluenceSource]:
    async with confluence_source(CloudServer) as source:
        yield source


def server_of(cloud: ConfluenceSource) -> CloudServer:
    assert isinstance(cloud.server, CloudServer)
    return cloud.server


def readers(follower: Follower, content_id: str) -> list[tuple[str, ...]]:
    return [tuple(clause.principals) for clause in follower.documents[content_id].access.clauses]


def page_in_folder(cloud: ConfluenceSource, kind: str = "folder") -> tuple[str, str, str]:
    """Make a folder below a page, and a page in it; return the three."""
    top = cloud.wiki.write(SPACE, "Top", "text")
    folder = cloud.wiki.write(SPACE, "Drawer", "", parent=top, kind=kind)
    return top, folder, cloud.wiki.write(SPACE, "Pay", "text", parent=folder)


@pytest.mark.parametrize("kind", ["folder", "whiteboard", "database", "embed"])
async def test_what_lies_in_a_folder_is_nobodys_and_says_which_setting_opens_it(
    cloud: ConfluenceSource, kind: str
) -> None:
    top, _, page = page_in_folder(cloud, kind)
    below = cloud.wiki.write(SPACE, "Bonus", "text", parent=page)
    comment = cloud.wiki.write(SPACE, "Re", "hm", parent=below, kind="comment")
    follower = await followed(cloud)
    assert [follower.documents[each].access for each in (page, below, comment)] == [NOBODY] * 3
    assert readers(follower, top) == [OPEN]
    assert "open_folders" in str(follower.failed[page])
    cloud.settings = {"open_folders": "true"}
    await follower.follow()
    assert [readers(follower, each) for each in (page, below, comment)] == [[OPEN]] * 3
    assert not follower.failed


@pytest.mark.parametrize("by_look", [False, True])
async def test_a_page_above_a_folder_restricts_what_lies_in_it(cloud: ConfluenceSource, *, by_look: bool) -> None:
    cloud.settings = {"open_folders": "true"}
    top, folder, page = page_in_folder(cloud)
    inner = cloud.wiki.write(SPACE, "Inner", "", parent=folder, kind="folder")
    deep = cloud.wiki.write(SPACE, "Deep", "text", parent=inner)
    cloud.wiki.pieces[top].restriction = Restricted(users={"bob"})
    follower = Follower(cloud)
    connector = cloud.connector()
    await follower.submit(connector.items([page, deep], {}) if by_look else connector.changes({}))
    assert [readers(follower, each) for each in (page, deep)] == [[OPEN, BOB]] * 2


@pytest.mark.parametrize("open_folders", ["false", "true"])
async def test_a_restriction_of_a_folder_that_is_told_holds(cloud: ConfluenceSource, open_folders: str) -> None:
    cloud.settings, server_of(cloud).tells_folders = {"open_folders": open_folders}, True
    _, folder, page = page_in_folder(cloud)
    cloud.wiki.pieces[folder].restriction = Restricted(users={"bob"})
    follower = await followed(cloud)
    assert readers(follower, page) == [OPEN, BOB]


@pytest.mark.parametrize("broken", ["ring", "page", "shelf"])
async def test_a_place_that_is_not_told_closes(cloud: ConfluenceSource, broken: str) -> None:
    cloud.settings = {"open_folders": "true"}
    _, folder, page = page_in_folder(cloud)
    follower = await followed(cloud)
    above = (
        {"parentId": folder, "parentType": "folder"} if broken == "ring" else {"parentId": "9", "parentType": broken}
    )
    server_of(cloud).lies[folder] = {"id": folder, **above}
    await follower.follow()
    assert follower.documents[page].access == NOBODY
    assert follower.failed.keys() == {page}


async def test_a_folder_of_which_restrictions_are_refused_is_one_that_tells_none(cloud: ConfluenceSource) -> None:
    _, folder, page = page_in_folder(cloud)
    cloud.server.no_permissions, server_of(cloud).tells_folders = {folder}, True
    follower = await followed(cloud)
    assert follower.documents[page].access == NOBODY
    cloud.settings = {"open_folders": "true"}
    await follower.follow()
    assert readers(follower, page) == [OPEN]


async def test_a_move_into_a_folder_closes_and_costs_no_request_a_page(cloud: ConfluenceSource) -> None:
    _, folder, _ = page_in_folder(cloud)
    pages = [cloud.wiki.write(SPACE, f"Page {number}", "text") for number in range(4)]
    follower = await followed(cloud)
    cloud.wiki.move(pages[0], folder)
    changes = await follower.submit(cloud.connector().permissions(dict(follower.cursor)))
    assert [(each.external_id, type(each.what)) for each in changes] == [(pages[0], Patched)]
    assert follower.documents[pages[0]].access == NOBODY
    assert not [each for each in cloud.server.requests if each.startswith("/api/v2/pages/")]
