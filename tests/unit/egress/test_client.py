"""The client against a real server on loopback: guard, pinning, redirects, caps, waits, conditions, credentials."""

import asyncio
import gzip
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from headwater.clients.egress.conditional import Validators
from headwater.clients.egress.credentials import BearerCredential
from headwater.clients.egress.errors import (
    DestinationRefusedError,
    ForbiddenError,
    HomeRefusedError,
    MissingError,
    ProxyRefusedError,
    RateLimitedError,
    RequestRefusedError,
    ResponseTooLargeError,
    SourceAwayError,
)
from headwater.clients.egress.requests import EgressRequest, Fetched, NotModified
from headwater.clients.egress.source import EgressSource
from headwater.errors import FatalError, HeadwaterError, UnauthorisedError
from tests.support.egress import START, FakeClock, answering, egress, reply, scripted

TOKEN = BearerCredential(name="secrets.token", read=lambda: SecretStr("s3cret"))
PAGE = EgressRequest(url="/page?token=hidden")


async def content_of(source: EgressSource, request: EgressRequest = PAGE) -> bytes:
    answer = await source.fetch(request)
    assert isinstance(answer, Fetched)
    return answer.content


async def test_the_checked_address_is_called_under_the_sources_name() -> None:
    async with scripted(reply(200, b"text")) as server, egress(FakeClock()) as client:
        # No resolver but the test's knows wiki.test: whatever resolved again would not get here.
        source = client.source(home=f"http://wiki.test:{server.port}/", credential=TOKEN)
        assert await content_of(source) == b"text"
        assert await content_of(source) == b"text"
    assert [asked.headers["host"] for asked in server.asked] == [f"wiki.test:{server.port}"] * 2
    assert server.asked[0].headers["authorization"] == "Bearer s3cret"
    assert server.connections == 1


async def test_the_next_address_is_called_where_the_first_does_not_answer() -> None:
    names: dict[str, list[Sequence[str]]] = {"wiki.test": [["127.0.0.2", "127.0.0.1"]]}  # nothing listens on the first
    async with scripted(reply(200, b"text")) as server, egress(FakeClock(), names, attempts=1) as client:
        assert await content_of(client.source(home=f"http://wiki.test:{server.port}/")) == b"text"


async def test_tls_asks_for_the_name_and_not_for_the_address() -> None:
    hello = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not hello.done():
            hello.set_result(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, egress(FakeClock(), attempts=1) as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceAwayError, match=r"wiki\.test"):
            await client.source(home=f"https://wiki.test:{port}/").fetch(PAGE)
    assert b"wiki.test" in hello.result()


@pytest.mark.parametrize(
    "home", ["http://wiki.test:{port}/", "http://127.0.0.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/"]
)
async def test_loopback_is_refused_unless_it_is_allowed(home: str) -> None:
    async with scripted(reply(200)) as server, egress(FakeClock(), allowed_hosts=[]) as client:
        with pytest.raises(HomeRefusedError, match=r"loopback; .*egress\.allowed_networks"):
            await client.source(home=home.format(port=server.port)).fetch(PAGE)
    assert server.connections == 0


async def test_a_name_that_is_rebound_is_refused_and_never_looked_up_twice_for_a_request() -> None:
    answers = [["127.0.0.1"], ["127.0.0.1", "10.0.0.1"]]
    async with (
        scripted(reply(200)) as server,
        egress(
            FakeClock(), {"wiki.test": list(answers)}, allowed_hosts=[], allowed_networks=["127.0.0.1/32"]
        ) as client,
    ):
        source = client.source(home=f"http://wiki.test:{server.port}/")
        assert await content_of(source) == b""
        with pytest.raises(HomeRefusedError, match=r"10\.0\.0\.1"):
            await source.fetch(PAGE)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "http://[::ffff:7f00:1]/",
        "http://127.1/",
        "file:///etc/passwd",
        "http://u:p@wiki.test/",
    ],
)
async def test_a_redirect_into_the_inside_is_refused(location: str) -> None:
    async with scripted(reply(302, Location=location)) as server, egress(FakeClock()) as client:
        with pytest.raises(DestinationRefusedError):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)
    assert len(server.asked) == 1


