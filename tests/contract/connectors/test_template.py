"""The template of docs/templates/connector, held to what every connector is held to."""

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from connectors.protocol import SourceChange, Upserted
from connectors.registry import Description
from docs.templates.connector.client import HttpPages, ListingError, Page
from docs.templates.connector.harness import EPOCH, MemorySource
from docs.templates.connector.kind import template
from headwater.errors import FatalError, PoisonError, UnauthorisedError
from headwater.settings import ConnectorSettings
from schemas.ids import SourceId
from tests.contract.connectors.contract import ConnectorContract
from tests.support.egress import FakeClock, egress, reply, scripted
from tests.support.sources import SourceHarness
from tests.support.webhooks import source


class TestTemplate(ConnectorContract):
    """The suite; add what a source has of its own: groups, places, notifications."""

    @pytest.fixture
    def source(self) -> SourceHarness:
        return MemorySource()


def listing(*names: str, after: str | None = None) -> bytes:
    at = EPOCH.isoformat()
    items = [{"id": name, "title": name, "version": 3, "changed_at": at, "readers": ["everyone"]} for name in names]
    return reply(200, json.dumps({"items": items, "next": after, "more": 1}).encode())


async def test_it_speaks_http_by_the_egress_client() -> None:
    replies = listing("a/b", after="a/b"), listing("c"), reply(200, b"text")
    async with scripted(*replies) as server, egress(FakeClock()) as opened:
        settings = {"url": f"http://wiki.test:{server.port}/api/", "spaces": "[X]"}
        description = Description(
            source_id=SourceId("wiki"),
            source=replace(source("template"), settings=settings),
            limits=ConnectorSettings(),
            secret=lambda name: SecretStr(f"the {name}"),
            egress=opened,
        )
        connector = template(description).connector
        first, second = [each async for each in connector.changes({})]
        assert isinstance(first, SourceChange)
        assert isinstance(first.what, Upserted)
        assert first.what.content is not None
        assert [piece async for piece in first.what.content()] == [b"text"]
    assert isinstance(second, SourceChange)
    assert (first.external_id, second.external_id, first.source_version) == ("a/b", "c", 3)
    assert [each.target for each in server.asked] == [
        "/api/pages?limit=200&space=X",
        "/api/pages?limit=200&after=a%2Fb&space=X",
        "/api/pages/a%2Fb/versions/3/content",
    ]
    assert {each.headers["authorization"] for each in server.asked} == {"Bearer the token"}


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (reply(401), UnauthorisedError, "wiki.test"),
        (reply(200, b"<html>"), ListingError, "settings.url"),
        (reply(200, b'{"items": [{"id": "a"}]}'), ListingError, "items.0.title"),
    ],
)
async def test_what_is_wrong_is_named(answer: bytes, error: type[FatalError], match: str) -> None:
    async with scripted(answer) as server, egress(FakeClock()) as opened:
        pages = HttpPages(opened.source(home=f"http://wiki.test:{server.port}/"))
        with pytest.raises(error, match=match):
            await pages.check()


async def test_a_listing_that_goes_round_is_not_believed() -> None:
    async with scripted(listing("a", after="a")) as server, egress(FakeClock()) as opened:
        pages = HttpPages(opened.source(home=f"http://wiki.test:{server.port}/"))
        with pytest.raises(ListingError, match="nothing is deleted"):
            _ = [page async for page in pages.listing()]


async def test_a_page_that_is_gone_concerns_itself_alone() -> None:
    page = Page(page_id="a", title="a", version=1, changed_at=EPOCH, readers=())
    async with scripted(reply(404)) as server, egress(FakeClock()) as opened:
        pages = HttpPages(opened.source(home=f"http://wiki.test:{server.port}/"))
        with pytest.raises(PoisonError):
            _ = [piece async for piece in pages.read(page)]
