"""What a rename is, what it costs, and by which id a document is found afterwards."""

import pytest

from connectors.github.ids import file_id, key_again, named
from connectors.github.places import Newcomers, Places
from connectors.leaves import Held, Leaf
from connectors.protocol import Deleted, Listing, Patched, Upserted
from tests.support.github_direct import direct_source
from tests.support.github_renames import (
    LINES,
    LIVES,
    RENAMED,
    MortalFollower,
    both,
    filled,
    forced,
    ids,
    kinds,
    moved,
    put,
)
from tests.support.github_source import OrganisationSource

pytestmark = pytest.mark.usefixtures("small_leaves")


@pytest.fixture
def source() -> OrganisationSource:
    return direct_source()


@pytest.fixture
def follower(source: OrganisationSource) -> MortalFollower:
    return MortalFollower(source, batch=2)


async def test_a_rename_costs_no_content(source: OrganisationSource, follower: MortalFollower) -> None:
    repo = filled(source)
    await follower.follow()
    downloads, asked = source.downloads, len(source.server.requests)
    moved(("a.md", "text/z.md"), ("docs/c.md", "text/c.md"))(repo)
    assert kinds(await follower.follow()) == [Patched, Patched]
    assert ids(follower) == {"text/z.md": "a.md", "b.md": "b.md", "text/c.md": "docs/c.md"}
    assert source.downloads == downloads
    assert not [each for each in source.server.requests[asked:] if "recursive" in each]
    await follower.settle()
    moved(("text/z.md", "a.md"))(repo)
    assert kinds(await follower.follow()) == [Patched]
    assert ids(follower)["a.md"] == "a.md"


async def test_renamed_files_are_shown_by_a_listing_as_well(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source)
    await follower.follow()
    moved(("a.md", "text/z.md"))(repo)
    await follower.follow()
    repo.remove("b.md")
    (change,) = await follower.follow_all()
    name = f"files of {repo.full_name}"
    assert change.what == Deleted(listing=Listing(name=name, known=3, shown=2))


async def test_a_rename_with_an_edit_keeps_the_document(source: OrganisationSource, follower: MortalFollower) -> None:
    repo = filled(source)
    await follower.follow()
    both(RENAMED, put("z.md", "edited\n"))(repo)
    changes = await follower.follow()
    assert kinds(changes) == [Patched, Upserted]
    assert {each.external_id for each in changes} == {f"repo:{repo.id}/file/a.md"}
    await follower.settle()


async def test_another_file_at_the_old_path_has_an_id_of_its_own(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source, "a.md")
    await follower.follow()
    for step in LIVES["several at the old path"][:4]:
        step(repo)
        await follower.follow()
    assert ids(follower) == {"z.md": "a.md", "y.md": "/2/a.md", "a.md": "/3/a.md"}
    repo.remove("z.md")
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/file/a.md"]
    await follower.settle()
    assert ids(follower) == {"y.md": "/2/a.md", "a.md": "/3/a.md"}


@pytest.mark.parametrize("truncated", [True, False])
async def test_a_tree_tells_renames_of_the_same_content(
    source: OrganisationSource, follower: MortalFollower, *, truncated: bool
) -> None:
    repo = filled(source, "a.md", "b.md", "docs/c.md", "docs/d.md", "docs/e.md")
    for path in ("docs/c.md", "docs/d.md"):
        repo.put(path, LINES)
    await follower.follow()
    source.server.tree_entries = 2 if truncated else 1000
    forced(moved(("a.md", "z.md"), ("docs/c.md", "text/c.md"), ("docs/d.md", "text/d.md")))(repo)
    assert kinds(await follower.follow()) == [Patched] * 3
    assert ids(follower)["text/d.md"] == "docs/d.md"
    # Of two with one content, who knows which is which?
    forced(moved(("text/c.md", "p.md"), ("text/d.md", "q.md")))(repo)
    assert kinds(await follower.follow()) == [Upserted, Upserted, Deleted, Deleted]
    await follower.settle()


async def test_a_name_that_ends_otherwise_is_a_new_document(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source)
    await follower.follow()
    moved(("a.md", "a.txt"))(repo)
    assert kinds(await follower.follow()) == [Upserted, Deleted]
    forced(moved(("b.md", "b.txt")))(repo)
    assert kinds(await follower.follow()) == [Upserted, Deleted]
    await follower.settle()


async def test_memory_is_bounded(
    source: OrganisationSource, follower: MortalFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places.__init__, "__kwdefaults__", {"most": 1})
    monkeypatch.setattr(Newcomers, "is_full", property(lambda self: len(self.waiting) >= 2))
    repo = filled(source)
    await follower.follow()
    RENAMED(repo)
    assert kinds(await follower.follow()) == [Patched]
    moved(("b.md", "y.md"))(repo)
    assert kinds(await follower.follow()) == [Upserted, Deleted]
    moved(("z.md", "x.md"))(repo)
    assert kinds(await follower.follow()) == [Patched]
    forced(moved(("x.md", "1.md"), ("y.md", "2.md")))(repo)
    assert kinds(await follower.follow()) == [Upserted, Upserted, Deleted, Deleted]
    await follower.settle()


