"""A Confluence Data Center site, synced by a connector worker: how fast, and what it is asked for."""

from collections.abc import Mapping
from typing import Final

from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.performance.syncing import Synced, first_sync, sync_again
from tests.support.confluence_server import TOKEN, ConfluenceServer, address, serving
from tests.support.confluence_wiki import Space, Wiki
from tests.support.egress import FakeClock
from tests.support.own_loop import in_own_loop
from tests.support.platform import Platform

_SOURCE: Final = "bench-site"
_SPACE: Final = "ENG"
_PAGE_ITEMS: Final = 100  # of a listing: what the connector asks for, and a site gives
# What a worker is started with. Pages are read one request each: the budget of ten a second would be all that is seen.
READING: Final[Mapping[str, str]] = {
    "HEADWATER_SECRET__DEFAULT__WIKI": TOKEN,
    "HEADWATER_EGRESS__ALLOWED_HOSTS": '["127.0.0.1"]',
    "HEADWATER_EGRESS__REQUESTS_PER_S": "10000",
}


def measure_site(platform: Platform, bench: Bench, items: int) -> list[Figure]:
    """Sync so many pages of 2 kB, then nothing new, by a worker that runs. Raise FatalError where that is not so."""
    with in_own_loop(serving(ConfluenceServer(wiki_of(items), page_size=_PAGE_ITEMS))) as server:
        server.url = server.url.replace("wiki.test", "127.0.0.1")
        _connect(platform, server)
        first = first_sync(bench, _SOURCE, items)
        server.requests.clear()
        sync_again(bench, _SOURCE)
        return figures_of(items, first, asked=len(server.requests))


def figures_of(items: int, first: Synced, *, asked: int) -> list[Figure]:
    """Return the first sync in pages a second, and what one asks for that finds nothing."""
    return [
        Figure(name="Confluence pages of 2 kB", value=items, unit="pages"),
        Figure(name="Confluence: initial sync, all submitted, unpaced", value=items / first.took_s, unit="pages/s"),
        Figure(name="Confluence: requests of an incremental sync with nothing new", value=asked, unit="requests"),
    ]


def wiki_of(items: int) -> Wiki:
    """Return a site of one space with so many pages."""
    text = "And so on. " * 200
    wiki = Wiki(clock=FakeClock(), spaces={_SPACE: Space(key=_SPACE, anonymous=True)}, anonymous=True)
    for number in range(items):
        wiki.write(_SPACE, f"Page {number}", f"<p>{f'Word {number}. {text}'[:2_041]}</p>")
    return wiki


def _connect(platform: Platform, server: ConfluenceServer) -> None:
    body = {
        "name": "Site",
        "kind": "confluence",
        "knowledge_base": _SOURCE,
        "settings": {"url": address(server), "by_username": "true"},
        "secrets": {"token": "env:wiki"},
    }
    platform.directory((f"knowledge-bases/{_SOURCE}", {"name": _SOURCE}), (f"sources/{_SOURCE}", body))