async def test_a_redirect_to_another_origin_takes_no_credentials_along_nor_back() -> None:
    said: list[bytes] = []
    names: dict[str, list[Sequence[str]]] = {"wiki.test": [["127.0.0.1"]], "files.test": [["127.0.0.1"]]}
    async with (
        answering(lambda _: said.pop(0)) as server,
        egress(FakeClock(), names, allowed_hosts=list(names)) as client,
    ):
        home, other = f"http://wiki.test:{server.port}/", f"http://files.test:{server.port}/"
        said += [reply(302, Location=other), reply(302, Location=f"{home}back"), reply(200, b"text")]
        source = client.source(home=home, credential=TOKEN)
        assert await content_of(source, EgressRequest(url="/page", headers={"X-Own": "1"})) == b"text"
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False, False]
    assert ["x-own" in asked.headers for asked in server.asked] == [True, False, False]


async def test_a_link_to_another_origin_takes_no_credentials_along() -> None:
    names: dict[str, list[Sequence[str]]] = {"wiki.test": [["127.0.0.1"]], "files.test": [["127.0.0.1"]]}
    async with scripted(reply(200)) as server, egress(FakeClock(), names, allowed_hosts=list(names)) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/", credential=TOKEN)
        for name in names:
            await source.fetch(EgressRequest(url=f"http://{name}:{server.port}/page"))
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False]


async def test_endless_redirects_end() -> None:
    async with scripted(reply(302, Location="/page")) as server, egress(FakeClock(), max_redirects=2) as client:
        with pytest.raises(DestinationRefusedError, match="more than 2 times"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, gzip.compress(bytes(1_000_000), mtime=0), Content_Encoding="gzip"),  # 1 kB that becomes 1 MB
        reply(200, bytes(60_000)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + bytes(0xFFFF) + b"\r\n0\r\n\r\n",
    ],
    ids=["bomb", "stated", "unstated"],
)
async def test_a_response_beyond_the_cap_is_refused(answer: bytes) -> None:
    async with scripted(answer) as server, egress(FakeClock(), max_response_bytes=50_000) as client:
        with pytest.raises(ResponseTooLargeError, match="50000"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)


@pytest.mark.parametrize(("asked", "told"), [(4, "4"), (100, "5")])
async def test_a_request_lowers_the_cap_and_never_raises_it(asked: int, told: str) -> None:
    async with scripted(reply(200, b"123456")) as server, egress(FakeClock(), max_response_bytes=5) as client:
        with pytest.raises(ResponseTooLargeError, match=f"than {told} bytes"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(EgressRequest(url="/", max_bytes=asked))


async def test_a_response_of_just_the_cap_is_content() -> None:
    async with scripted(reply(200, b"12345")) as server, egress(FakeClock(), max_response_bytes=5) as client:
        assert await content_of(client.source(home=f"http://wiki.test:{server.port}/")) == b"12345"


async def test_a_body_that_is_stated_as_too_large_is_not_awaited() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
    async with scripted(begun) as server, egress(FakeClock(), max_response_bytes=5, total_timeout_s=5) as client:
        with pytest.raises(ResponseTooLargeError):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)


async def test_compressed_content_comes_out_whole_of_several_members() -> None:
    content = bytes(range(256)) * 2_000
    packed = gzip.compress(content[:300_000]) + gzip.compress(content[300_000:])
    async with scripted(reply(200, packed, Content_Encoding="gzip")) as server, egress(FakeClock()) as client:
        assert await content_of(client.source(home=f"http://wiki.test:{server.port}/")) == content


@pytest.mark.parametrize(
    ("beginning", "limit"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Len", "total_timeout_s"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "header_timeout_s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nte", "total_timeout_s"),
    ],
)
async def test_a_slow_answer_ends_after_its_time(beginning: bytes, limit: str) -> None:
    limits: dict[str, Any] = {limit: 0.05}
    async with scripted(beginning) as server, egress(FakeClock(), attempts=1, **limits) as client:
        with pytest.raises(SourceAwayError, match=r"wiki\.test is too slow"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)


async def test_a_rate_limit_is_waited_for_and_shown() -> None:
    clock = FakeClock()
    async with scripted(reply(429, Retry_After="30"), reply(200, b"text")) as server, egress(clock) as client:
        way_out = client.of_source()
        shown = []
        clock.on_wait = lambda: shown.append(way_out.waits_until())
        assert await content_of(way_out.source(home=f"http://wiki.test:{server.port}/")) == b"text"
    [wait_s] = clock.waits
    assert 30.0 <= wait_s <= 33.0
    assert shown == [START + timedelta(seconds=wait_s)]
    assert way_out.waits_until() is None


