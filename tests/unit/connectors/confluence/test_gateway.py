"""Tokens with scopes: a site behind Atlassian's gateway, opened by a service account whose tokens last an hour."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.confluence import oauth
from connectors.protocol import Upserted
from headwater.errors import FatalError, RetryableError, UnauthorisedError
from tests.support.confluence import SPACE, ConfluenceSource, confluence_source
from tests.support.confluence_cloud import EMAIL
from tests.support.confluence_gateway import CLIENT_ID, CLIENT_SECRET, CLOUD_ID, LIFE_S, GatewayServer
from tests.support.sources import Follower


@pytest.fixture
async def site() -> AsyncIterator[ConfluenceSource]:
    async with confluence_source(GatewayServer) as source:
        yield source


def server_of(site: ConfluenceSource) -> GatewayServer:
    assert isinstance(site.server, GatewayServer)
    return site.server


def written(site: ConfluenceSource, title: str, body: str = "text", **how: str) -> str:
    found = site.wiki.write(SPACE, title, body, **how)
    site._titles[found] = title
    return found


async def test_a_site_is_read_through_the_gateway_with_one_token(site: ConfluenceSource) -> None:
    pages = [written(site, f"Page {number}") for number in range(7)]  # three pages of the listing
    for number in range(4):  # two pages of version 2
        site.wiki.spaces[SPACE].readers.users |= {f"user{number}"}
        site.wiki.users[f"user{number}"] = f"user{number}"
    file = written(site, "notes.txt", "bytes", parent=pages[0], kind="attachment")
    await site.connector().check()
    follower = Follower(site)
    found = {each.external_id: each.what for each in await follower.follow()}
    assert found.keys() == {*pages, file}
    assert follower.documents[file].text == "bytes"
    assert len(follower.groups["space:ENG"]) == 5
    page = found[pages[0]]
    assert isinstance(page, Upserted)
    assert (page.state.url or "").startswith(f"{site.server.url}/wiki/pages/")
    # The check and the pass are a connector each.
    said = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert (server_of(site).grants, server_of(site).refusals) == ([said, said], 0)


async def test_everyone_is_asked_of_the_site_itself(site: ConfluenceSource) -> None:
    site.wiki.spaces[SPACE].anonymous = site.wiki.anonymous = True
    follower = Follower(site)
    await follower.follow()
    assert "everyone" in follower.groups["space:ENG"]


async def test_a_token_is_renewed_before_its_end_and_after_a_refusal(site: ConfluenceSource) -> None:
    server, connector = server_of(site), site.connector()
    await connector.check()
    site.wiki.clock.passed_s += oauth.USED_OF_ITS_LIFE * LIFE_S - 60
    await connector.check()
    assert len(server.grants) == 1
    site.wiki.clock.passed_s += 120
    await connector.check()
    assert (len(server.grants), server.refusals) == (2, 0)
    server.revoke()
    await connector.check()
    assert (len(server.grants), server.refusals) == (3, 1)


async def test_a_tokens_life_begins_when_it_is_asked_for_and_asking_is_repeated(site: ConfluenceSource) -> None:
    server, connector = server_of(site), site.connector()
    server.grants_fail = 1
    await connector.check()
    assert len(server.grants) == 2
    server.revoke()
    server.grant_takes_s = 10
    await connector.check()
    site.wiki.clock.passed_s += oauth.USED_OF_ITS_LIFE * LIFE_S - 9
    await connector.check()
    assert len(server.grants) == 4


async def test_a_token_that_is_revoked_in_mid_sync_ends_nothing(site: ConfluenceSource) -> None:
    page = written(site, "Page")
    site.before_read("Page", server_of(site).revoke)
    follower = Follower(site)
    await follower.follow()
    await follower.follow()
    assert (follower.documents[page].text, follower.failed) == ("text", {})
    assert server_of(site).refusals == 1


async def test_requests_that_are_refused_together_are_one_renewal(site: ConfluenceSource) -> None:
    credential = site.confluence().site.rest._source._credential
    assert isinstance(credential, oauth.ServiceAccount)
    first = await asyncio.gather(*(credential.headers() for _ in range(3)))
    credential.refused(first[0])
    second = await credential.headers()
    credential.refused(first[1])
    assert await credential.headers() == second != first[0]
    assert len(server_of(site).grants) == 2
    assert "token-" not in repr(credential)
    assert credential.name == "secrets.client_secret"


@pytest.mark.parametrize(
    ("grant", "error", "message"),
    [
        ((401, b"{}"), UnauthorisedError, rf"secrets\.client_secret.*{CLIENT_ID}.*new OAuth 2\.0 credential"),
        ((400, b'{"error": "unauthorized_client"}'), UnauthorisedError, r"secrets\.client_secret"),
        ((403, b"{}"), UnauthorisedError, r"secrets\.client_secret"),
        ((200, b"<html>"), FatalError, "is no token"),
        ((200, b'{"access_token": "t", "expires_in": 0}'), FatalError, "is no token"),
        ((503, b""), RetryableError, "try again later"),
    ],
)
async def test_a_client_that_is_given_no_token_says_why(
    site: ConfluenceSource, grant: tuple[int, bytes], error: type[Exception], message: str
) -> None:
    written(site, "Page")
    server_of(site).grant = grant
    with pytest.raises(error, match=message) as refused:
        await site.connector().check()
    assert CLIENT_SECRET not in str(refused.value)


async def test_a_token_without_a_stated_end_lasts_an_hour(site: ConfluenceSource) -> None:
    assert oauth.Granted.model_validate_json('{"access_token": "t"}').expires_in == LIFE_S


async def test_an_api_token_with_scopes_opens_the_gateway_with_its_account(site: ConfluenceSource) -> None:
    site.settings = {"deployment": "cloud", "email": EMAIL, "cloud_id": CLOUD_ID}
    page = written(site, "Page")
    follower = Follower(site)
    await follower.follow()
    assert follower.documents.keys() == {page}
    assert server_of(site).grants == []
    site.settings = {"deployment": "cloud", "email": EMAIL}
    with pytest.raises(UnauthorisedError, match=r"secrets\.token"):
        await site.connector().check()
