"""Comments that are edited: no time of their issue moves, and their own listings tell."""

import json
from collections.abc import AsyncIterator

import pytest

from connectors.protocol import Observed, Upserted
from tests.support.github_source import OrganisationSource
from tests.support.github_state import FakeComment, FakeIssue, Repo
from tests.support.sources import Follower

LATER_S = 600  # farther apart than looks overlap


@pytest.fixture
def repo(source: OrganisationSource) -> Repo:
    return source.state.add_repo("code")


def commented(source: OrganisationSource, repo: Repo, count: int = 4, path: str | None = None) -> list[FakeIssue]:
    """Make issues, or with a path pull requests, with a comment each."""
    issues = [source.state.new_issue(repo, f"Title {number}", "Body", pull=path is not None) for number in range(count)]
    for issue in issues:
        source.state.comment(issue, "Comment", path=path)
    return issues


def reword(source: OrganisationSource, comment: FakeComment) -> None:
    source.state.tick(LATER_S)
    source.state.edit_comment(comment, "Edited")


def looked(source: OrganisationSource, follower: Follower, looks: str) -> AsyncIterator[Observed]:
    found: AsyncIterator[Observed] = getattr(source.connector(), looks)(dict(follower.cursor))
    return found


@pytest.mark.parametrize("looks", ["changes", "everything"])
@pytest.mark.parametrize("path", [None, "src/main.py"])
async def test_an_edited_comment_is_found_and_its_issue_alone_is_read(
    source: OrganisationSource, follower: Follower, repo: Repo, path: str | None, looks: str
) -> None:
    issues = commented(source, repo, path=path)
    for _ in range(2):
        await follower.follow()
    reword(source, issues[1].comments[0])
    changes = await follower.submit(looked(source, follower, looks))
    assert [(each.external_id[-1], type(each.what)) for each in changes] == [("2", Upserted)]
    assert follower.view() == source.truth()
    for again in ("changes", "everything"):
        assert await follower.submit(looked(source, follower, again)) == []


async def test_an_edit_while_it_is_read_is_not_read_twice(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    (issue,) = commented(source, repo, count=1)

    def edited(path: str) -> None:
        if path.partition("?")[0].endswith("/issues/1/comments") and issue.comments[0].body == "Comment":
            reword(source, issue.comments[0])

    source.server.on_answer = edited
    await follower.follow()
    assert issue.comments[0].body == "Edited"
    assert follower.view() == source.truth()
    assert await follower.follow() == []


async def test_edits_of_one_second_are_found_over_several_pages(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    issues = commented(source, repo, count=8)
    await follower.follow()
    at = source.state.tick(LATER_S)
    for issue in issues:
        issue.comments[0].body, issue.comments[0].edited_at = "Edited by a script", at
    assert len(await follower.follow()) == 8
    assert follower.view() == source.truth()
    assert await follower.follow() == []


async def test_an_edit_after_a_first_pass_that_was_cut_is_found(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    issues = commented(source, repo)
    await follower.follow(at_most=2)
    reword(source, issues[0].comments[0])
    await follower.follow()
    assert follower.view() == source.truth()


async def test_edits_before_comments_were_listed_at_all_are_found(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    """A cursor of an earlier version does not say since when."""
    issues = commented(source, repo)
    await follower.follow()
    reword(source, issues[2].comments[0])
    part = f"r:{repo.id}"
    said = json.loads(follower.cursor[part])
    del said["comments"]
    follower.cursor[part] = json.dumps(said).encode()
    assert [each.external_id[-1] for each in await follower.follow()] == ["3"]
    assert follower.view() == source.truth()
    assert await follower.follow() == []


@pytest.mark.parametrize("refused", ["code/issues/comments$", "code/pulls/comments$", "issues/1/comments$"])
async def test_what_is_refused_is_reported_and_asked_for_again(
    source: OrganisationSource, follower: Follower, repo: Repo, refused: str
) -> None:
    issues = commented(source, repo)
    pull = source.state.new_issue(repo, "Pull", "Body", pull=True)
    source.state.comment(pull, "Comment", path="a.md")
    await follower.follow()
    for comment in (issues[0].comments[0], pull.comments[0]):
        reword(source, comment)
    source.state.edit(issues[3], "Edited")
    source.server.refused = {refused: 403}
    await follower.follow()
    assert len(follower.failed) == 1
    assert follower.documents[f"repo:{repo.id}/issue/4"].text.count("Edited") == 1  # it holds up no other
    source.server.refused = {}
    await follower.follow()
    assert not follower.failed
    assert follower.view() == source.truth()
    assert await follower.follow() == []


async def test_a_new_comment_is_read_once(source: OrganisationSource, follower: Follower, repo: Repo) -> None:
    issues = commented(source, repo)
    await follower.follow()
    source.state.tick(LATER_S)
    source.state.comment(issues[1], "Another")
    assert len(await follower.follow()) == 1
    assert await follower.follow() == []
    assert follower.view() == source.truth()