async def test_an_exhausted_quota_holds_the_next_request_back() -> None:
    clock = FakeClock()
    reset = str(int(START.timestamp()) + 120)
    spent = reply(200, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)
    async with scripted(spent, reply(200)) as server, egress(clock) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/")
        await source.fetch(PAGE)
        assert clock.waits == []
        await source.fetch(PAGE)
    assert 120.0 <= clock.waits[0] <= 132.0


async def test_a_wait_beyond_the_budget_says_until_when() -> None:
    clock = FakeClock()
    async with scripted(reply(403, b"secondary rate limit", Retry_After="900")) as server, egress(clock) as client:
        with pytest.raises(RateLimitedError, match="2030-01-01 00:1") as caught:
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)
    assert caught.value.until >= START + timedelta(seconds=900)
    assert clock.waits == []


async def test_a_failing_source_is_asked_again_and_then_given_up() -> None:
    clock = FakeClock()
    async with scripted(reply(502), reply(200, b"text"), reply(502)) as server, egress(clock, attempts=3) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/")
        assert await content_of(source) == b"text"
        with pytest.raises(SourceAwayError, match=r"wiki\.test answered 502"):
            await source.fetch(PAGE)
        with pytest.raises(SourceAwayError):
            await source.fetch(EgressRequest(url="/page", method="POST"))
    assert [asked.method for asked in server.asked] == ["GET"] * 5 + ["POST"]


async def test_what_is_unchanged_is_a_value() -> None:
    known = Validators(etag='"7"', last_modified="Tue, 01 Jan 2030 12:00:00 GMT")
    async with scripted(reply(304, ETag='"7"')) as server, egress(FakeClock()) as client:
        answer = await client.source(home=f"http://wiki.test:{server.port}/").fetch(
            EgressRequest(url="/", validators=known)
        )
    assert isinstance(answer, NotModified)
    assert answer.validators == known
    assert server.asked[0].headers["if-none-match"] == '"7"'


async def test_unchanged_is_no_answer_to_who_did_not_ask_so() -> None:
    async with scripted(reply(304)) as server, egress(FakeClock(), attempts=1) as client:
        with pytest.raises(SourceAwayError, match="without conditions"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(PAGE)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, UnauthorisedError),
        (403, ForbiddenError),
        (404, MissingError),
        (410, MissingError),
        (300, RequestRefusedError),
        (302, RequestRefusedError),  # without a place to go on
        (407, ProxyRefusedError),
    ],
)
async def test_a_refusal_names_host_and_reference_and_no_secret(status: int, error: type[HeadwaterError]) -> None:
    async with scripted(reply(status)) as server, egress(FakeClock()) as client:
        with pytest.raises(error, match=r"wiki\.test") as caught:
            await client.source(home=f"http://wiki.test:{server.port}/", credential=TOKEN).fetch(PAGE)
    assert "hidden" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_proxy_gets_the_name_but_no_inner_address() -> None:
    async with scripted(reply(200, b"text"), reply(403)) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        ours: dict[str, Any] = {"proxy_url": address, "proxy_credentials": "me:s3cret"}
        async with egress(FakeClock(), allowed_hosts=[], **ours) as client:
            assert await content_of(client.source(home="http://elsewhere.test/")) == b"text"
            with pytest.raises(HomeRefusedError, match="metadata"):
                await client.source(home="http://169.254.169.254/").fetch(PAGE)
            with pytest.raises(ProxyRefusedError, match=r"elsewhere\.test"):
                await client.source(home="https://elsewhere.test/").fetch(PAGE)
    assert proxy.asked[0].target == "http://elsewhere.test/page?token=hidden"
    assert proxy.asked[1].method == "CONNECT"
    assert [each.headers["proxy-authorization"] for each in proxy.asked] == ["Basic bWU6czNjcmV0"] * 2


@pytest.mark.parametrize("name", ["authorization", "Cookie", "HOST", "Proxy-Authorization", "Transfer-Encoding"])
async def test_a_connector_sets_no_headers_that_belong_to_credentials(name: str) -> None:
    async with egress(FakeClock()) as client:
        with pytest.raises(FatalError, match="give the source a credential"):
            await client.source(home="http://wiki.test/").fetch(EgressRequest(url="/", headers={name: "x"}))
