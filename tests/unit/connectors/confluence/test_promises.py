"""What the guide promises (docs/connect-confluence.md), claim by claim, where no other test holds it."""

from collections.abc import AsyncIterator

import pytest

from connectors.confluence.webhooks import work_of_delivery
from connectors.passes import passes_of
from connectors.protocol import Deleted, Patched, SourceChange, Upserted
from schemas.events.documents import Link
from schemas.ids import Principal
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


def told(changes: list[SourceChange]) -> dict[str, type]:
    return {each.external_id: type(each.what) for each in changes}


def link_to(title: str) -> str:
    return f'<ac:link><ri:page ri:content-title="{title}" /></ac:link>'


def readers(follower: Follower, content_id: str) -> list[tuple[Principal, ...]]:
    return [tuple(clause.principals) for clause in follower.documents[content_id].access.clauses]


async def test_a_move_below_a_restricted_page_holds_with_its_delivery(wiki: ConfluenceSource) -> None:
    board, moved = wiki.wiki.write(SPACE, "Board", "b"), wiki.wiki.write(SPACE, "Pay", "p")
    below = wiki.wiki.write(SPACE, "Bonus", "b", parent=moved)
    note = wiki.wiki.write(SPACE, "a.txt", "bytes", parent=below, kind="attachment")
    wiki.wiki.pieces[board].restriction = Restricted(users={"bob"})
    follower = await followed(wiki)
    wiki.wiki.move(moved, board)
    work = work_of_delivery({}, b'{"event": "page_moved", "page": {"id": %s}}' % moved.encode())
    connector = wiki.connector().inner
    for each in passes_of(connector, work):
        await follower.submit(each.of(dict(follower.cursor)))
    assert readers(follower, moved) == readers(follower, below) == readers(follower, note) == readers(follower, board)
    assert readers(follower, board)[1] == ("user:bob",)
    assert follower.documents[moved].links == (Link(relation="child_of", target=board),)
    assert follower.documents[moved].attributes["ancestors"] == ("Board",)
    assert follower.documents[below].attributes["ancestors"] == ("Board", "Pay")
    assert wiki.server.bodies == [moved]
    assert await follower.follow() == []


async def test_a_page_in_another_space_is_for_the_readers_of_that_one(wiki: ConfluenceSource) -> None:
    wiki.wiki.spaces["HR"] = Space(key="HR", readers=Restricted(groups={"leads"}))
    home, page = wiki.wiki.write("HR", "Home", "h"), wiki.wiki.write(SPACE, "Pay", f"<p>{link_to('Home')}</p>")
    follower = await followed(wiki)
    wiki.wiki.move(page, home)
    *_, last = await follower.follow()
    assert readers(follower, page) == [("group:wiki:space:HR",)]
    assert isinstance(last.what, Patched)
    assert (last.external_id, last.what.patch.attributes["space"]) == (page, "HR")
    there = f"{wiki.server.url}/confluence/display/HR/Home"  # a title is looked up where the page lies
    assert last.what.patch.links == (Link(relation="child_of", target=home), Link(relation="links_to", target=there))
    assert last.what.patch.url == f"{wiki.server.url}/confluence/pages/viewpage.action?pageId={page}"
    assert (wiki.server.bodies, last.what.patch.content) == ([page], None)


async def test_an_attachment_of_another_page_says_so_and_is_not_read(wiki: ConfluenceSource) -> None:
    first, second = wiki.wiki.write(SPACE, "A", "a"), wiki.wiki.write(SPACE, "B", "b")
    file = wiki.wiki.write(SPACE, "a.txt", "bytes", parent=first, kind="attachment")
    follower = await followed(wiki)
    wiki.wiki.move(file, second)
    assert told(await follower.follow()) == {file: Patched}
    assert follower.documents[file].links == (Link(relation="attached_to", target=second),)
    assert wiki.server.bodies == []


async def test_a_page_that_cannot_be_read_after_its_move_is_restricted_all_the_same(wiki: ConfluenceSource) -> None:
    board, moved = wiki.wiki.write(SPACE, "Board", "b"), wiki.wiki.write(SPACE, "Pay", "p")
    wiki.wiki.pieces[board].restriction = Restricted(users={"bob"})
    wiki._titles[moved] = "Pay"
    follower = await followed(wiki)
    wiki.wiki.move(moved, board)
    wiki.before_read("Pay", lambda: wiki.wiki.trash(moved))
    assert [each.external_id for each in await follower.follow()] == [moved]
    assert follower.failed.keys() == {moved}
    assert readers(follower, moved)[1] == ("user:bob",)
    wiki.wiki.restore(moved)
    await follower.follow()
    assert follower.documents[moved].links == (Link(relation="child_of", target=board),)


