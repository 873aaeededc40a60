"""Issues and pull requests: by time of update, whatever happens while they are listed."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from connectors.protocol import Deleted, Observed, Upserted
from tests.support.github_source import OrganisationSource
from tests.support.sources import Follower


async def test_an_edit_and_a_comment_are_found_by_their_time(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body", pull=number % 2 == 0) for number in range(7)]
    await follower.follow()
    state.tick(600)
    state.edit(issues[1], "Edited")
    state.comment(issues[4], "Comment")
    changes = await follower.follow()
    assert sorted(each.external_id for each in changes) == [f"repo:{repo.id}/issue/{number}" for number in (2, 5)]
    assert follower.view() == source.truth()


@pytest.mark.parametrize("days", [-3_000, 3_000])
async def test_a_clock_that_is_off_changes_nothing(source: OrganisationSource, follower: Follower, days: int) -> None:
    state = source.state
    state.now += timedelta(days=days)  # our clock and the server's are years apart
    repo = state.add_repo("code")
    repo.put("a.md", b"text\n")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(4)]
    await follower.follow()
    assert follower.view() == source.truth()
    state.tick(600)
    state.edit(issues[2], "Edited")
    repo.put("a.md", b"edited\n")
    assert len(await follower.follow()) == 2
    assert follower.view() == source.truth()
    assert follower.stale == []
    assert await follower.follow() == []


async def test_issues_that_come_twice_are_told_once(source: OrganisationSource, follower: Follower) -> None:
    source.server.duplicates_items = True
    repo = source.state.add_repo("code")
    for number in range(8):
        source.state.new_issue(repo, f"Title {number}", "Body")
    told = [each.external_id for each in await follower.follow()]
    assert sorted(told) == sorted({f"repo:{repo.id}/issue/{number}" for number in range(1, 9)})
    assert follower.view() == source.truth()
    assert await follower.follow() == []


async def test_issues_of_one_second_are_told_over_several_pages(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(8)]
    await follower.follow()
    at = state.tick(600)
    for issue in issues:
        issue.body, issue.updated_at = "Edited by a script", at
    assert len(await follower.follow()) == 8
    assert follower.view() == source.truth()


async def test_what_is_updated_while_pages_are_read_hides_nothing(
    source: OrganisationSource, follower: Follower
) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(8)]
    await follower.follow()
    for issue in issues:
        state.tick(600)  # farther apart than looks overlap
        state.edit(issue, "Edited")
    passing = source.connector().changes(dict(follower.cursor))
    async for change in passing:  # the first page was read: its issues now move behind all others
        for issue in issues[:3]:
            state.edit(issue, "Edited again")
        await follower.submit(_one(change))
        break
    await follower.submit(passing)
    await follower.follow()
    assert follower.view() == source.truth()


async def test_what_is_updated_during_a_whole_listing_is_found_by_the_next_look(
    source: OrganisationSource, follower: Follower
) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(6)]
    passing = source.connector().changes({})
    async for change in passing:
        await follower.submit(_one(change))
        if "/issue/" in getattr(change, "external_id", ""):
            break
    for issue in (issues[0], issues[5]):  # one was listed already, one was not
        state.tick(600)
        state.edit(issue, "Edited")
    await follower.submit(passing)
    await follower.follow()
    assert follower.view() == source.truth()


async def test_an_issue_that_is_deleted_during_the_first_listing_hides_no_other(
    source: OrganisationSource, follower: Follower
) -> None:
    state, repo = source.state, source.state.add_repo("code")
    for number in range(8):
        state.new_issue(repo, f"Title {number}", "Body")
    source.server.on_answer = lambda path: repo.issues.pop(2, None) if path.endswith("page=2") else None
    await follower.follow()
    assert 2 not in repo.issues
    known, truth = follower.view(), source.truth()
    assert {each: known.get(each) for each in truth} == truth


async def _one(change: Observed) -> AsyncIterator[Observed]:
    yield change


async def test_a_deleted_issue_is_missed_by_a_whole_listing(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    for number in range(5):
        state.new_issue(repo, f"Title {number}", "Body")
    await follower.follow()
    del repo.issues[2]
    changes = await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert [(each.external_id[-1], type(each.what)) for each in changes] == [("2", Deleted)]


@pytest.mark.parametrize("named", [False, True])
async def test_an_issue_that_was_transferred_is_one_of_the_other_repository(
    source: OrganisationSource, follower: Follower, *, named: bool
) -> None:
    """GitHub leads from the old address to the new one, whose readers are others."""
    state = source.state
    code, closed = state.add_repo("code", direct={"ann-hub"}), state.add_repo("closed")
    issue = state.new_issue(code, "Title", "Body")
    await follower.follow()
    state.transfer(code, issue, closed)
    connector, since = source.connector(), dict(follower.cursor)
    looked = connector.items([f"repo:{code.id}/issue/1"], since) if named else connector.everything(since)
    assert f"repo:{code.id}/issue/1" in {
        each.external_id for each in await follower.submit(looked) if isinstance(each.what, Deleted)
    }
    await follower.follow()
    assert follower.view() == source.truth()


async def test_an_issue_that_a_listing_lacks_is_asked_for(source: OrganisationSource, follower: Follower) -> None:
    for repo in (source.state.add_repo("code"), source.state.add_repo("docs")):
        for number in range(4):
            source.state.new_issue(repo, f"Title {number}", "Body")
    await follower.follow()
    source.state.unlisted = {2}  # pages shifted while they were read
    assert await follower.submit(source.connector().everything(dict(follower.cursor))) == []
    assert follower.view() == source.truth()


async def test_nothing_new_is_asked_for_from_where_the_last_look_ended(
    source: OrganisationSource, follower: Follower
) -> None:
    repo = source.state.add_repo("code")
    for number in range(2):
        source.state.new_issue(repo, f"Title {number}", "Body")
    for _ in range(2):
        await follower.follow()
    source.server.answered.clear()
    for _ in range(3):
        assert await follower.follow() == []
    assert not any("/issues" in each for each in source.server.answered)
    assert not any("since=1970" in each for each in source.server.requests)


async def test_a_page_that_stays_as_it_was_hides_no_edit(source: OrganisationSource, follower: Follower) -> None:
    """It is full: what is updated goes behind it."""
    repo = source.state.add_repo("code")
    issues = [source.state.new_issue(repo, f"Title {number}", "Body") for number in range(5)]
    for _ in range(2):
        await follower.follow()
    source.state.edit(issues[4], "Edited")
    assert [each.external_id[-1] for each in await follower.follow()] == ["5"]
    assert follower.view() == source.truth()


async def test_closed_ones_are_read_and_a_closing_is_an_edit(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(5)]
    issues[1].state = "closed"
    await follower.follow()
    assert follower.view() == source.truth()
    state.tick(600)
    issues[3].state = "closed"
    state.edit(issues[3], "Done")
    assert [each.external_id[-1] for each in await follower.follow()] == ["4"]
    assert follower.view() == source.truth()


async def test_what_github_lists_late_is_found(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    newest = state.new_issue(repo, "Title", "Body")
    await follower.follow()
    late = state.new_issue(repo, "Late", "Body")
    late.created_at = late.updated_at = newest.updated_at - timedelta(minutes=2)
    assert len(await follower.follow()) == 1
    assert follower.view() == source.truth()


async def test_comments_that_cannot_be_read_are_asked_for_again(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(2)]
    await follower.follow()
    for issue in issues:
        state.tick(600)  # farther apart than looks overlap
        state.comment(issue, "Comment")
    source.server.refused = {"issues/1/comments$": 403}
    for _ in range(2):
        follower.failed.clear()
        await follower.follow()
        assert follower.failed.keys() == {f"repo:{repo.id}/issue/1"}
    source.server.refused = {}
    assert [each.external_id[-1] for each in await follower.follow()] == ["1"]
    assert follower.view() == source.truth()


async def test_one_issue_is_read_anew_when_it_is_named(source: OrganisationSource, follower: Follower) -> None:
    state, repo = source.state, source.state.add_repo("code")
    issue = state.new_issue(repo, "Title", "Body")
    state.comment(issue, "Comment")
    await follower.follow()
    issue.comments[0].body = "Edited in the second in which it was read"
    assert await follower.follow() == []
    named = [f"repo:{repo.id}/issue/1"]
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Upserted]
    assert follower.view() == source.truth()
    repo.issues.clear()
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Deleted]


async def test_what_is_named_beside_its_repository_is_looked_at_too(
    source: OrganisationSource, follower: Follower
) -> None:
    """Deliveries of a push and of what no time of update tells of are one sync."""
    source.settings["discussions"] = True
    state, repo = source.state, source.state.add_repo("code")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(3)]
    state.comment(issues[0], "Comment")
    discussions = [state.new_discussion(repo, f"Title {number}", "Body") for number in range(2)]
    await follower.follow()
    issues[0].comments[0].body = "Edited, which moves no time"
    del repo.issues[2], repo.discussions[2]
    discussions[0].body = "Edited, which moves no time"
    repo.put("a.md", b"text\n")
    repo.direct.add("ann-hub")
    things = ("", "/issue/1", "/issue/2", "/discussion/1", "/discussion/2")
    looked = source.connector().items([f"repo:{repo.id}{each}" for each in things], dict(follower.cursor))
    changes = await follower.submit(looked)
    assert {each.external_id.partition("/")[2]: type(each.what) for each in changes} == {
        "issue/1": Upserted,
        "issue/2": Deleted,
        "discussion/1": Upserted,
        "discussion/2": Deleted,
        "file/a.md": Upserted,
    }
    assert follower.view() == source.truth()


@pytest.mark.parametrize("looks", ["changes", "everything", "items"])
async def test_issues_that_are_switched_off_are_deleted_and_come_back(
    source: OrganisationSource, follower: Follower, looks: str
) -> None:
    repo = source.state.add_repo("code")
    for number in range(4):
        source.state.tick(600)  # farther apart than looks overlap
        source.state.comment(source.state.new_issue(repo, f"Title {number}", "Body"), "Comment")
    await follower.follow()
    repo.has_issues = False
    connector, since = source.connector(), dict(follower.cursor)
    named = [f"repo:{repo.id}/issue/{number}" for number in range(1, 5)]
    looked = connector.items(named, since) if looks == "items" else getattr(connector, looks)(since)
    assert [type(each.what) for each in await follower.submit(looked)] == [Deleted] * 4
    assert not follower.failed
    assert not follower.waiting
    assert follower.view() == source.truth()
    assert await follower.follow() == []
    repo.has_issues = True
    assert len(await follower.follow()) == 4
    assert follower.view() == source.truth()


async def test_pull_requests_that_are_listed_without_issues_stay(
    source: OrganisationSource, follower: Follower
) -> None:
    repo = source.state.add_repo("code")
    issues = [source.state.new_issue(repo, f"Title {number}", "Body", pull=number > 0) for number in range(4)]
    await follower.follow()
    repo.has_issues, source.state.pulls_stay = False, True
    source.state.edit_comment(source.state.comment(issues[2], "Comment"), "Edited")
    assert {each.external_id[-1]: type(each.what) for each in await follower.follow()} == {"1": Deleted, "3": Upserted}
    assert follower.view() == source.truth()
    assert await follower.follow() == []
    repo.has_issues = True
    assert [each.external_id[-1] for each in await follower.follow()] == ["1"]
    assert follower.view() == source.truth()


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_issues_that_cannot_be_listed_are_reported_and_stay(
    source: OrganisationSource, follower: Follower, status: int
) -> None:
    repo = source.state.add_repo("code")
    source.state.new_issue(repo, "Title", "Body")
    await follower.follow()
    source.server.refused = {"code/issues": status}
    for looks in (source.connector().changes, source.connector().everything):
        follower.failed.clear()
        assert await follower.submit(looks(dict(follower.cursor))) == []
        assert follower.failed.keys() == {f"repo:{repo.id}"}
    assert follower.view() == source.truth()


async def test_issues_that_are_not_wanted_any_more_go(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code")
    repo.put("a.md", b"text\n")
    source.state.new_issue(repo, "Title", "Body")
    await follower.follow()
    source.settings["issues"] = "false"
    assert [type(each.what) for each in await follower.follow()] == [Deleted]
    assert await follower.follow() == []
