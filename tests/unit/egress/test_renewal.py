"""Credentials that end: one renewal for a request, for those that can be renewed, and not for another's refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from headwater.clients.egress.credentials import BearerCredential
from headwater.clients.egress.errors import SourceAwayError
from headwater.clients.egress.requests import EgressRequest, Fetched
from headwater.errors import UnauthorisedError
from tests.support.egress import FakeClock, egress, reply, scripted

PAGE = EgressRequest(url="/page")


@dataclass(slots=True)
class Numbered:
    """A token with a number, which grows when it is refused."""

    name: str = "the numbered token"
    number: int = 1
    refusals: list[Mapping[str, str]] = field(default_factory=list)

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.number}"}

    def refused(self, headers: Mapping[str, str]) -> None:
        self.refusals.append(headers)
        self.number += 1


async def test_a_refused_credential_is_renewed_and_the_request_made_once_more() -> None:
    credential = Numbered()
    async with scripted(reply(401), reply(200, b"text")) as server, egress(FakeClock()) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/", credential=credential)
        answer = await source.fetch(EgressRequest(url="/page", method="POST", content=b"{}"))
    assert isinstance(answer, Fetched)
    assert answer.content == b"text"
    assert [(each.method, each.headers["authorization"], each.content) for each in server.asked] == [
        ("POST", "Bearer 1", b"{}"),
        ("POST", "Bearer 2", b"{}"),
    ]
    assert credential.refusals == [{"Authorization": "Bearer 1"}]


async def test_a_renewed_credential_that_is_refused_too_ends_the_request() -> None:
    async with scripted(reply(401)) as server, egress(FakeClock()) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/", credential=Numbered())
        with pytest.raises(UnauthorisedError, match="renew what the numbered token holds") as refused:
            await source.fetch(PAGE)
    assert len(server.asked) == 2
    assert "Bearer" not in str(refused.value)


async def test_what_cannot_be_renewed_is_not_shown_again() -> None:
    token = BearerCredential(name="secrets.token", read=lambda: SecretStr("s3cret"))
    async with scripted(reply(401), reply(200)) as server, egress(FakeClock()) as client:
        with pytest.raises(UnauthorisedError):
            await client.source(home=f"http://wiki.test:{server.port}/", credential=token).fetch(PAGE)
    assert len(server.asked) == 1


async def test_a_refusal_by_another_origin_renews_nothing() -> None:
    credential = Numbered()
    hosts = ["wiki.test", "other.test"]
    names: dict[str, list[Sequence[str]]] = {host: [["127.0.0.1"]] for host in hosts}
    async with scripted(reply(401)) as other, egress(FakeClock(), names, allowed_hosts=hosts) as client:
        away = reply(302, Location=f"http://other.test:{other.port}/page")
        async with scripted(away) as server:
            source = client.source(home=f"http://wiki.test:{server.port}/", credential=credential)
            with pytest.raises(UnauthorisedError):
                await source.fetch(PAGE)
    assert credential.refusals == []
    assert [each.headers.get("authorization") for each in other.asked] == [None]


@pytest.mark.parametrize(("repeatable", "asked"), [(True, 2), (False, 1)])
async def test_a_post_is_repeated_only_if_it_says_so(*, repeatable: bool, asked: int) -> None:
    request = EgressRequest(url="/made", method="POST", repeatable=repeatable)
    async with scripted(reply(502)) as server, egress(FakeClock(), attempts=2) as client:
        with pytest.raises(SourceAwayError):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(request)
    assert [each.method for each in server.asked] == ["POST"] * asked
