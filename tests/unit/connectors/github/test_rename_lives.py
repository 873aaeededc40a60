"""Renamed files stay the same documents; whatever happens and wherever a look is cut off, nothing is lost or left."""

import random
from contextlib import suppress

import pytest

from connectors.github.ids import file_id
from connectors.github.places import Newcomers
from connectors.leaves import decoded
from tests.support.github_direct import direct_source
from tests.support.github_renames import (
    LINES,
    LIVES,
    KilledError,
    MortalFollower,
    Step,
    filled,
    forced,
    ids,
    moved,
    put,
)
from tests.support.github_source import OrganisationSource

pytestmark = pytest.mark.usefixtures("small_leaves")


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


async def test_a_look_that_fails_half_way_is_no_look_to_compare_with(
    source: OrganisationSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it submitted and the next push removes is in no comparison with what was held before it."""
    monkeypatch.setattr(Newcomers, "is_full", property(lambda self: True))
    repo, follower, server = filled(source, "m.md"), MortalFollower(source, batch=1), source.server
    await follower.follow()
    for path in ("a/1.md", "a/2.md", "z/3.md", "z/4.md"):
        repo.put(path, path.encode() + LINES)
    server.compared_files, server.tree_entries = 2, 4  # too much for a comparison, and the tree comes by its folders
    trees = 0

    def refuse_the_last_folder(request: str) -> None:
        nonlocal trees
        trees += "git/trees/" in request
        server.refused = {"git/trees/": 403} if trees == 4 else {}

    server.on_answer = refuse_the_last_folder
    await follower.follow()
    assert {"a/1.md", "a/2.md"} <= ids(follower).keys()
    assert "z/3.md" not in ids(follower)
    server.on_answer, server.refused, server.compared_files = None, {}, 99
    repo.remove("a/1.md")
    await follower.settle()


@pytest.mark.parametrize("known", [True, False])
async def test_a_push_that_is_taken_back_leaves_nothing_of_a_look_that_was_cut_off(*, known: bool) -> None:
    """The commit is the one that is held, by its ETag too, and yet more is held than is in it."""
    source = direct_source()
    repo, follower = filled(source), MortalFollower(source, batch=1)
    await follower.follow()
    before = repo.head
    put("0.md", "new\n")(repo)
    put("1.md", "new\n")(repo)
    await follower.follow(at_most=1)
    assert "0.md" in ids(follower)
    repo.head = before
    if not known:
        repo.commit(repo.tree())
    await follower.settle()


@pytest.mark.parametrize("seed", range(4))
async def test_any_life_is_followed(seed: int) -> None:
    """Few contents and few names, so that much is ambiguous; looks of every kind, some cut off."""
    chance, source = random.Random(seed), direct_source()
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
