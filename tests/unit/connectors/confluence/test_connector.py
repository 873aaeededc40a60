"""What a pass asks for and yields: readers without contents, edits without a listing, nothing that is not proven."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import ValidationError

from connectors.confluence.cursor import LISTED, SEARCHED
from connectors.protocol import Deleted, Left, Patched, SourceChange, Upserted
from headwater.errors import FatalError, SourceGoneError, UnauthorisedError
from headwater.sources.confluence import ConfluenceSettings
from schemas.events.documents import NOBODY, Link
from tests.support.confluence import SPACE, ConfluenceSource, confluence_source, followed
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_server import ConfluenceServer
from tests.support.confluence_wiki import Restricted, Space
from tests.support.sources import Follower


@pytest.fixture
async def wiki() -> AsyncIterator[ConfluenceSource]:
    async with confluence_source() as source:
        source.server.page_size = 50
        yield source


def left(change: SourceChange) -> int | None:
    return change.left.items if change.left is not None else None


def written(wiki: ConfluenceSource, title: str = "Plan", body: str = "text", **how: str | None) -> str:
    found = wiki.wiki.write(SPACE, title, body, **how)  # type: ignore[arg-type]  # of a test's own
    wiki._titles[found] = title
    return found


async def test_a_page_below_another_is_restricted_with_it_and_only_its_links_are_read(wiki: ConfluenceSource) -> None:
    top = written(wiki, "Board")
    moved = written(wiki, "Pay")
    below = written(wiki, "Bonus", parent=moved)
    comment = written(wiki, "Re", "hm", parent=below, kind="comment")
    wiki.wiki.pieces[top].restriction = Restricted(users={"bob"})
    follower = await followed(wiki)
    wiki.wiki.move(moved, top)
    changes = await follower.follow()
    patches = [(each.external_id, each.what.patch) for each in changes if isinstance(each.what, Patched)]
    assert len(patches) == len(changes)
    first = [(content_id, patch) for content_id, patch in patches if patch.title is None]
    assert {content_id for content_id, patch in first if patch.access is not None} == {moved, below, comment}
    assert patches[0] == first[0]  # who may read it waits for nothing
    assert wiki.server.bodies == [moved]
    for each in (moved, below, comment):
        space, board = follower.documents[each].access.clauses
        assert [*space.principals, *board.principals] == ["group:wiki:space:ENG", "user:bob"]


async def test_members_and_permissions_are_changes_of_the_directory_alone(wiki: ConfluenceSource) -> None:
    written(wiki)
    follower = await followed(wiki)
    assert follower.groups["space:ENG"] == ("group:wiki:group:staff",)
    wiki.wiki.groups["staff"].users.discard("ann")
    wiki.wiki.groups["staff"].groups.add("leads")
    wiki.wiki.spaces[SPACE].readers.users.add("ann")
    assert await follower.follow() == []
    assert list(follower.groups["group:staff"]) == ["group:wiki:group:leads", "user:bob"]
    assert list(follower.groups["space:ENG"]) == ["group:wiki:group:staff", "user:ann"]
    assert wiki.server.bodies == []


@pytest.mark.parametrize(("space", "site", "opened"), [(True, True, True), (True, False, False), (False, True, False)])
async def test_everyone_reads_only_what_the_site_shows_to_nobody(
    wiki: ConfluenceSource, *, space: bool, site: bool, opened: bool
) -> None:
    wiki.wiki.spaces[SPACE].anonymous, wiki.wiki.anonymous = space, site
    follower = await followed(wiki)
    assert ("everyone" in follower.groups["space:ENG"]) is opened


async def test_what_cannot_be_told_is_for_nobody(wiki: ConfluenceSource) -> None:
    stranger = written(wiki, "Only for somebody whom we do not know")
    wiki.wiki.pieces[stranger].restriction = Restricted(users={"eve"})
    wiki.settings = {"by_username": False}
    untold = written(wiki, "Restrictions not told")
    wiki.server.no_permissions |= {untold, SPACE}
    follower = await followed(wiki)
    assert follower.documents[stranger].access == follower.documents[untold].access == NOBODY
    assert follower.groups["space:ENG"] == ()
    assert follower.failed.keys() == {untold, "space:ENG"}


async def test_a_pass_with_nothing_new_reads_nothing_and_asks_little(wiki: ConfluenceSource) -> None:
    for number in range(40):
        written(wiki, f"Page {number}")
    wiki.settings = {"nested_groups": False}
    follower = await followed(wiki)
    assert await follower.follow() == []
    assert wiki.server.bodies == []
    # Spaces as ourselves and as nobody, one space's permissions, one group, edits, pages, blog posts, parts.
    assert len(wiki.server.requests) == 8


async def test_between_listings_edits_are_found_by_search_and_the_rest_later(wiki: ConfluenceSource) -> None:
    wiki.settings = {"listing_every_s": 3600}
    edited, gone = written(wiki, "A"), written(wiki, "B")
    follower = await followed(wiki)
    wiki.wiki.clock.passed_s += 600
    wiki.wiki.edit(edited, "anew")
    wiki.wiki.trash(gone)
    assert [each.external_id for each in await follower.follow()] == [edited]
    assert follower.documents[edited].text == "anew"
    assert not [each for each in wiki.server.requests if each.startswith("/rest/api/content?")]
    wiki.wiki.clock.passed_s += 3600
    assert [(each.external_id, type(each.what)) for each in await follower.follow()] == [(gone, Deleted)]


async def test_a_pass_by_a_clock_that_was_ahead_hides_no_edit_from_the_next(wiki: ConfluenceSource) -> None:
    """As of another worker's host: by its times nothing would be due, and nothing was edited lately enough."""
    wiki.settings = {"listing_every_s": 3600}
    edited = written(wiki)
    follower = await followed(wiki)
    ahead = (wiki.wiki.clock.now() + timedelta(hours=2)).isoformat().encode()
    follower.cursor |= dict.fromkeys((LISTED, SEARCHED), ahead)
    wiki.wiki.edit(edited, "anew")
    wiki.wiki.clock.passed_s += 1800
    assert [each.external_id for each in await follower.follow()] == [edited]
    assert follower.stale == []
    wiki.server.requests.clear()
    assert await follower.follow() == []
    assert not [each for each in wiki.server.requests if each.startswith("/rest/api/content?")]


