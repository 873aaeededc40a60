"""The client on what GitHub really sent: links, redirects, validators, limits, refusals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from connectors.github.client import GithubClient
from connectors.github.models import Account, Issue, read_as
from headwater.clients.egress.credentials import BearerCredential
from headwater.clients.egress.errors import MissingError
from tests.support.egress import FakeClock, egress
from tests.support.octokit import Replay, replayed

pytestmark = pytest.mark.data

ORGANISATION = "octokit-fixture-org"
PAGED = "octokit-fixture-org/tmp-scenario-paginate-issues-20220719043836917-izyoe"
RENAMED = "octokit-fixture-org/tmp-scenario-rename-repository-20220719044033126-ukeod"
SHARED = "octokit-fixture-org/tmp-scenario-add-and-remove-repository-collaborator-20220719043638491-kq8rz"
BRANCHED = "octokit-fixture-org/tmp-scenario-branch-protection-20220719043700727-wbo1k"


@asynccontextmanager
async def opened(*recordings: str, page_items: int = 3) -> AsyncIterator[tuple[GithubClient, Replay, FakeClock]]:
    clock = FakeClock()
    async with (
        replayed(*recordings) as replay,
        egress(clock, {"github.test": [["127.0.0.1"]]}, allowed_hosts=["github.test"]) as out,
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