async def test_pages_below_tell_the_new_title_and_nothing_is_read(wiki: ConfluenceSource) -> None:
    top = wiki.wiki.write(SPACE, "Plan", "text")
    below = wiki.wiki.write(SPACE, "Step", "text", parent=top)
    deeper = wiki.wiki.write(SPACE, "Detail", "text", parent=below)
    follower = await followed(wiki)
    wiki.wiki.edit(top, title="Goals")
    await follower.follow()
    assert follower.documents[deeper].attributes["ancestors"] == ("Goals", "Step")
    assert wiki.server.bodies == [top]


@pytest.mark.parametrize("kind", [ConfluenceServer, CloudServer])
async def test_the_trash_counts_as_gone_and_what_is_restored_comes_back(kind: type[ConfluenceServer]) -> None:
    async with confluence_source(kind) as wiki:
        page = wiki.wiki.write(SPACE, "Plan", "text")
        below = wiki.wiki.write(SPACE, "Stays", "text", parent=page)
        comment = wiki.wiki.write(SPACE, "Re", "hm", parent=page, kind="comment")
        file = wiki.wiki.write(SPACE, "a.txt", "bytes", parent=page, kind="attachment")
        follower = await followed(wiki)
        wiki.wiki.trash(page)
        assert told(await follower.follow()) == {below: Patched, page: Deleted, comment: Deleted, file: Deleted}
        for each in (page, comment, file):
            wiki.wiki.restore(each)
        assert told(await follower.follow()) == dict.fromkeys((page, comment, file), Upserted)
        wiki.wiki.purge(page)
        assert told(await follower.follow()) == dict.fromkeys((page, comment, file), Deleted)
        assert await follower.follow() == []