async def test_a_listing_that_shows_nothing_is_made_again(wiki: ConfluenceSource) -> None:
    wiki.settings = {"listing_every_s": 3600}
    wiki.server.lists_nothing = True  # nothing may be viewed yet
    page = written(wiki)
    wiki.wiki.clock.passed_s += 1800  # longer ago than searches look
    follower = await followed(wiki)
    wiki.server.lists_nothing = False
    wiki.wiki.clock.passed_s += 60
    assert [each.external_id for each in await follower.follow()] == [page]


async def test_a_look_at_single_contents_lists_nothing(wiki: ConfluenceSource) -> None:
    first, second = written(wiki, "A"), written(wiki, "B")
    follower = await followed(wiki)
    wiki.wiki.edit(first, "anew")
    wiki.wiki.trash(second)
    changes = await follower.submit(wiki.connector().items([first, second, "999"], dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Upserted, Deleted]
    assert all(each.startswith("/rest/api/content/") for each in wiki.server.requests)
    wiki.wiki.restore(second)
    await follower.follow()
    assert follower.documents[second].text == "text"


async def test_labels_people_and_links_are_told(wiki: ConfluenceSource) -> None:
    top = written(wiki, "Top")
    link = '<ac:link><ri:page ri:content-title="Top" /></ac:link>'
    page = written(wiki, "Page", f"<p>{link}</p>", parent=top)
    file = written(wiki, "notes.txt", "bytes", parent=page, kind="attachment")
    wiki.wiki.pieces[page].labels = {"red", "blue"}
    picture = written(wiki, "plan.png", "bytes", parent=page, kind="attachment")
    wiki.wiki.pieces[picture].media_type = "image/png"
    found = {each.external_id: each.what for each in await Follower(wiki).follow()}
    what = found[page]
    assert isinstance(what, Upserted)
    told = what.state.attributes
    assert (told["labels"], told["ancestors"], told["author"], told["space"]) == (
        ("blue", "red"),
        ("Top",),
        "Ann",
        SPACE,
    )
    target = f"{wiki.server.url}/confluence/display/ENG/Top"
    assert what.state.links == (Link(relation="child_of", target=top), Link(relation="links_to", target=target))
    attached = found[file]
    assert isinstance(attached, Upserted)
    assert (attached.state.media_type, attached.state.links[0].target) == ("text/plain", page)
    assert picture not in found


async def test_the_cursor_of_an_earlier_version_reads_nothing_anew_and_notes_where_contents_lie(
    wiki: ConfluenceSource,
) -> None:
    top, page = written(wiki, "Top"), written(wiki, "Page")
    follower = await followed(wiki)
    for each in (top, page):
        version, _, access, _, _ = follower.cursor[f"c/{each}"].split(b" ")
        follower.cursor[f"c/{each}"] = b" ".join([version, b"of-before", access])
    wiki.wiki.move(page, top)
    assert {each.external_id for each in await follower.follow()} == {top, page}
    assert wiki.server.bodies == []
    wiki.wiki.move(page, written(wiki, "Other"))
    await follower.follow()
    assert wiki.server.bodies[-1] == page
    assert await follower.follow() == []


async def test_labels_change_without_a_version_and_without_reading(wiki: ConfluenceSource) -> None:
    page = written(wiki)
    follower = await followed(wiki)
    wiki.wiki.pieces[page].labels = {"red"}
    (change,) = await follower.follow()
    assert isinstance(change.what, Patched)
    assert (change.external_id, change.what.patch.attributes["labels"]) == (page, ("red",))
    assert wiki.server.bodies == []
    assert await follower.follow() == []


async def test_a_listing_tells_how_much_of_what_is_held_it_has_still_to_meet(wiki: ConfluenceSource) -> None:
    pages = [written(wiki, f"Page {number}") for number in range(5)]
    follower = Follower(wiki)
    assert {change.left for change in await follower.follow()} == {None}
    for page in pages:
        wiki.wiki.pieces[page].labels = {"red"}
    new = written(wiki, "New")
    told = [(change.external_id, left(change)) for change in await follower.follow()]
    assert told == [(new, None), *zip(pages, [5, 4, 3, 2, 1], strict=True)]  # what is new is found by a search first
    wiki.wiki.edit(pages[0], "anew")
    [looked_at] = await follower.submit(wiki.connector().items([pages[0]], dict(follower.cursor)))
    assert looked_at.left is None


async def test_a_listing_in_which_nothing_has_changed_tells_how_far_it_is(
    wiki: ConfluenceSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        written(wiki, f"Page {number}")
    follower = await followed(wiki)
    monkeypatch.setattr("connectors.confluence.walk.TOLD_EVERY", 1)
    told = [each async for each in wiki.connector().everything(dict(follower.cursor)) if isinstance(each, Left)]
    assert told == [Left(items=2, of=3), Left(items=1, of=3)]


async def test_what_is_new_or_comes_twice_does_not_count_as_met(wiki: ConfluenceSource) -> None:
    pages = [written(wiki, f"Page {number}") for number in range(3)]
    follower = await followed(wiki)
    new = written(wiki, "New")
    wiki.wiki.pieces = {new: wiki.wiki.pieces[new], **wiki.wiki.pieces}
    wiki.server.search_is_behind = {new}
    wiki.server.page_size = 2  # each page of the listing begins with the last of the one before
    for page in pages:
        wiki.wiki.pieces[page].labels = {"red"}
    told = [(change.external_id, left(change)) for change in await follower.follow()]
    assert told == [(new, 3), (pages[0], 2), (pages[1], 1), (pages[2], None)]


async def test_an_attachment_that_is_too_large_is_reported(wiki: ConfluenceSource) -> None:
    page = written(wiki)
    file = written(wiki, "notes.txt", "12345678", parent=page, kind="attachment")
    wiki.settings = {"max_bytes": 7}
    follower = await followed(wiki)
    assert "max_bytes" in str(follower.failed[file])


async def test_what_the_search_of_cloud_does_not_find_yet_is_not_gone() -> None:
    async with confluence_source(CloudServer) as cloud:
        page, other = written(cloud, "A"), written(cloud, "B")
        follower = await followed(cloud)
        cloud.server.search_is_behind = {page}
        assert await follower.follow() == []
        assert "does not find it yet" in str(follower.failed[page])
        cloud.server.search_is_behind = {page, other}
        cloud.wiki.purge(other)
        with pytest.raises(FatalError, match="nothing is deleted"):
            await follower.follow()
        cloud.server.search_is_behind = set()
        assert [(each.external_id, type(each.what)) for each in await follower.follow()] == [(other, Deleted)]


async def test_a_search_looks_back_for_what_the_index_wrote_late() -> None:
    async with confluence_source(CloudServer) as cloud:
        cloud.settings = {"listing_every_s": 3600}
        written(cloud, "A")
        late = written(cloud, "B")
        cloud.server.search_is_behind = {late}
        follower = await followed(cloud)
        cloud.server.search_is_behind = set()
        cloud.wiki.clock.passed_s += 600
        assert [each.external_id for each in await follower.follow()] == [late]


@pytest.mark.parametrize("asks", ["check", "ready"])
async def test_what_is_missing_is_named_before_a_sync_too(wiki: ConfluenceSource, asks: str) -> None:
    async def ask() -> None:
        await getattr(wiki.connector().inner, asks)()

    await ask()
    for untold, status in ((SPACE, 403), (SPACE, 404), ("staff", 403)):
        wiki.server.no_permissions, wiki.server.untold_status = {untold}, status
        with pytest.raises(
            UnauthorisedError,
            match=r"who may view ENG.*administrator of the spaces .Data Center 9\.1.*let it see groups",
        ):
            await ask()
    wiki.server.answers = [(403, {})]
    with pytest.raises(UnauthorisedError, match="use Confluence"):
        await ask()
    wiki.server.answers = [(200, {})] * 2  # something else than Confluence answers there
    with pytest.raises(SourceGoneError, match=r"settings\.url: no Confluence"):
        await ask()
    wiki.server.no_permissions = set()
    wiki.settings = {"spaces": "[ENG, HR]"}
    with pytest.raises(SourceGoneError, match=r"settings\.spaces: HR"):
        await ask()
    wiki.settings = {"exclude_spaces": "[ENG]"}
    with pytest.raises(UnauthorisedError, match="no space"):
        await ask()
    wiki.server.expires_after = 0
    with pytest.raises(UnauthorisedError, match=r"secrets\.token"):
        await ask()
    wiki.server.expires_after, wiki.server.context = None, "/elsewhere"
    wiki.settings = {"url": f"{wiki.server.url}/confluence/"}
    with pytest.raises(SourceGoneError, match=r"settings\.url"):
        await ask()


@pytest.mark.parametrize("kind", [ConfluenceServer, CloudServer])
async def test_all_that_is_missing_is_named_at_once(kind: type[ConfluenceServer]) -> None:
    async with confluence_source(kind) as wiki:
        wiki.wiki.spaces["HR"] = Space(key="HR", readers=Restricted(groups={"leads"}))
        written(wiki)
        connector = wiki.connector().inner
        await connector.check()
        wiki.server.refused = {r"/content/search": 401, r"/restriction/": 403}
        with pytest.raises(UnauthorisedError, match=r"cannot search: .*search:confluence.*"):
            await connector.check()
        wiki.server.refused = {r"/restriction/": 403}
        with pytest.raises(UnauthorisedError, match=r"cannot read pages of ENG and their restrictions: "):
            await connector.check()
        hr = wiki.server.space_id("HR")
        wiki.server.refused = {rf"/spaces?/{hr}/permissions": 403, r"/restriction/": 403}
        with pytest.raises(UnauthorisedError, match=r"who may view HR, .*\. It cannot read pages of ENG"):
            await connector.check()
        await connector.ready()  # a sync begins, and reports that space and those pages
        wiki.settings = {"spaces": "[ENG, OPS]"}
        with pytest.raises(UnauthorisedError, match=r"cannot read pages of ENG.*settings\.spaces: OPS: not there"):
            await wiki.connector().check()


async def test_groups_in_groups_are_asked_for_where_they_are_wanted(wiki: ConfluenceSource) -> None:
    wiki.server.no_permissions = {"groups"}
    with pytest.raises(UnauthorisedError, match=r"cannot list the site's groups: .*nested_groups"):
        await wiki.connector().check()
    wiki.settings = {"nested_groups": False}
    await wiki.connector().check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "wiki.example.com"}, "not an address"),
        ({"url": "https://example.atlassian.net/wiki/"}, "email is missing"),
        ({"url": "https://a.atlassian.net/wiki", "email": "a@b.c", "by_username": "true"}, "by_username"),
        ({"url": "https://a.atlassian.net/wiki", "email": "a@b.c", "client_id": "c", "cloud_id": "1"}, "leave one"),
        ({"url": "https://a.atlassian.net/wiki", "client_id": "c"}, "cloud_id is missing"),
        ({"url": "https://a.atlassian.net/wiki", "email": "a@b.c", "cloud_id": "../x"}, "cloud_id"),
        ({"url": "https://wiki.example.com", "cloud_id": "1"}, "are Cloud's"),
        ({"url": "https://wiki.example.com", "space": "ENG"}, "space"),
    ],
)
def test_settings_are_refused_by_name(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ConfluenceSettings.model_validate(settings)
