"""What one source of the directory is asked: one budget, whatever addresses and protocols it is read by."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx
import pytest
from obstore.store import MemoryStore

from headwater.clients.egress.client import Egress
from headwater.clients.egress.errors import RateLimitedError
from headwater.clients.egress.requests import EgressRequest, Fetched
from headwater.clients.egress.source import EgressSource
from headwater.clients.listed_objects import ObstoreObjects
from headwater.errors import RetryableError
from headwater.retry import RetryPolicy, retry
from tests.support.egress import FakeClock, egress, reply, scripted

PAGE = EgressRequest(url="/page")
PATIENT = RetryPolicy(attempts=3, first_delay_s=0.0)
Ask = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class TokenFrom:
    """A credential that is had from the source itself, by a call of its own."""

    issuer: EgressSource
    name: str = "the token"

    async def headers(self) -> Mapping[str, str]:
        granted = await self.issuer.fetch(EgressRequest(url="/token"))
        assert isinstance(granted, Fetched)
        return {"Authorization": f"Bearer {granted.content.decode()}"}


def by_http(way_out: Egress, port: int) -> Ask:
    source = way_out.source(home=f"http://wiki.test:{port}/")
    return lambda: source.fetch(PAGE)


def by_own_protocol(way_out: Egress, port: int) -> Ask:
    client = way_out.httpx_client()
    return lambda: client.get(f"http://wiki.test:{port}/page")


def by_obstore(way_out: Egress, port: int) -> Ask:
    objects = ObstoreObjects(MemoryStore(), url="gs://bucket", options_setting="options", budget=way_out.budget)
    return lambda: objects.head("page")


WAYS = pytest.mark.parametrize("way", [by_http, by_own_protocol, by_obstore])


@WAYS
async def test_a_source_is_asked_no_more_often_than_it_says(way: Callable[[Egress, int], Ask]) -> None:
    clock = FakeClock()
    async with scripted(reply(200, b"text")) as server, egress(clock, requests_per_s=1_000.0) as client:
        way_out = client.of_source(requests_per_s=0.5, concurrency=2)
        ask, elsewhere = way(way_out, server.port), by_http(way_out, server.port)
        for each in (ask, elsewhere, ask, elsewhere):
            await each()
    assert clock.waits == [2.0, 2.0]  # a burst of two, then one in two seconds, however it is asked


@WAYS
async def test_what_a_source_does_not_say_is_as_for_all(way: Callable[[Egress, int], Ask]) -> None:
    clock = FakeClock()
    async with scripted(reply(200, b"text")) as server, egress(clock, requests_per_s=0.25, concurrency=1) as client:
        ask = way(client.of_source(), server.port)
        for _ in range(3):
            await ask()
    assert clock.waits == [4.0, 4.0]


@pytest.mark.parametrize(("asked", "waits"), [({}, []), ({"requests_per_s": 0.5, "concurrency": 1}, [2.0, 2.0])])
async def test_a_bucket_has_a_budget_of_its_own(asked: dict[str, float], waits: list[float]) -> None:
    clock = FakeClock()
    async with scripted(reply(200, b"text")) as server, egress(clock, requests_per_s=0.25, concurrency=1) as client:
        ask = by_own_protocol(client.of_bucket(**asked), server.port)  # type: ignore[arg-type]  # by name
        for _ in range(3):
            await ask()
    assert clock.waits == waits


@pytest.fixture
async def opened() -> AsyncIterator[tuple[Egress, int]]:
    async with scripted(reply(200, b"text")) as server, egress(FakeClock()) as client:
        yield client.of_source(concurrency=2), server.port


async def test_a_source_is_asked_no_more_at_once_than_its_share(opened: tuple[Egress, int]) -> None:
    way_out, port = opened
    source = way_out.source(home=f"http://wiki.test:{port}/")
    client = way_out.httpx_client()
    async with source.stream(PAGE), client.stream("GET", f"http://wiki.test:{port}/page") as second:
        for each in (by_http(way_out, port), by_own_protocol(way_out, port), by_obstore(way_out, port)):
            third = asyncio.ensure_future(each())
            done, _ = await asyncio.wait({third}, timeout=0.05)
            assert not done
            third.cancel()
        await second.aread()
    await by_obstore(way_out, port)()


async def test_a_request_that_is_refused_gives_its_place_back(opened: tuple[Egress, int]) -> None:
    way_out, port = opened
    client = way_out.httpx_client()
    for _ in range(3):
        with pytest.raises(Exception, match="loopback"):
            await client.get("http://127.0.0.1:9/")
    response = await client.get(f"http://wiki.test:{port}/page")
    assert response.status_code == httpx.codes.OK


async def test_a_credential_is_had_beside_the_request_that_waits_for_it() -> None:
    async with scripted(reply(200, b"text")) as server, egress(FakeClock()) as client:
        way_out, home = client.of_source(concurrency=1), f"http://wiki.test:{server.port}/"
        credential = TokenFrom(way_out.source(home=home, for_credential=True))
        async with asyncio.timeout(5):
            await way_out.source(home=home, credential=credential).fetch(PAGE)
    assert [each.target for each in server.asked] == ["/token", "/page"]


async def test_a_limit_of_one_address_is_known_to_all_calls_of_the_source() -> None:
    clock = FakeClock()
    limited = reply(403, b"API rate limit exceeded", Retry_After="2400")
    async with scripted(limited, reply(200)) as server, egress(clock) as client:
        way_out = client.of_source()
        for ask in (by_http(way_out, server.port), by_own_protocol(way_out, server.port)):
            with pytest.raises(RateLimitedError) as caught:
                await retry(ask, policy=PATIENT)
            assert caught.value.until == way_out.waits_until()
        assert isinstance(caught.value, RetryableError)
        assert (len(server.asked), clock.waits) == (1, [])  # nobody asks again, and nobody waits in place
        clock.passed_s += 2431  # a tenth more at most, and no more than half a minute
        assert way_out.waits_until() is None
        await by_http(way_out, server.port)()
