"""What vanished, or was as before, between a submission and its note: no listing by time tells of it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.github_source import OrganisationSource
from tests.support.github_state import GithubState, Repo
from tests.support.sources import Follower, KilledError

NOTES = 4  # more than a pass with one change has


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be done to the newest document of a kind."""

    make: Callable[[GithubState, Repo, str], object]
    edit: Callable[[GithubState, Repo, str], object]
    remove: Callable[[Repo], object]


KINDS = {
    "file": Kind(
        lambda _, repo, text: repo.put("docs/it.md", text.encode()),
        lambda _, repo, text: repo.put("docs/it.md", text.encode()),
        lambda repo: repo.remove("docs/it.md"),
    ),
    "issue": Kind(
        lambda state, repo, text: state.new_issue(repo, "It", text),
        lambda state, repo, text: state.edit(repo.issues[max(repo.issues)], text),
        lambda repo: repo.issues.popitem(),
    ),
    "release": Kind(
        lambda state, repo, text: state.new_release(repo, "v1", text),
        lambda _, repo, text: setattr(next(reversed(repo.releases.values())), "body", text),
        lambda repo: repo.releases.popitem(),
    ),
    "discussion": Kind(
        lambda state, repo, text: state.new_discussion(repo, "It", text),
        lambda state, repo, text: state.edit(repo.discussions[max(repo.discussions)], text),
        lambda repo: repo.discussions.popitem(),
    ),
    "wiki": Kind(
        lambda _, repo, text: repo.wiki.put("It.md", text.encode()),
        lambda _, repo, text: repo.wiki.put("It.md", text.encode()),
        lambda repo: repo.wiki.remove("It.md"),
    ),
}

kinds = pytest.mark.parametrize("kind", [pytest.param(kind, id=name) for name, kind in KINDS.items()])


@pytest.fixture
async def repo(source: OrganisationSource, follower: Follower) -> Repo:
    """Return a repository that was read once: from here on what it lists by time is enough."""
    source.settings |= {"issues": True, "releases": True, "discussions": True, "wikis": True}
    repo = source.state.add_repo("code", visibility="public")
    for kind in KINDS.values():
        kind.make(source.state, repo, "was there before")
    repo.put("README.md", b"stays")
    repo.wiki.put("Home.md", b"stays")
    await follower.follow()
    return repo


@kinds
async def test_what_vanishes_is_deleted(source: OrganisationSource, follower: Follower, repo: Repo, kind: Kind) -> None:
    kind.remove(repo)
    await follower.follow_all()
    for notes in range(NOTES):
        kind.make(source.state, repo, f"new {notes}")
        was_killed = await killed(follower, notes)
        kind.remove(repo)
        # Of what was noted GitHub's listings by time tell no deletion; a look at everything finds it.
        await (follower.follow() if was_killed else follower.follow_all())
        assert follower.view() == source.truth()
        assert await follower.follow() == []


@kinds
async def test_what_is_as_before_is_submitted_so(
    source: OrganisationSource, follower: Follower, repo: Repo, kind: Kind
) -> None:
    for notes in range(NOTES):
        kind.edit(source.state, repo, "for a moment")
        await killed(follower, notes)
        kind.edit(source.state, repo, "was there before")
        await follower.follow()
        assert follower.view() == source.truth()
        assert await follower.follow() == []


async def killed(follower: Follower, notes: int) -> bool:
    """Follow, and be killed in place of a note in the cursor if there are more than these. Say whether it was."""
    follower.notes_left = notes
    try:
        await follower.follow()
    except KilledError:
        return True
    finally:
        follower.notes_left = None
    return False
