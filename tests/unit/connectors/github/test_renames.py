"""Renamed files stay the same documents; whatever happens and wherever a look is cut off, nothing is lost or left."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from connectors.cursors import noted
from connectors.github.ids import file_id, key_again, named
from connectors.github.places import Newcomers, Places
from connectors.leaves import Ledger, decoded
from connectors.protocol import Deleted, Patched, SourceChange, Upserted
from tests.support.github_direct import direct_source
from tests.support.github_source import OrganisationFollower, OrganisationSource
from tests.support.github_state import Repo

LINES = "".join(f"line {number}\n" for number in range(9)).encode()
Step = Callable[[Repo], None]


class KilledError(Exception):
    """The worker is gone."""


@dataclass(slots=True)
class MortalFollower(OrganisationFollower):
    """Saves parts one by one, as a runner without transactions may, and is killed before one of them is."""

    saves: int | None = None  # parts until then

    async def _submit(self, changes: Sequence[SourceChange]) -> list[SourceChange]:
        good = [change for change in changes if await self._admitted(change)]
        self._note(noted(good))
        return good

    def _note(self, parts: Mapping[str, bytes | None]) -> None:
        for part, state in parts.items():
            if self.saves is not None:
                if not self.saves:
                    raise KilledError
                self.saves -= 1
            OrganisationFollower._note(self, {part: state})  # `super()` knows no slotted dataclass

    def twin(self, saves: int) -> "MortalFollower":
        """Return one who knows the same, and will be killed."""
        return MortalFollower(
            self.source,
            batch=self.batch,
            cursor=dict(self.cursor),
            documents=dict(self.documents),
            groups=dict(self.groups),
            saves=saves,
        )

    async def settle(self) -> None:
        """Look again after a kill, and see that all is as it should be."""
        self.saves = None
        await self.follow()
        assert self.view() == self.source.truth()
        assert not self.stale
        changes = await self.follow()
        assert changes == []


@pytest.fixture
def source() -> OrganisationSource:
    return direct_source()


@pytest.fixture(autouse=True)
def _small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let neighbours be in parts of their own."""
    monkeypatch.setattr(Ledger.__init__, "__kwdefaults__", {"leaf_items": 1})


@pytest.fixture
def follower(source: OrganisationSource) -> MortalFollower:
    return MortalFollower(source, batch=2)


def filled(source: OrganisationSource, *paths: str) -> Repo:
    """Make a repository of these files; their ends do not say what a link would."""
    repo = source.state.add_repo("code")
    for path in paths or ("a.md", "b.md", "docs/c.md"):
        repo.put(path, f"{path}\n".encode() + LINES)
    return repo


def ids(follower: OrganisationFollower) -> dict[str, str]:
    """Return, by path, the rest of the id of the document there."""
    return {
        str(document.attributes["path"]): external_id.partition("/file/")[2]
        for external_id, document in follower.documents.items()
    }


def kinds(changes: Sequence[SourceChange]) -> list[type]:
    return [type(each.what) for each in changes]


def moved(*pairs: tuple[str, str]) -> Step:
    """Move at once, so that what is at a path may go where another one was."""

    def step(repo: Repo) -> None:
        tree = repo.tree()
        taken = [(new, tree.pop(old)) for old, new in pairs]
        repo.commit(tree | dict(taken))

    return step


def put(path: str, text: str) -> Step:
    return lambda repo: repo.put(path, text.encode() + LINES)


def both(first: Step, second: Step) -> Step:
    """Push two commits at once."""

    def step(repo: Repo) -> None:
        first(repo)
        second(repo)

    return step


def forced(step: Step) -> Step:
    """Let a step be in place of the newest commit, which nobody knows any more."""

    def rewritten(repo: Repo) -> None:
        step(repo)
        repo.commit(repo.tree(), forced=True)
        assert repo.head is not None
        repo.commits[repo.head].parents = ()
        repo.forget()

    return rewritten


RENAMED = moved(("a.md", "z.md"))
LIVES: dict[str, list[Step]] = {
    "rename and back": [RENAMED, moved(("z.md", "a.md"))],
    "chain": [RENAMED, moved(("z.md", "y.md")), moved(("y.md", "docs/x.md")), moved(("docs/x.md", "a.md"))],
    "swap": [moved(("a.md", "b.md"), ("b.md", "a.md")), put("a.md", "edited\n")],
    "swap by a third": [moved(("a.md", "t.md")), moved(("b.md", "a.md")), moved(("t.md", "b.md"))],
    "another at the old path": [RENAMED, put("a.md", "new\n"), moved(("z.md", "q.md")), moved(("a.md", "z.md"))],
    "several at the old path": [RENAMED, put("a.md", "2\n"), moved(("a.md", "y.md")), put("a.md", "3\n"), RENAMED],
    "folder": [moved(("docs/c.md", "text/c.md"), ("a.md", "text/a.md")), moved(("text/c.md", "docs/c.md"))],
    "edited as well": [both(RENAMED, put("z.md", "a.md, edited\n")), both(moved(("z.md", "q.md")), put("q.md", "3\n"))],
    "copied, then gone": [lambda repo: repo.put("z.md", repo.files()["a.md"]), lambda repo: repo.remove("a.md")],
    "came and went": [both(put("m.md", "m\n"), put("n.md", "n\n")), lambda repo: repo.remove("m.md")],
    "forced": [forced(RENAMED), forced(put("a.md", "new\n")), forced(moved(("z.md", "y.md"), ("a.md", "z.md")))],
    "others leave": [moved(("a.md", "z.md"), ("b.md", "y.md")), put("a.md", "new\n"), lambda repo: repo.remove("z.md")],
}


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("batch", [1, 3])
async def test_killed_before_any_save_it_ends_where_the_source_is(life: str, batch: int) -> None:
    """Each look is killed at each of its saves, and begun again on the same state."""
    source = direct_source()
    repo, alive = filled(source), MortalFollower(source, batch=batch)
    await alive.follow()
    for step in LIVES[life]:
        step(repo)
        for saves in range(9):
            follower = alive.twin(saves)
            with suppress(KilledError):
                await follower.follow()
                alive = follower
            await follower.settle()
            if alive is follower:
                break
        assert alive is follower


