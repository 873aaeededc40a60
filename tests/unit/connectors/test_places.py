"""A worker's places: first syncs, however many, leave one for what webhooks name."""

import pytest

from connectors.worker.ports import Key
from headwater.settings import ConnectorSettings, Settings
from schemas.events.syncs import SyncMode
from schemas.ids import SourceId
from tests.support.syncing import DONE, WIKI, Office, office

SOURCES: list[Key] = [(WIKI[0], SourceId(f"s{number}")) for number in range(8)]


def busy(*, parallel_syncs: int, wide: int) -> Office:
    """Return an office whose first sources have asked for syncs, a second apart."""
    known = office(*SOURCES)
    settings = Settings(connectors=ConnectorSettings(parallel_syncs=parallel_syncs))
    desk = Office(log=known.log, sources=known.sources, clock=known.clock, settings=settings)
    for key in SOURCES[:wide]:
        asked(desk, key, SyncMode.FULL)
    return desk


def asked(desk: Office, key: Key, mode: SyncMode, *items: str) -> None:
    desk.clock.advance(0.01)
    desk.log.request(key, mode, *items)


def at_work(desk: Office) -> list[Key]:
    return [key for key in SOURCES if desk.jobs.at_work.get(key)]


@pytest.mark.parametrize(("mode", "items"), [(SyncMode.ITEMS, ["a.md"]), (SyncMode.PERMISSIONS, [])])
async def test_what_is_named_waits_for_no_listing(mode: SyncMode, items: list[str]) -> None:
    desk = busy(parallel_syncs=4, wide=5)
    await desk.ticks()
    assert at_work(desk) == SOURCES[:3]  # the others wait for one of these, and the last place stays free
    asked(desk, SOURCES[5], mode, *items)
    asked(desk, SOURCES[6], mode, *items)
    await desk.ticks()
    assert at_work(desk) == [*SOURCES[:3], SOURCES[5]]  # though others have waited for longer
    desk.give(DONE)
    await desk.ticks()
    assert (desk.jobs.most_at_work, at_work(desk)) == (4, [*SOURCES[1:4], SOURCES[5]])  # the longest waiting one


async def test_what_is_named_together_with_what_changed_is_a_listing_too() -> None:
    desk = busy(parallel_syncs=2, wide=1)
    await desk.ticks()
    asked(desk, SOURCES[1], SyncMode.ITEMS, "a.md")
    asked(desk, SOURCES[1], SyncMode.INCREMENTAL)
    await desk.ticks()
    assert at_work(desk) == SOURCES[:1]


async def test_listings_may_have_all_places_but_one_while_items_are_looked_at() -> None:
    desk = busy(parallel_syncs=3, wide=0)
    for key in SOURCES[:2]:
        asked(desk, key, SyncMode.ITEMS, "a.md")
    asked(desk, SOURCES[2], SyncMode.FULL)
    asked(desk, SOURCES[3], SyncMode.ITEMS, "a.md")
    await desk.ticks()
    assert at_work(desk) == SOURCES[:3]  # a storm of items holds up no listing that came before it


async def test_one_place_is_for_whoever_comes_first() -> None:
    desk = busy(parallel_syncs=1, wide=1)
    asked(desk, SOURCES[1], SyncMode.ITEMS, "a.md")
    await desk.ticks()
    assert at_work(desk) == SOURCES[:1]
    desk.give(DONE)
    await desk.ticks()
    assert at_work(desk) == SOURCES[1:2]


async def test_a_cancellation_of_what_waits_is_heard_though_listings_have_their_places() -> None:
    desk = busy(parallel_syncs=2, wide=2)
    await desk.ticks()
    desk.log.request(SOURCES[1], cancels=True)
    await desk.until(lambda: desk.log.endings(SOURCES[1]))
    assert at_work(desk) == SOURCES[:1]
