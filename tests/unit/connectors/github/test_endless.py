"""Listings that do not come to an end: a page whose next one was there before, a cursor that does not move."""

import pytest

from connectors.paging import EndlessListingError, EndlessPartError, Pages
from tests.support.github_source import OrganisationSource
from tests.support.sources import Follower

SAID = ("Comments", "Replies")


@pytest.fixture
async def changed(source: OrganisationSource, follower: Follower) -> OrganisationSource:
    """A source that was followed, and then changed in everything that a listing tells of."""
    source.settings |= {"releases": True, "discussions": True}
    state, repo = source.state, source.state.add_repo("code", direct={"ann-hub"})
    repo.put("a.md", b"text")
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(5)]
    discussions = [state.new_discussion(repo, f"Title {number}", "Body") for number in range(5)]
    releases = [state.new_release(repo, f"v{number}", "Body") for number in range(5)]
    other = state.add_repo("other", direct={"ann-hub"})
    other.put("b.md", b"text")
    await follower.follow()
    state.tick(600)
    for issue in issues:
        state.comment(issue, "Comment")
    for discussion in discussions:
        remark = state.remark(discussion, "Remark")
        for _ in range(4):
            state.remark(discussion, "Reply", on=remark)
    releases[-1].body = "Edited"
    repo.put("a.md", b"another text")
    other.put("b.md", b"another text")
    state.members["bob-hub"] = "member"
    repo.direct.add("lea-hub")
    return source


async def followed_to_the_end(source: OrganisationSource, follower: Follower) -> None:
    assert follower.deleted == []
    source.server.stands_still = None
    await follower.follow()
    assert follower.view() == source.truth()


@pytest.mark.parametrize("listing", ["orgs/acme/repos$", "members$", "collaborators$"])
async def test_a_listing_of_what_there_is_or_who_may_read_ends_the_pass(
    changed: OrganisationSource, follower: Follower, listing: str
) -> None:
    changed.server.stands_still, changed.server.cursor_of_all = listing, "same"
    with pytest.raises(EndlessListingError, match="does not end; nothing is deleted"):
        await follower.submit(changed.connector().everything(dict(follower.cursor)))
    await followed_to_the_end(changed, follower)


@pytest.mark.parametrize(
    ("listing", "whole", "cursor"),
    [
        *((each, True, "same") for each in ("code/issues$", "issues/1/comments$", "releases$", "Discussions", *SAID)),
        *((each, True, None) for each in ("Discussions", *SAID)),
        *((each, False, "same") for each in ("code/issues$", "Discussions")),
    ],
)
async def test_a_listing_of_one_repositorys_is_left_and_all_else_is_read(
    changed: OrganisationSource, follower: Follower, listing: str, *, whole: bool, cursor: str | None
) -> None:
    changed.server.stands_still, changed.server.cursor_of_all = listing, cursor
    passing = changed.connector().everything if whole else changed.connector().changes
    await follower.submit(passing(dict(follower.cursor)))
    assert {type(each) for each in follower.failed.values()} == {EndlessPartError}
    assert all("does not end; nothing is deleted" in str(each) for each in follower.failed.values())
    files = {name: text for name, (text, _) in follower.view().items() if text == "another text"}
    assert len(files) == 2, "of this repository and of the other"
    await followed_to_the_end(changed, follower)


def test_a_listing_of_ever_new_pages_comes_to_an_end() -> None:
    pages = Pages(name="issues", first="1", most=3)
    assert [pages.after("2"), pages.after("3")] == ["2", "3"]
    with pytest.raises(EndlessListingError, match="issues"):
        pages.after("4")