@pytest.mark.parametrize("life", LIVES)
async def test_cut_anywhere_while_the_source_lives_on_it_ends_where_the_source_is(life: str) -> None:
    """What was submitted is noted, and the next look is at a later state."""
    for cut in range(4):
        source = direct_source()
        repo, follower = filled(source), MortalFollower(source, batch=1)
        await follower.follow()
        for step in LIVES[life]:
            step(repo)
            if cut:
                await follower.follow(at_most=cut)
        await follower.settle()


@pytest.mark.parametrize("saves", [0, 1])
@pytest.mark.parametrize(
    "steps",
    [
        [lambda repo: repo.remove("a.md"), lambda repo: repo.put("z.md", b"a.md\n" + LINES)],
        LIVES["copied, then gone"],
        LIVES["chain"][:2],
    ],
    ids=["removed, then elsewhere", "copied, then gone", "renamed twice"],
)
async def test_what_was_submitted_and_never_noted_does_no_harm_to_renames(steps: list[Step], saves: int) -> None:
    source = direct_source()
    repo, follower = filled(source), MortalFollower(source, batch=8)
    await follower.follow()
    steps[0](repo)
    follower.saves = saves
    with suppress(KilledError):
        await follower.follow()
    steps[1](repo)
    await follower.settle()


async def test_a_rename_costs_no_content(source: OrganisationSource, follower: MortalFollower) -> None:
    repo = filled(source)
    await follower.follow()
    downloads, asked = source.downloads, len(source.server.requests)
    moved(("a.md", "text/z.md"), ("docs/c.md", "text/c.md"))(repo)
    assert kinds(await follower.follow()) == [Patched, Patched]
    assert ids(follower) == {"text/z.md": "a.md", "b.md": "b.md", "text/c.md": "docs/c.md"}
    assert source.downloads == downloads
    assert not [each for each in source.server.requests[asked:] if "trees" in each]
    await follower.settle()
    moved(("text/z.md", "a.md"))(repo)
    assert kinds(await follower.follow()) == [Patched]
    assert ids(follower)["a.md"] == "a.md"


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


@pytest.mark.parametrize("seed", range(4))
async def test_any_life_is_followed(source: OrganisationSource, seed: int) -> None:
    """Few contents and few names, so that much is ambiguous; looks of every kind, some cut off."""
    chance = random.Random(seed)
    repo, follower = filled(source, "stays.md"), MortalFollower(source, batch=chance.randint(1, 4))
    paths = [f"{folder}{name}.md" for folder in ("", "d/", "e/") for name in "abc"]
    for _ in range(60):
        old, new = chance.choice(paths), chance.choice(paths)
        act = chance.choice(["put", "put", "move", "move", "move", "copy", "remove", "folder", "edit"])
        if act == "put":
            put(new, f"{chance.randint(0, 3)}\n")(repo)
        elif act == "folder":
            pairs = [(each, each.replace("d/", "e/")) for each in repo.tree() if each.startswith("d/")]
            moved(*pairs)(repo)
        elif old in repo.tree():
            if act == "copy":
                repo.put(new, repo.files()[old])
            if act in {"move", "edit"}:
                moved((old, new))(repo)
            if act == "edit":
                put(new, f"{chance.random()}\n")(repo)
            if act == "remove":
                repo.remove(old)
        if chance.random() < 0.1:
            forced(lambda _: None)(repo)
        source.server.tree_entries, source.server.compared_files = chance.choice([2, 99]), chance.choice([2, 99])
        connector, at_most = source.connector(), chance.choice([None, None, 1, 2])
        match chance.choice(["changes", "changes", "nothing", "everything", "items"]):
            case "changes":
                await follower.follow(at_most)
            case "everything":
                await follower.submit(connector.everything(dict(follower.cursor)), at_most)
            case "items":
                named = {f"repo:{repo.id}/file/{each}" for each in (old, new, "/2/a.md")}
                await follower.submit(connector.items(named, dict(follower.cursor)), at_most)
    await follower.settle()
    held = {
        file_id(repo.id, key)
        for part, state in follower.cursor.items()
        if part.startswith("f:")
        for key in decoded(state)
    }
    assert follower.documents.keys() <= held


def test_ids_tell_their_keys() -> None:
    for key in ("a.md", "docs/2/a.md", key_again("a/b.md", 2), key_again("a\n.md", 11)):
        found = named(file_id(7, key))
        assert found is not None
        assert found.path == key
    assert file_id(7, key_again("a/b.md", 2)) == "repo:7/file//2/a/b.md"
    assert [named(f"repo:7/file/{each}") for each in ("/a.md", "/0/a.md", "/02/a.md", "/2//a.md", "a\0b")] == [None] * 5
