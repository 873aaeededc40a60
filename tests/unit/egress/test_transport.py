"""Connections: whose they are, how many stay, and which address is called next."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from headwater.clients.egress import transport
from headwater.clients.egress.addresses import Address
from headwater.clients.egress.client import open_egress
from headwater.clients.egress.errors import SourceAwayError
from headwater.clients.egress.requests import EgressRequest, Fetched, Streamed
from headwater.settings import EgressSettings
from tests.support.egress import FakeClock, ScriptedServer, egress, reply, scripted

PAGE = EgressRequest(url="/page")
BODY = b"text" * 500_000  # more than buffers hold


def named(*names: str) -> dict[str, Any]:
    return {"names": {name: [["127.0.0.1"]] for name in names}, "allowed_hosts": list(names)}


async def test_names_that_lead_to_one_address_share_no_connection() -> None:
    """TLS was agreed for the name: what answers there need not be able to prove the other one."""
    async with scripted(reply(200)) as server, egress(FakeClock(), **named("wiki.test", "files.test")) as client:
        for name in ("wiki.test", "files.test") * 2:
            await client.source(home=f"http://{name}:{server.port}/").fetch(PAGE)
    assert server.connections == 2


async def test_no_other_address_is_called_where_the_first_may_have_taken_the_request() -> None:
    names: dict[str, list[Sequence[str]]] = {"wiki.test": [["127.0.0.1", "127.0.0.2"]]}
    other = ScriptedServer(lambda _: reply(200))
    async with (
        scripted(b"no HTTP\r\n\r\n") as server,
        await asyncio.start_server(other.accept, "127.0.0.2", server.port),
        egress(FakeClock(), names, attempts=1) as client,
    ):
        with pytest.raises(SourceAwayError, match="broke off"):
            await client.source(home=f"http://wiki.test:{server.port}/").fetch(EgressRequest(url="/", method="POST"))
    assert (len(server.asked), other.connections) == (1, 0)


async def test_connections_of_names_that_are_not_used_are_closed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_POOLS", 1)
    async with (
        scripted(reply(200, BODY)) as server,
        egress(FakeClock(), **named("a.test", "b.test", "c.test")) as client,
    ):
        a, b, c = (client.source(home=f"http://{name}.test:{server.port}/") for name in "abc")
        async with a.stream(PAGE) as answer:
            for source in (b, c):
                assert isinstance(await source.fetch(PAGE), Fetched)
            assert isinstance(answer, Streamed)
            assert b"".join([piece async for piece in answer.pieces]) == BODY
        assert server.connections == 3
        await b.fetch(PAGE)
        assert server.connections == 4


async def test_a_connection_whose_body_was_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LIMITS", httpx.Limits(max_connections=1))
    async with scripted(reply(200, BODY)) as server, egress(FakeClock(), read_timeout_s=1) as client:
        source = client.source(home=f"http://wiki.test:{server.port}/")
        for _ in range(2):
            async with source.stream(PAGE) as answer:
                assert isinstance(answer, Streamed)


class SilentResolver:
    """Implements Resolver: the name server does not answer."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError(f"{host}:{port}")


async def test_a_name_is_not_waited_for_without_end() -> None:
    settings = EgressSettings(connect_timeout_s=0.01, header_timeout_s=2, attempts=1)
    async with open_egress(settings, resolver=SilentResolver(), clock=FakeClock()) as client:
        with pytest.raises(SourceAwayError, match="not resolved in time"):
            await client.source(home="http://wiki.test/").fetch(PAGE)