async def test_a_notification_finds_a_document_by_its_id_and_by_its_path(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source)
    await follower.follow()

    async def look(*keys: str) -> list[tuple[type, str]]:
        named = {f"repo:{repo.id}/file/{key}" for key in keys}
        changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
        return [(type(each.what), each.external_id.partition("/file/")[2]) for each in changes]

    RENAMED(repo)
    assert await look("a.md") == [(Patched, "a.md")]  # followed
    put("a.md", "new\n")(repo)
    put("z.md", "edited\n")(repo)
    assert await look("a.md") == [(Upserted, "a.md"), (Upserted, "/2/a.md")]
    repo.remove("a.md")
    assert await look("/2/a.md", "z.md") == [(Deleted, "/2/a.md"), (Deleted, "z.md")]  # the last: nobody's
    assert await look("b.md", "/x.md", "/0/x.md") == []
    await follower.settle()


async def test_what_undo_brought_back_and_no_path_leads_to_goes_by_its_id(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source)
    await follower.follow()
    RENAMED(repo)
    await follower.follow()
    follower.cursor.clear()
    left = dict(follower.documents)
    await follower.follow()
    assert follower.documents.keys() - left.keys() == {f"repo:{repo.id}/file/z.md"}
    await follower.submit(source.connector().items({f"repo:{repo.id}/file/a.md"}, dict(follower.cursor)))
    await follower.settle()


async def test_a_repository_that_comes_back_while_it_is_deleted(
    source: OrganisationSource, follower: MortalFollower
) -> None:
    repo = filled(source)
    source.state.add_repo("other").put("stays.md", LINES)
    await follower.follow()
    source.state.rename(repo, "code", owner="globex")
    assert kinds(await follower.follow(at_most=2)) == [Deleted, Deleted]
    source.state.rename(repo, "code", owner="acme")
    await follower.settle()


@pytest.mark.parametrize(
    ("came", "gone", "moved_to"),
    [
        (  # the name tells, and of what is left the content
            {"x/a.md": "1", "y/b.md": "1"},
            {"a.md": ("1", ""), "c.md": ("1", "")},
            {"x/a.md": "a.md", "y/b.md": "c.md"},
        ),
        ({"x/a.md": "1", "y/b.md": "1"}, {"a.md": ("1", "")}, {"x/a.md": "a.md"}),  # no document is at two paths
        ({"x/a.md": "1"}, {"a.md": ("1", ""), "c.md": ("1", "")}, {"x/a.md": "a.md"}),
        ({"x/new.md": "1"}, {"old.md": ("1", "new.md"), "b.md": ("1", "")}, {"x/new.md": "old.md"}),  # renamed before
        ({"x/a.md": "2"}, {"a.md": ("1", "")}, {}),
        ({"x/a.md": "1"}, {"y/a.md": ("1", ""), "z/a.md": ("1", "")}, {}),
        ({"x/a.md": "1", "y/a.md": "1"}, {"a.md": ("1", "")}, {}),
    ],
)
def test_one_that_came_and_one_that_went_are_a_rename(
    came: dict[str, str], gone: dict[str, tuple[str, str]], moved_to: dict[str, str]
) -> None:
    rows = [
        (Leaf(lower="", upper=None, base=b""), key, Held(content=each, access="", place=place))
        for key, (each, place) in gone.items()
    ]
    new = Newcomers[None]()
    for path, content in came.items():
        new.add(path, content, None)
    found = new.renamed(lambda: rows, Places((key, held) for _, key, held in rows if held.place))
    assert {path: key for path, (_, key, _) in found.items()} == moved_to


def test_newcomers_wait_until_they_are_too_many() -> None:
    new = Newcomers[str](most=2)
    for path in ("a.md", "b.md"):
        assert not new.is_full
        new.add(path, "1", path)
    assert new.is_full
    assert new.drained() == ["a.md", "b.md"]
    assert not new.is_full


def test_a_path_belongs_to_the_document_that_came_last() -> None:
    places = Places(())
    for key, path in (("a.md", "p.md"), ("b.md", "p.md"), ("a.md", "q.md")):
        places.move(key, path)
    assert (places.key_at("p.md"), places.key_at("q.md"), places.key_at("a.md")) == ("b.md", "a.md", "a.md\x002")
    places.move("a.md", "a.md")
    assert places.key_at("a.md") == "a.md"


def test_ids_tell_their_keys() -> None:
    for key in ("a.md", "docs/2/a.md", key_again("a/b.md", 2), key_again("a\n.md", 11)):
        found = named(file_id(7, key))
        assert found is not None
        assert found.path == key
    assert file_id(7, key_again("a/b.md", 2)) == "repo:7/file//2/a/b.md"
    assert [named(f"repo:7/file/{each}") for each in ("/a.md", "/0/a.md", "/02/a.md", "/2//a.md", "a\0b")] == [None] * 5
