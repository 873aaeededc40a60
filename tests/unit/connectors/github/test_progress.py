"""What a pass has still to look at, and what it does not look at again because something else could not be read."""

from connectors.protocol import Left, Patched, SourceChange
from tests.support.github_source import OrganisationSource
from tests.support.github_state import Repo
from tests.support.sources import Follower


def left(change: SourceChange) -> int | None:
    return change.left.items if change.left is not None else None


def _filled(source: OrganisationSource, name: str) -> Repo:
    repo = source.state.add_repo(name)
    for number in range(4):
        repo.put(f"{number}.md", b"text\n")
    source.state.new_issue(repo, "Title", "Body")
    return repo


async def test_a_pass_over_everything_tells_what_is_left(source: OrganisationSource, follower: Follower) -> None:
    repos = [_filled(source, name) for name in ("one", "two")]
    first = [each async for each in source.connector().everything({})]
    assert {each.left for each in first if isinstance(each, SourceChange)} == {None}
    await follower.follow()
    for repo in repos:
        source.state.rename(repo, f"{repo.name}-renamed")
    repos[0].remove("3.md")
    changes = [each async for each in source.connector().everything(dict(follower.cursor))]
    told = [left(each) for each in changes if isinstance(each, SourceChange)]
    # Of five documents each: those that are met are counted off; the one that is gone counts until its repository ends.
    assert [each or 0 for each in told] == sorted((each or 0 for each in told), reverse=True)
    assert told[0] == 8
    assert told[-1] is None
    assert len(told) == 10


async def test_a_pass_in_which_nothing_has_changed_tells_what_is_left_after_each_repository(
    source: OrganisationSource, follower: Follower
) -> None:
    for name in ("one", "two", "three"):
        _filled(source, name)
    await follower.follow()
    told = [each async for each in source.connector().everything(dict(follower.cursor))]
    assert [each for each in told if isinstance(each, Left)] == [Left(items=10, of=15), Left(items=5, of=15)]


async def test_a_pass_over_changes_does_not_pretend_to_know(source: OrganisationSource, follower: Follower) -> None:
    repo = _filled(source, "one")
    await follower.follow()
    repo.put("0.md", b"edited\n")
    assert [each.left for each in await follower.follow()] == [None]
    source.state.rename(repo, "renamed")  # all that is held is met
    changes = [each async for each in source.connector().changes(dict(follower.cursor))]
    assert not [each for each in changes if isinstance(each, Left)]
    assert {each.left for each in changes if isinstance(each, SourceChange)} == {None}


async def test_releases_that_may_not_be_read_cost_one_request_and_nothing_else(
    source: OrganisationSource, follower: Follower
) -> None:
    source.settings["releases"] = True
    repo = _filled(source, "code")
    await follower.follow()
    await follower.follow()
    source.server.requests.clear()
    await follower.follow()
    usual = sorted(source.server.requests)
    follower.cursor.clear()
    source.server.refused = {"releases": 403}
    await follower.follow()
    assert [*follower.failed] == [f"repo:{repo.id}"]
    assert follower.view() == source.truth()
    await follower.follow()
    source.server.requests.clear()
    assert await follower.follow() == []
    assert [*follower.failed] == [f"repo:{repo.id}"]  # told again, as long as it is so
    assert sorted(source.server.requests) == usual


async def test_what_could_not_be_read_is_looked_at_as_a_whole_when_it_can(
    source: OrganisationSource, follower: Follower
) -> None:
    source.settings["releases"] = True
    repo = _filled(source, "code")
    source.state.new_release(repo, "v1", "Notes")
    source.state.tick(3600)  # so that the first issue is none of those that were updated of late
    source.state.new_issue(repo, "Later", "Body")
    await follower.follow()
    source.server.refused = {"releases": 403, "issues": 403}
    source.state.rename(repo, "renamed")
    assert len(await follower.follow()) == 4  # files alone say their new address
    assert await follower.follow() == []
    source.server.refused = {"releases": 403}
    issues = [f"repo:{repo.id}/issue/{number}" for number in (1, 2)]
    assert [each.external_id for each in await follower.follow()] == issues
    source.server.refused = {}
    (release,) = await follower.follow()
    assert isinstance(release.what, Patched)
    assert release.what.patch.url == "https://github.test/acme/renamed/releases/tag/v1"
    source.server.requests.clear()
    assert await follower.follow() == []
    assert not any("/git/trees/" in each for each in source.server.requests)


async def test_a_full_pass_that_fails_in_part_leaves_the_next_one_incremental(
    source: OrganisationSource, follower: Follower
) -> None:
    repo = _filled(source, "code")
    await follower.follow()
    source.server.refused = {"git/trees": 403}
    await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert [*follower.failed] == [f"repo:{repo.id}"]
    repo.put("0.md", b"edited\n")
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/file/0.md"]
