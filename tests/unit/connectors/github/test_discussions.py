"""Discussions: by time of update, with all comments and replies, and what GraphQL says with a status of 200."""

import json
from datetime import timedelta

import pytest

from connectors.github.webhooks import work_of_delivery
from connectors.protocol import Deleted, ItemFailed, Patched, Upserted
from headwater.clients.egress.errors import SourceAwayError
from headwater.errors import UnauthorisedError
from headwater.sources.github import GithubSettings
from tests.support.github_source import OrganisationSource
from tests.support.github_state import Repo
from tests.support.sources import Follower


@pytest.fixture
def repo(source: OrganisationSource) -> Repo:
    source.settings["discussions"] = True
    return source.state.add_repo("code")


async def test_all_comments_and_replies_are_read_page_by_page(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    discussion = source.state.new_discussion(repo, "Title", "Body")
    for number in range(8):  # three pages
        remark = source.state.remark(discussion, f"Remark {number}")
        for reply in range(number):
            source.state.remark(discussion, f"Reply {reply}", on=remark)
    await follower.follow()
    assert follower.view() == source.truth()


async def test_what_was_updated_is_found_and_nothing_else_is_read(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    state = source.state
    discussions = []
    for number in range(7):
        discussions.append(state.new_discussion(repo, f"Title {number}", "Body"))
        state.tick(600)
    await follower.follow()
    assert follower.view() == source.truth()
    source.server.requests.clear()
    assert await follower.follow() == []
    assert source.server.requests.count("graphql") == 1
    state.edit(discussions[1], "Edited")
    state.remark(discussions[4], "Remark")
    changes = await follower.follow()
    assert sorted(each.external_id[-1] for each in changes) == ["2", "5"]
    assert follower.view() == source.truth()


async def test_what_is_updated_while_pages_are_read_is_found_by_the_next_look(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    state = source.state
    for number in range(7):
        state.new_discussion(repo, f"Title {number}", "Body")
        state.tick(600)
    before = list(repo.discussions.values())

    edited: list[str] = []

    def edit(path: str) -> None:
        if source.server.requests.count("graphql") == 2 and not edited:  # the second page of the first listing
            edited.append(path)
            for discussion in (before[0], before[6]):  # one was not listed yet, one was
                state.edit(discussion, "Edited")

    source.server.on_answer = edit
    await follower.follow()
    assert edited == ["graphql"]
    state.tick(600)
    await follower.follow()
    assert follower.view() == source.truth()


async def test_a_deleted_discussion_is_missed_by_a_whole_listing_and_by_its_name(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    for number in range(3):
        source.state.new_discussion(repo, f"Title {number}", "Body")
    await follower.follow()
    del repo.discussions[2]
    payload = {"repository": {"id": repo.id}, "discussion": {"number": 3}}
    named = work_of_delivery({"X-GitHub-Event": "discussion_comment"}, json.dumps(payload).encode()).items
    assert named == {f"repo:{repo.id}/discussion/3"}
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Upserted]  # read anew: edits of comments are told by nothing else
    changes = await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert [(each.external_id[-1], type(each.what)) for each in changes] == [("2", Deleted)]
    del repo.discussions[3]
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Deleted]
    assert follower.view() == source.truth()


async def test_what_moves_no_time_of_update_is_found_by_a_whole_listing(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    discussions = [source.state.new_discussion(repo, f"Title {number}", "Body") for number in range(3)]
    source.state.remark(discussions[1], "Remark")
    await follower.follow()
    discussions[0].answered = True
    discussions[1].remarks.clear()
    changes = await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert sorted(each.external_id[-1] for each in changes) == ["1", "2"]
    assert follower.view() == source.truth()


@pytest.mark.parametrize("asked", [2, 3])  # what was said, and then the later replies to a comment
async def test_half_of_what_was_said_is_not_stored(
    source: OrganisationSource, follower: Follower, repo: Repo, asked: int
) -> None:
    discussion = source.state.new_discussion(repo, "Title", "Body")
    remark = source.state.remark(discussion, "Remark")
    for number in range(5):
        source.state.remark(discussion, f"Reply {number}", on=remark)

    def delete(_: str) -> None:
        if source.server.requests.count("graphql") == asked:
            repo.discussions.clear()

    source.server.on_answer = delete
    await follower.follow()
    assert follower.failed.keys() == {f"repo:{repo.id}/discussion/1"}
    assert not follower.documents


async def test_a_discussion_that_a_listing_lacks_is_asked_for(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    for number in range(4):
        source.state.new_discussion(repo, f"Title {number}", "Body")
    await follower.follow()
    source.state.unlisted = {2}  # it moved while pages were read
    assert await follower.submit(source.connector().everything(dict(follower.cursor))) == []
    assert follower.view() == source.truth()


async def test_what_github_lists_late_is_found(source: OrganisationSource, follower: Follower, repo: Repo) -> None:
    newest = source.state.new_discussion(repo, "Title", "Body")
    await follower.follow()
    late = source.state.new_discussion(repo, "Late", "Body")
    late.at = late.updated_at = newest.updated_at - timedelta(minutes=2)
    assert len(await follower.follow()) == 1
    assert follower.view() == source.truth()


async def test_what_was_said_and_cannot_be_read_is_asked_for_again(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    state = source.state
    discussions = [state.new_discussion(repo, f"Title {number}", "Body") for number in range(3)]
    await follower.follow()
    for discussion in discussions:
        state.tick(600)  # farther apart than looks overlap
        state.remark(discussion, "Remark")
    source.server.requests.clear()

    def refuse(_: str) -> None:  # after the listing and what was said in the newest: neither the first nor the last
        source.server.graph_error = "INTERNAL" if source.server.requests.count("graphql") == 3 else None

    source.server.on_answer = refuse
    await follower.follow()
    assert follower.failed.keys() == {f"repo:{repo.id}/discussion/2"}
    source.server.on_answer = None
    assert [each.external_id[-1] for each in await follower.follow()] == ["2"]
    assert follower.view() == source.truth()


@pytest.mark.parametrize(
    ("error", "text"), [("FORBIDDEN", "grant the right"), ("INTERNAL", "INTERNAL"), ("NOT_FOUND", "not there")]
)
async def test_an_error_of_graphql_deletes_nothing_and_is_told(
    source: OrganisationSource, follower: Follower, repo: Repo, error: str, text: str
) -> None:
    source.state.new_discussion(repo, "Title", "Body")
    await follower.follow()
    source.server.graph_error = error
    for looks in (source.connector().everything, source.connector().changes):
        found = [each async for each in looks(dict(follower.cursor))]
        assert [each.external_id for each in found if isinstance(each, ItemFailed)] == [f"repo:{repo.id}"]
        assert all(text in str(each.error) for each in found if isinstance(each, ItemFailed))
        assert not any(isinstance(getattr(each, "what", None), Deleted) for each in found)


async def test_a_limit_that_graphql_tells_in_its_body_ends_the_pass(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.server.graph_error = "RATE_LIMITED"
    with pytest.raises(SourceAwayError, match="the next sync goes on"):
        await follower.follow()


async def test_they_come_and_go_with_the_setting_and_move_with_their_repository(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.new_discussion(repo, "Title", "Body")
    repo.put("a.md", b"text\n")
    await follower.follow()
    source.state.rename(repo, "renamed")
    patches = [each.what.patch.url for each in await follower.follow() if isinstance(each.what, Patched)]
    assert "https://github.test/acme/renamed/discussions/1" in patches
    source.state.edit(repo.discussions[1], "Edited")
    await follower.follow()
    source.settings["discussions"] = False
    assert [type(each.what) for each in await follower.follow()] == [Deleted]
    assert follower.view() == source.truth()


@pytest.mark.parametrize("looks", ["changes", "everything", "items"])
async def test_discussions_that_are_switched_off_are_deleted_and_come_back(
    source: OrganisationSource, follower: Follower, repo: Repo, looks: str
) -> None:
    for number in range(4):
        source.state.tick(600)  # farther apart than looks overlap
        source.state.new_discussion(repo, f"Title {number}", "Body")
    await follower.follow()
    repo.has_discussions = False
    connector, since = source.connector(), dict(follower.cursor)
    named = [f"repo:{repo.id}/discussion/1"]
    looked = connector.items(named, since) if looks == "items" else getattr(connector, looks)(since)
    assert [type(each.what) for each in await follower.submit(looked)] == [Deleted] * 4
    assert not follower.waiting
    assert follower.view() == source.truth()
    assert await follower.follow() == []
    repo.has_discussions = True
    assert len(await follower.follow()) == 4
    assert follower.view() == source.truth()


async def test_a_repository_that_goes_takes_its_discussions_along(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.add_repo("other").put("a.md", b"text\n")
    for number in range(2):
        source.state.new_discussion(repo, f"Title {number}", "Body")
    await follower.follow()
    del source.state.repos[repo.id]
    changes = await follower.follow()
    assert [(each.external_id, type(each.what)) for each in changes] == [
        (f"repo:{repo.id}/discussion/1", Deleted),
        (f"repo:{repo.id}/discussion/2", Deleted),
    ]
    assert follower.view() == source.truth()
    assert not any(f":{repo.id}" in name for name in follower.cursor)


async def test_an_app_needs_the_right(source: OrganisationSource, repo: Repo) -> None:
    source.become_app()
    with pytest.raises(UnauthorisedError, match=r"lacks discussions \(read\)"):
        await source.connector().check()


@pytest.mark.parametrize(
    ("url", "graphql"),
    [
        ("https://api.github.com/", "https://api.github.com/graphql"),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql"),
        ("https://hub.test/api/v3/", "https://hub.test/api/graphql"),
    ],
)
def test_graphql_lies_beside_rest(url: str, graphql: str) -> None:
    assert GithubSettings(organisation="acme", url=url).graphql_url == graphql
