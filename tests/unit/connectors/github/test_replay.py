"""The client on what GitHub really sent: links, redirects, validators, limits, refusals, shapes.

Of the rest of a recording, which is GitHub's answer to what is written, the repositories and issues are read.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from pydantic import SecretStr

from connectors.github.client import GithubClient
from connectors.github.models import Account, Issue, Release, Repository, read_as
from headwater.clients.egress.credentials import BearerCredential
from headwater.clients.egress.errors import MissingError
from tests.support.corpora import corpus
from tests.support.egress import FakeClock, egress
from tests.support.github_state import blob_sha
from tests.support.octokit import RECORDINGS, Replay, recorded, replayed

pytestmark = pytest.mark.data

ORGANISATION = "octokit-fixture-org"
PAGED = "octokit-fixture-org/tmp-scenario-paginate-issues-20220719043836917-izyoe"
RENAMED = "octokit-fixture-org/tmp-scenario-rename-repository-20220719044033126-ukeod"
SHARED = "octokit-fixture-org/tmp-scenario-add-and-remove-repository-collaborator-20220719043638491-kq8rz"
REFERRED = "octokit-fixture-org/tmp-scenario-git-refs-20220719043750036-9bssg"
RELEASED = "octokit-fixture-org/tmp-scenario-release-assets-20220719044014639-1reww"
ARCHIVED = "octokit-fixture-org/tmp-scenario-get-archive-20240124204918461-o3t43"
BRANCHED = "octokit-fixture-org/tmp-scenario-branch-protection-20220719043700727-wbo1k"
HOSTS: Final = ("github.test", "codeload.test")
# Of which a test below asks.
REPLAYED: Final = {
    "add-and-remove-repository-collaborator",
    "branch-protection",
    "get-archive",
    "get-content",
    "get-organization",
    "get-repository",
    "git-refs",
    "paginate-issues",
    "release-assets",
    "rename-repository",
}
# Of which the repository that was made for them is read, and the issues; why the rest concerns no reader.
SHAPES_ONLY: Final = {
    "add-labels-to-issue": "labels are written",
    "create-file": "a file is written",
    "create-status": "statuses of commits are no documents",
    "errors": "a refused write; nothing is written",
    "labels": "labels are told with their issues",
    "lock-issue": "a lock is written",
    "project-cards": "projects are no documents",
    "release-assets-conflict": "a refused upload; assets are not read",
    "search-issues": "nothing is searched for: its index lags behind",
}
IRRELEVANT: Final = {
    "get-root": "addresses are the documentation's, not asked for",
    "mark-notifications-as-read": "an account's own notifications",
    "markdown": "texts are taken as they were written",
}


@asynccontextmanager
async def opened(*recordings: str, page_items: int = 3) -> AsyncIterator[tuple[GithubClient, Replay, FakeClock]]:
    clock = FakeClock()
    async with (
        replayed(*recordings) as replay,
        egress(clock, {host: [["127.0.0.1"]] for host in HOSTS}, allowed_hosts=HOSTS) as out,
    ):
        token = BearerCredential(name="secrets.token", read=lambda: SecretStr("token"))
        source = out.source(home=f"{replay.url}/", credential=token)
        yield GithubClient(source, graphql_url="graphql", git=source, page_items=page_items), replay, clock


async def test_pages_of_issues_are_followed_to_the_last() -> None:
    """The links lead to another path than the one that was asked for, and name four more pages in two orders."""
    async with opened("paginate-issues") as (client, replay, clock):
        pages = [page async for page in client.pages(f"repos/{PAGED}/issues")]
    issues = [issue for _, page in pages for issue in read_as(tuple[Issue, ...], page.content)]
    assert [each.number for each in issues] == list(range(13, 0, -1))
    assert len(pages) == 5
    assert replay.unrecorded == []
    assert sum(clock.waits) < 1  # a window that is over, and not used up, holds nothing back


async def test_what_did_not_change_is_answered_with_304() -> None:
    async with opened("paginate-issues") as (client, replay, _):
        listing = await client.listing(f"repos/{PAGED}/issues")
        assert await client.unchanged(listing.seen)
        assert replay.not_modified == len(listing.seen) == 5
        url, _ = listing.seen[0]
        assert not await client.unchanged(((url, '"another"'), *listing.seen[1:]))


async def test_a_renamed_repository_is_found_by_its_old_name() -> None:
    async with opened("rename-repository") as (client, replay, _):
        found = await client.repository(RENAMED)
        again = await client.repository_by_id(515436299)
    assert (found.id, found.full_name.startswith(ORGANISATION)) == (515436299, True)
    assert found.full_name != RENAMED
    assert again == found
    assert replay.unrecorded == []


async def test_an_organisation_and_a_repository_are_read() -> None:
    async with opened("get-organization", "get-repository") as (client, _, _):
        organisation = await client.organisation(ORGANISATION)
        repository = await client.repository(f"{ORGANISATION}/hello-world")
    assert organisation.login == repository.owner.login == ORGANISATION
    assert (repository.full_name, repository.seen_by) == (f"{ORGANISATION}/hello-world", "public")


async def test_collaborators_are_those_of_now() -> None:
    """Two were recorded, then one: the second answer has another ETag, and is no 304."""
    async with opened("add-and-remove-repository-collaborator") as (client, replay, _):
        replay.exchanges = {f"{path}?per_page=3": answers for path, answers in replay.exchanges.items()}
        before = await client.listing(f"repos/{SHARED}/collaborators")
        assert len(before.items(Account)) == 2
        assert not await client.unchanged(before.seen)
        after = await client.listing(f"repos/{SHARED}/collaborators")
    assert {each.login for each in after.items(Account)} < {each.login for each in before.items(Account)}


async def test_a_refusal_concerns_the_item() -> None:
    async with opened("branch-protection") as (client, replay, _):
        path = f"repos/{BRANCHED}/branches/main/protection"
        replay.exchanges = {f"{asked}?per_page=1": answers for asked, answers in replay.exchanges.items()}
        with pytest.raises(MissingError):
            await client.answers(path)
        assert replay.unrecorded == []
        assert await client.repository_by_id(1) is None


def test_each_recording_is_used_or_it_is_said_why_not() -> None:
    folder = corpus(RECORDINGS) / "api.github.com"
    assert {each.name for each in folder.iterdir()} == REPLAYED | SHAPES_ONLY.keys() | IRRELEVANT.keys()


def told(recording: str, mark: str) -> list[dict[str, Any]]:
    """Return the objects of a kind that GitHub told of, whatever was asked."""
    answers = [each["response"] for each in recorded(recording) if each["status"] in {200, 201}]
    return [each for each in answers if isinstance(each, dict) and mark in each]


def made(recording: str) -> Repository:
    """Return the repository that was made for a recording."""
    return read_as(Repository, json.dumps(told(recording, "full_name")[0]).encode())


@pytest.mark.parametrize("recording", sorted((REPLAYED | SHAPES_ONLY.keys()) - {"get-content", "get-organization"}))
def test_repositories_and_issues_are_read_as_github_tells_of_them(recording: str) -> None:
    repository = made(recording)
    assert (repository.owner.login, repository.default_branch) in {(ORGANISATION, "main"), (ORGANISATION, "master")}
    assert repository.seen_by == "public"
    for said in told(recording, "active_lock_reason"):
        issue = read_as(Issue, json.dumps(said).encode())
        assert issue.repository_url.endswith(repository.full_name)
        assert issue.html_url.endswith(f"/issues/{issue.number}")
        assert issue.user is not None


async def test_a_branch_is_read_and_recognised_by_its_etag() -> None:
    async with opened("git-refs") as (client, replay, _):
        # Of one branch the same is told as of each in the listing that was recorded.
        before, after = replay.exchanges[f"/repos/{REFERRED}/git/refs/"]
        of_one = [each | {"response": each["response"][0]} for each in (before, after)]
        replay.exchanges[f"/repos/{REFERRED}/git/ref/heads/main"] = of_one
        first = await client.head(made("git-refs"), None)
        assert first is not None
        assert first[0] == before["response"][0]["object"]["sha"]
        second = await client.head(made("git-refs"), first[1])
        assert second is not None
        assert await client.head(made("git-refs"), second[1]) is None
    assert (replay.not_modified, replay.unrecorded) == (1, [])


async def test_a_release_is_read() -> None:
    async with opened("release-assets") as (client, replay, _):
        (said,) = replay.exchanges[f"/repos/{RELEASED}/releases/tags/v1.0.0"]
        number = said["response"]["id"]
        replay.exchanges[f"/repos/{RELEASED}/releases/{number}"] = [said]
        replay.exchanges[f"/repos/{RELEASED}/releases?per_page=3"] = [said | {"response": [said["response"]]}]
        release = await client.release(made("release-assets"), number)
        listing = await client.listing(f"repos/{RELEASED}/releases")
        assert await client.unchanged(listing.seen)
        assert await client.release(made("release-assets"), 1) is None
    assert listing.items(Release) == (release,)
    assert release is not None
    assert (release.title, release.tag_name, release.is_published) == ("Version 1.0.0", "v1.0.0", True)


async def test_a_content_is_that_of_its_id() -> None:
    async with opened("get-content", "get-repository") as (client, replay, _):
        listed = replay.exchanges[f"/repos/{ORGANISATION}/hello-world/contents/"][0]["response"][0]
        raw = replay.exchanges[f"/repos/{ORGANISATION}/hello-world/contents/README.md"]
        replay.exchanges[f"/repos/{ORGANISATION}/hello-world/git/blobs/{listed['sha']}"] = raw
        repository = await client.repository(f"{ORGANISATION}/hello-world")
        content = b"".join([piece async for piece in client.content(repository, listed["sha"], max_bytes=100)])
    assert blob_sha(content) == listed["sha"]
    assert len(content) == listed["size"]


async def test_a_redirect_to_another_host_is_followed_without_the_token() -> None:
    async with opened("get-archive") as (client, replay, _):
        path = f"repos/{ARCHIVED}/tarball/main"
        replay.exchanges[f"/{path}?per_page=1"] = replay.exchanges[f"/{path}"]
        await client.answers(path)
    assert replay.unrecorded == []
    assert replay.authorised == [f"/{path}?per_page=1"]
