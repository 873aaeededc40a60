"""Listings that do not come to an end: a page whose next one was there before, a cursor that does not move."""

import pytest

from connectors.paging import EndlessListingError, Pages
from tests.support.github_source import OrganisationSource
from tests.support.sources import Follower

REST = ("orgs/acme/repos$", "members$", "collaborators$", "code/issues$", "issues/1/comments$", "releases$")
SAID = ("Comments", "Replies")


@pytest.mark.parametrize(
    ("listing", "whole", "cursor"),
    [
        *((each, True, "same") for each in (*REST, "Discussions", *SAID)),
        *((each, True, None) for each in ("Discussions", *SAID)),
        *((each, False, "same") for each in ("code/issues$", "Discussions")),
    ],
)
async def test_a_listing_without_an_end_ends_the_pass_and_deletes_nothing(
    source: OrganisationSource, follower: Follower, listing: str, *, whole: bool, cursor: str | None
) -> None:
    source.settings |= {"releases": True, "discussions": True}
    state, repo = source.state, source.state.add_repo("code", direct={"ann-hub"})
    issues = [state.new_issue(repo, f"Title {number}", "Body") for number in range(5)]
    discussions = [state.new_discussion(repo, f"Title {number}", "Body") for number in range(5)]
    releases = [state.new_release(repo, f"v{number}", "Body") for number in range(5)]
    await follower.follow()
    state.tick(600)
    for issue in issues:
        state.comment(issue, "Comment")
    for discussion in discussions:
        remark = state.remark(discussion, "Remark")
        for _ in range(4):
            state.remark(discussion, "Reply", on=remark)
    releases[-1].body = "Edited"
    state.members["bob-hub"] = "member"
    repo.direct.add("lea-hub")
    source.server.stands_still, source.server.cursor_of_all = listing, cursor
    passing = source.connector().everything if whole else source.connector().changes
    with pytest.raises(EndlessListingError, match="does not end; nothing is deleted"):
        await follower.submit(passing(dict(follower.cursor)))
    assert follower.deleted == []
    source.server.stands_still = None
    await follower.follow()
    assert follower.view() == source.truth()


def test_a_listing_of_ever_new_pages_comes_to_an_end() -> None:
    pages = Pages(name="issues", first="1", most=3)
    assert [pages.after("2"), pages.after("3")] == ["2", "3"]
    with pytest.raises(EndlessListingError, match="issues"):
        pages.after("4")
