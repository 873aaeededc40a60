"""What GitHub tells of by webhooks alone is found by a listing of everything, once a day."""

from connectors.protocol import Deleted, Upserted
from tests.support.github_source import OrganisationSource
from tests.support.sources import Follower


async def test_what_was_deleted_is_found_within_a_day(source: OrganisationSource, follower: Follower) -> None:
    source.settings["discussions"] = True
    now_ns = source.clock_ns()
    source.clock_ns = lambda: now_ns
    state, repo = source.state, source.state.add_repo("code")
    for number in range(3):
        state.new_issue(repo, f"Title {number}", "Body")
        state.new_discussion(repo, f"Title {number}", "Body")
    state.comment(repo.issues[1], "Comment")
    state.tick(600)  # the others are older than what the next look asks for
    state.new_issue(repo, "Newest", "Body")
    await follower.follow()
    del repo.issues[2], repo.discussions[3]
    repo.issues[1].comments.clear()
    now_ns += int(17.5 * 3600 * 1e9)
    assert await follower.follow() == []  # no listing by time of update tells of it
    now_ns += int(6.5 * 3600 * 1e9)
    changes = await follower.follow()
    assert {each.external_id: type(each.what) for each in changes} == {
        f"repo:{repo.id}/issue/1": Upserted,
        f"repo:{repo.id}/issue/2": Deleted,
        f"repo:{repo.id}/discussion/3": Deleted,
    }
    assert follower.view() == source.truth()
    asked = len(source.server.requests)
    assert await follower.follow() == []
    assert not any("sort=created" in each for each in source.server.requests[asked:])


async def test_a_clock_that_went_back_puts_no_listing_off(source: OrganisationSource, follower: Follower) -> None:
    now_ns = source.clock_ns()
    source.clock_ns = lambda: now_ns
    repo = source.state.add_repo("code")
    for number in range(3):
        source.state.new_issue(repo, f"Title {number}", "Body")
    await follower.follow()
    del repo.issues[2]
    now_ns -= 1_000 * 10**9
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/issue/2"]