async def test_a_login_page_that_may_not_be_called_opens_nothing_and_ends_nothing(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    wiki.server.strangers_go_to = "http://10.0.0.7/login"
    follower = await followed(wiki)
    assert list(follower.documents) == [page]
    assert not follower.failed
    assert "everyone" not in follower.groups["space:ENG"]


async def test_an_archived_space_is_not_synced(wiki: ConfluenceSource) -> None:
    wiki.wiki.spaces["OLD"] = Space(key="OLD", readers=Restricted(groups={"staff"}))
    kept, page = wiki.wiki.write(SPACE, "Plan", "text"), wiki.wiki.write("OLD", "Was", "text")
    follower = await followed(wiki)
    assert follower.documents.keys() == {kept, page}
    wiki.wiki.spaces["OLD"].status = "ARCHIVED"
    assert told(await follower.follow()) == {page: Deleted}
    assert "space:OLD" not in follower.groups
    assert await follower.follow() == []


@pytest.mark.parametrize("setting", ["blog_posts", "comments", "attachments", "exclude_spaces"])
async def test_what_the_settings_leave_out_is_deleted(wiki: ConfluenceSource, setting: str) -> None:
    wiki.wiki.spaces["HR"] = Space(key="HR", readers=Restricted(groups={"staff"}))
    page = wiki.wiki.write(SPACE, "Plan", "text")
    found = {
        "blog_posts": wiki.wiki.write(SPACE, "News", "text", kind="blogpost"),
        "comments": wiki.wiki.write(SPACE, "Re", "hm", parent=page, kind="comment"),
        "attachments": wiki.wiki.write(SPACE, "a.txt", "bytes", parent=page, kind="attachment"),
        "exclude_spaces": wiki.wiki.write("HR", "Pay", "text"),
    }
    follower = await followed(wiki)
    assert follower.documents.keys() == {page, *found.values()}
    wiki.settings = {setting: "[HR]" if setting == "exclude_spaces" else "false"}
    assert told(await follower.follow()) == {found[setting]: Deleted}
    assert await follower.follow() == []


async def test_those_beyond_what_a_restriction_tells_are_left_out(wiki: ConfluenceSource) -> None:
    users = {f"user{number:03}" for number in range(201)}
    page = wiki.wiki.write(SPACE, "Plan", "text")
    wiki.wiki.pieces[page].restriction = Restricted(users=users)
    follower = await followed(wiki)
    _, own = readers(follower, page)
    assert set(own) == {f"user:{each}" for each in sorted(users)[:200]}


async def test_versions_that_are_numbered_anew_hide_no_edit_and_no_restriction(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    wiki.wiki.edit(page, "second")
    wiki.wiki.edit(page, "third")
    follower = await followed(wiki)
    wiki.wiki.forget(page)
    wiki.wiki.edit(page, "fourth")  # the third version again
    assert told(await follower.follow()) == {page: Upserted}
    wiki.wiki.forget(page)
    wiki.wiki.forget(page)
    wiki.wiki.pieces[page].restriction = Restricted(users={"bob"})
    assert told(await follower.follow()) == {page: Patched}
    assert (follower.documents[page].text, readers(follower, page)[1]) == ("fourth", ("user:bob",))
    wiki.wiki.edit(page, "fifth")
    await follower.follow()
    assert (follower.documents[page].text, follower.stale) == ("fifth", [])


async def test_readers_text_and_labels_that_change_together_all_arrive(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    follower = await followed(wiki)
    wiki.wiki.pieces[page].restriction = Restricted(groups={"leads"})
    wiki.wiki.pieces[page].labels = {"red"}
    first, second = await follower.follow()
    assert readers(follower, page)[1] == ("group:wiki:group:leads",)
    assert list(follower.groups["group:leads"]) == ["user:bob"]
    assert isinstance(second.what, Patched)
    assert (first.external_id, second.what.patch.attributes["labels"]) == (page, ("red",))
    wiki.wiki.pieces[page].restriction = Restricted(users={"ann"})
    wiki.wiki.edit(page, "anew")
    await follower.follow()
    assert (follower.documents[page].text, readers(follower, page)[1]) == ("anew", ("user:ann",))


async def test_who_may_read_is_of_the_moment_at_which_a_page_is_read(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    wiki._titles[page] = "Plan"

    def restricted() -> None:
        wiki.wiki.pieces[page].restriction = Restricted(groups={"leads"})

    wiki.before_read("Plan", restricted)
    follower = await followed(wiki)
    assert readers(follower, page)[1] == ("group:wiki:group:leads",)
    assert list(follower.groups["group:leads"]) == ["user:bob"]


async def test_a_comment_is_called_after_its_page_and_costs_no_look(wiki: ConfluenceSource) -> None:
    page = wiki.wiki.write(SPACE, "Plan", "text")
    comment = wiki.wiki.write(SPACE, "Re", "hm", parent=page, kind="comment")
    follower = await followed(wiki)
    wiki.wiki.edit(page, title="Goals")
    changes = {each.external_id: each.what for each in await follower.follow()}
    patched = changes[comment]
    assert isinstance(patched, Patched)
    assert patched.patch.title == "Comment on Goals"
    assert wiki.server.bodies == [page]
    wiki.server.requests.clear()
    assert await follower.follow() == []
    assert not [each for each in wiki.server.requests if each.startswith(f"/rest/api/content/{page}")]


async def test_members_and_permissions_arrive_between_listings(wiki: ConfluenceSource) -> None:
    wiki.settings = {"listing_every_s": 86_400}
    wiki.wiki.write(SPACE, "Plan", "text")
    follower = await followed(wiki)
    wiki.wiki.groups["staff"].users.discard("ann")
    wiki.wiki.spaces[SPACE].readers.users.add("ann")
    assert await follower.follow() == []
    assert list(follower.groups["group:staff"]) == ["user:bob"]
    assert list(follower.groups["space:ENG"]) == ["group:wiki:group:staff", "user:ann"]


async def test_what_could_not_be_read_waits_for_the_next_listing(wiki: ConfluenceSource) -> None:
    wiki.settings = {"listing_every_s": 3600, "max_bytes": 7}
    page = wiki.wiki.write(SPACE, "Plan", "text")
    file = wiki.wiki.write(SPACE, "notes.txt", "12345678", parent=page, kind="attachment")
    wiki.wiki.clock.passed_s += 1800  # longer ago than searches look
    follower = await followed(wiki)
    assert follower.failed.keys() == {file}
    wiki.settings |= {"max_bytes": 8}
    assert (await follower.follow(), follower.failed) == ([], {})
    wiki.wiki.clock.passed_s += 3600
    assert told(await follower.follow()) == {file: Upserted}
