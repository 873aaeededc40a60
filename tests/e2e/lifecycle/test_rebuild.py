"""A store that was lost is filled again from the log, and the other one answers meanwhile, five times a second."""

import asyncio

import pytest

from headwater.clients.elasticsearch.connection import open_client
from headwater.clients.elasticsearch.names import chunks_name
from headwater.demo.stage import wait_until
from headwater.migrations.indices import drop_index
from headwater.settings import Settings
from schemas.events.base import Store
from tests.support.asker import asking
from tests.support.library import Library
from tests.support.platform import Platform
from tests.support.stored_rows import stored_rows

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COMMAND = ("-m", "headwater.cli.main", "rebuild")
# Replicas of this platform follow within milliseconds: the command need not wait out their whole budget.
QUICK = {"HEADWATER_HEADS__STALENESS_BUDGET_S": "1"}
PATIENCE_S = 150.0
QUESTION = "lighthouse keeper"
PAGES = {
    f"page-{number}": f"# Page {number}\n\n" + f"The lighthouse keeper writes entry {number}. " * 30
    for number in range(6)
}


async def lose(settings: Settings) -> None:
    """Delete the index behind everybody's back."""
    async with open_client(settings.elasticsearch) as client:
        await drop_index(
            client, chunks_name(settings.elasticsearch, settings.generation), settings=settings.elasticsearch
        )


@pytest.mark.parametrize(
    ("store", "degraded"), [(Store.KEYWORDS, "vectors_only"), (Store.VECTORS, "keywords_only")], ids=str
)
def test_a_rebuilt_store_has_the_same_rows(platform: Platform, library: Library, store: Store, degraded: str) -> None:
    accepted = [library.put(name, text) for name, text in PAGES.items()]
    accepted.append(library.put("page-0", "# Page 0\n\nThe lighthouse keeper has left."))
    for each in accepted:
        library.settled(each)

    def rows() -> object:
        return asyncio.run(stored_rows(platform.settings, store, library.name))

    def swept() -> bool:
        return all(len(revisions) == 1 for each in accepted for revisions in library.rows(each["document_id"]).values())

    wait_until("older rows to be swept", swept)
    before = rows()
    assert before
    with asking(library, QUESTION, may_be={degraded}) as asker:
        if store is Store.KEYWORDS:
            asyncio.run(lose(platform.settings))
        with platform.child(*COMMAND, store.value, log=f"rebuild-{store}", **QUICK) as rebuild:
            assert rebuild.wait(PATIENCE_S) == 0
        wait_until("the rows to be those before", lambda: rows() == before)
        since = len(asker.degraded)
        wait_until("an answer of both stores", lambda: () in asker.degraded[since:])
    asker.check()
    assert (degraded,) in asker.degraded, "the store that was rebuilt was not asked meanwhile"

    mode = "keyword" if store is Store.KEYWORDS else "vector"
    again = library.answer(QUESTION, mode=mode)
    assert again["hits"]
    assert again["meta"]["degraded"] == []
    edited = library.put("page-1", "# Page 1\n\nA foghorn was bought.")
    library.settled(edited)
    assert library.found("foghorn", mode=mode)
