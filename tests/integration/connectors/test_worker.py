"""Connector workers as processes on a real broker: one falls in mid-sync, and the other goes on."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from connectors.cursors import without_marks
from connectors.runner import BATCH
from schemas.events.syncs import SyncEnding, SyncMode
from schemas.topics import Topic
from tests.support.admission import Child, Installation
from tests.support.folders import pages_in
from tests.support.waiting import reached
from tests.support.wiki import Wiki, folder_source, reading_below

pytestmark = pytest.mark.real

PAGES = 900  # fourteen batches: a sync is still at it when its first cursor is seen


@pytest.fixture
async def wiki(own: Installation, tmp_path: Path) -> Wiki:
    root = pages_in(tmp_path / "tree", PAGES)
    wiki = Wiki(own=own, source=folder_source(root), environment=reading_below(tmp_path))
    await wiki.admit()
    return wiki


async def workers(wiki: Wiki) -> list[Child]:
    started = [wiki.worker() for _ in range(2)]
    for child in started:
        await reached(lambda child=child: _ready(child), deadline_s=60, every_s=0.1)  # type: ignore[misc] # bound now
    await reached(lambda: _begun_with_partitions(started), deadline_s=60, every_s=0.1)
    return started


async def _ready(child: Child) -> bool:
    return child.is_ready()


async def _begun_with_partitions(children: list[Child]) -> bool:
    return all("partitions_assigned" in child.log for child in children)


async def test_a_worker_freezes_in_mid_sync_the_other_goes_on_and_the_first_wakes(wiki: Wiki) -> None:
    """To the group and to the source a freeze is a death; and then the dead wakes in the middle of a batch."""
    children = await workers(wiki)
    await wiki.ask(SyncMode.FULL)
    await wiki.ask(SyncMode.INCREMENTAL)  # part of the same run, or of one more: never beside it

    async def begun() -> bool:
        return any("sync_begun" in child.log for child in children)

    await reached(begun, deadline_s=60, every_s=0.02)
    [holder] = [child for child in children if "sync_begun" in child.log]

    async def frozen_with_a_cursor() -> bool:
        """Let it go on for as long as the waiting between two looks: looking takes longer than a batch."""
        holder.process.send_signal(signal.SIGSTOP)
        if len(await wiki.own.records(Topic.CONNECTORS_CURSORS)) >= BATCH:
            return True
        holder.process.send_signal(signal.SIGCONT)
        return False

    await reached(frozen_with_a_cursor, deadline_s=60, every_s=0.05)
    assert SyncEnding.COMPLETED not in await wiki.endings(), "it froze too late to show anything"

    async def all_settled() -> bool:
        return any(each in {SyncEnding.COMPLETED, SyncEnding.NOTHING_NEW} for each in await wiki.endings())

    await reached(all_settled, deadline_s=90, every_s=0.2)
    holder.process.send_signal(signal.SIGCONT)
    await reached(lambda: _woken(holder), deadline_s=60, every_s=0.1)
    before = len(await wiki.endings())
    await wiki.ask(SyncMode.FULL)

    async def asked_again() -> bool:
        return len(await wiki.endings()) > before

    await reached(asked_again, deadline_s=60, every_s=0.1)
    times = Counter(each.external_id for each in await wiki.submitted())
    assert len(times) == PAGES
    assert set(times.values()) <= {1, 2}
    assert sum(times.values()) - PAGES <= BATCH
    assert (await wiki.endings())[-1] is SyncEnding.NOTHING_NEW
    assert len(without_marks(await wiki.cursors().load())) == PAGES
    assert [child.stop() for child in children] == [0, 0]


async def _woken(child: Child) -> bool:
    return child.is_ready() and ("sync_lost" in child.log or child.log.count("partitions_assigned") > 1)
