"""Google's and Azure's stores when they say that it is too much: obstore tells no more than the status."""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from headwater.clients.egress.errors import RateLimitedError
from headwater.clients.egress.pacing import SourceBudget
from headwater.clients.listed_objects import ObstoreObjects
from headwater.clients.objects import open_objects
from headwater.errors import RetryableError
from tests.support.bucket_server import BUCKET
from tests.support.cloud_server import AzureServer, GoogleServer, cloud_server
from tests.support.egress import FakeClock


@dataclass(kw_only=True)
class Store:
    """A store with one object, and who reads it."""

    server: GoogleServer
    objects: ObstoreObjects
    clock: FakeClock


@pytest.fixture(params=[GoogleServer, AzureServer], ids=["gs", "az"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    clock = FakeClock()
    async with cloud_server(request.param) as server:
        server.put("a.md", b"text")
        url = f"{'gs' if request.param is GoogleServer else 'az'}://{BUCKET}/"
        opened = open_objects(url, server.options, setting="url", options_setting="options")
        budget = SourceBudget.of(requests_per_s=100.0, concurrency=4, wait_s=300.0, clock=clock)
        objects = ObstoreObjects(opened, url=url, options_setting="options", budget=budget)
        yield Store(server=server, objects=objects, clock=clock)


def doublings(store: Store) -> list[int]:
    """Return how often each wait doubled a second; what is added to it is a tenth."""
    return [int(math.log2(waited)) for waited in store.clock.waits]


@pytest.mark.parametrize("status", [429, 503])
async def test_looks_and_contents_are_asked_for_again_ever_more_rarely(store: Store, status: int) -> None:
    store.server.answers["HEAD"] = [(status, "")] * 3
    listed = await store.objects.head("a.md")
    assert listed is not None
    assert doublings(store) == [1, 2, 3]
    store.server.answers["GET"] = [(status, "")] * 2
    assert b"".join([piece async for piece in store.objects.read(listed)]) == b"text"
    assert doublings(store) == [1, 2, 3, 1, 2]


async def test_who_is_told_so_for_minutes_goes_on_later(store: Store) -> None:
    store.server.answers["HEAD"] = [(429, "")] * 20
    with pytest.raises(RateLimitedError) as caught:
        await store.objects.head("a.md")
    assert sum(store.clock.waits) <= 300.0
    assert caught.value.until > store.clock.now()


async def test_a_listing_is_begun_anew_a_minute_later_and_never_gone_on_with(store: Store) -> None:
    store.server.answers["LIST"] = [(429, "")]
    pages = store.objects.pages("")
    with pytest.raises(RateLimitedError) as caught:
        await anext(pages)
    assert 60.0 <= (caught.value.until - store.clock.now()).total_seconds() <= 66.0
    assert [page async for page in pages] == []  # it ended with the error, and was no complete listing
    store.clock.passed_s += 66
    assert [listed.key async for page in store.objects.pages("") for listed in page] == ["a.md"]


async def test_another_failure_is_none_of_these(store: Store) -> None:
    store.server.answers["HEAD"] = [(500, "")]
    with pytest.raises(RetryableError) as caught:
        await store.objects.head("a.md")
    assert not isinstance(caught.value, RateLimitedError)
    assert store.clock.waits == []
