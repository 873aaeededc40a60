"""Releases: compared with what is held, for those who may read them, and at no cost without news."""

import json

import pytest

from connectors.github.webhooks import work_of_delivery
from connectors.protocol import Deleted, ItemFailed, Patched, Upserted
from tests.support.github_source import OrganisationSource
from tests.support.github_state import Repo
from tests.support.sources import Follower


@pytest.fixture
def repo(source: OrganisationSource) -> Repo:
    source.settings["releases"] = True
    return source.state.add_repo("code")


async def test_releases_are_documents_only_where_they_are_wanted(
    source: OrganisationSource, follower: Follower
) -> None:
    repo = source.state.add_repo("code")
    repo.put("a.md", b"text\n")
    source.state.new_release(repo, "v1", "Notes", name="First")
    await follower.follow()
    assert follower.view() == source.truth()
    source.settings["releases"] = "true"
    assert [type(each.what) for each in await follower.follow()] == [Upserted]
    assert follower.view() == source.truth()
    source.settings["releases"] = False
    assert [type(each.what) for each in await follower.follow()] == [Deleted]
    assert follower.view() == source.truth()


async def test_what_was_edited_published_or_withdrawn_is_found(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    state = source.state
    first, second, third = (state.new_release(repo, f"v{number}", "Notes") for number in range(3))
    drafts = [state.new_release(repo, f"v{number}", "Notes", draft=True) for number in range(3, 6)]
    await follower.follow()
    assert follower.view() == source.truth()
    assert len(follower.documents) == 3
    first.body, second.draft, drafts[0].draft = "Edited", True, False
    del repo.releases[third.id]
    changes = await follower.follow()
    assert sorted((each.external_id, type(each.what).__name__) for each in changes) == [
        (f"repo:{repo.id}/release/{first.id}", "Upserted"),
        (f"repo:{repo.id}/release/{second.id}", "Deleted"),
        (f"repo:{repo.id}/release/{third.id}", "Deleted"),
        (f"repo:{repo.id}/release/{drafts[0].id}", "Upserted"),
    ]
    assert follower.view() == source.truth()


async def test_nothing_new_is_answered_by_304_and_downloads_are_no_news(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    releases = [source.state.new_release(repo, f"v{number}", "Notes") for number in range(6)]  # two full pages
    await follower.follow()
    source.server.requests.clear()
    source.server.answered.clear()
    assert await follower.follow() == []
    assert sum("/releases" in each for each in source.server.requests) == 3  # with the page that new ones would show on
    assert not any("/releases" in each for each in source.server.answered)
    releases[0].downloads += 1
    cursor = dict(follower.cursor)
    assert await follower.follow() == []
    assert follower.cursor == cursor


async def test_a_listing_that_lacks_a_release_is_not_believed(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    releases = [source.state.new_release(repo, f"v{number}", "Notes") for number in range(4)]
    await follower.follow()
    source.state.unlisted = {releases[1].id}  # pages shifted while they were read
    assert await follower.follow() == []
    del repo.releases[releases[1].id]
    assert [type(each.what) for each in await follower.follow()] == [Deleted]


async def test_a_renamed_repository_reads_no_release_again(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.new_release(repo, "v1", "Notes")
    await follower.follow()
    source.state.rename(repo, "renamed")
    changes = await follower.follow()
    assert [each.what.patch.url for each in changes if isinstance(each.what, Patched)] == [
        "https://github.test/acme/renamed/releases/tag/v1"
    ]


async def test_a_delivery_names_a_release_and_it_is_looked_at(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    release = source.state.new_release(repo, "v1", "Notes")
    payload = {"action": "published", "repository": {"id": repo.id}, "release": {"id": release.id}}
    work = work_of_delivery({"X-GitHub-Event": "release"}, json.dumps(payload).encode())
    assert work.items == {f"repo:{repo.id}/release/{release.id}"}
    changes = await follower.submit(source.connector().items(work.items, {}))
    assert [each.external_id for each in changes] == [*work.items]
    release.draft = True
    changes = await follower.submit(source.connector().items(work.items, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Deleted]


async def test_a_repository_that_goes_takes_its_releases_along(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.add_repo("other").put("a.md", b"text\n")
    source.state.new_release(repo, "v1", "Notes")
    await follower.follow()
    del source.state.repos[repo.id]
    assert [type(each.what) for each in await follower.follow()] == [Deleted]
    assert follower.view() == source.truth()
    assert not any(f":{repo.id}" in name for name in follower.cursor)


async def test_releases_that_cannot_be_listed_delete_nothing(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.new_release(repo, "v1", "Notes")
    await follower.follow()
    repo.put("a.md", b"text\n")
    source.server.refused = {"releases": 403}
    found = [each async for each in source.connector().everything(dict(follower.cursor))]
    assert [each.external_id for each in found if isinstance(each, ItemFailed)] == [f"repo:{repo.id}"]
    assert not any(isinstance(getattr(each, "what", None), Deleted) for each in found)
