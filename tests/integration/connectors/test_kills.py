"""A connector worker killed again and again at random instants of syncs: nothing is lost, little is sent twice."""

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
import structlog

from connectors.runner import BATCH
from headwater.clients.kafka.config import topic_of
from schemas.events.documents import DocumentSubmitted
from schemas.events.syncs import SyncEnding, SyncMode
from tests.support.admission import Child, Installation
from tests.support.folders import pages_in
from tests.support.waiting import reached
from tests.support.wiki import SUBMISSIONS, Wiki

log = structlog.get_logger(__name__)

# `make chaos` kills 50 times in syncs of 2,000 items.
KILLS = int(os.environ.get("HEADWATER_CHAOS_SYNC_KILLS", "2"))
PAGES = int(os.environ.get("HEADWATER_CHAOS_SYNC_ITEMS", "400"))
SEED = 5
LIFE_S = 120.0  # of one worker, on a machine that many share: start, join the group, sync

pytestmark = [pytest.mark.real, pytest.mark.timeout((KILLS + 3) * LIFE_S)]


@dataclass(slots=True, kw_only=True)
class Tree:
    """The folder, which becomes another one each time that a sync has ended."""

    root: Path
    chance: random.Random
    editions: Iterable[int] = field(default_factory=lambda: count(1))

    def rewrite(self) -> None:
        """Edit most of the pages, remove some, bring some back."""
        edition = next(iter(self.editions))
        for number in range(PAGES):
            page = self.root / f"page-{number:03}.md"
            if self.chance.random() < 0.05:
                page.unlink(missing_ok=True)
            else:
                page.write_text(f"# Page {number}\n\nEdition {edition}.")

    def truth(self) -> dict[str, str]:
        """Return each page's content as its hash."""
        return {page.name: sha256(page.read_bytes()).hexdigest() for page in self.root.glob("*.md")}


async def test_killed_at_random_instants_nothing_is_lost_and_little_is_sent_twice(
    own: Installation, tmp_path: Path
) -> None:
    wiki = Wiki(own=own, root=pages_in(tmp_path / "tree", PAGES))
    tree = Tree(root=wiki.root, chance=random.Random(SEED))
    await wiki.admit()
    await wiki.ask(SyncMode.FULL)
    kills, syncs, repeated = 0, 0, 0
    while kills < KILLS:
        instant = await sent(own) + tree.chance.randint(1, PAGES // 2)
        worker = wiki.worker()
        if await fell_in_mid_sync(own, worker, instant):
            kills += 1
            now = repetitions(await wiki.submitted())
            assert now - repeated <= BATCH
            repeated = now
        else:  # it was done before: the next one has other work
            syncs += 1
            assert worker.stop() == 0
            tree.rewrite()
            await wiki.ask(SyncMode.INCREMENTAL)

    last, ended = wiki.worker(), len(await wiki.endings())
    await reached(lambda: has_ended(wiki, ended), deadline_s=LIFE_S, every_s=0.2)
    assert last.stop() == 0
    assert (await wiki.endings())[-1] in {SyncEnding.COMPLETED, SyncEnding.NOTHING_NEW}
    submissions = await wiki.submitted()
    assert state_of(submissions) == tree.truth()
    assert repetitions(submissions) <= (KILLS + 1) * BATCH
    log.info("killed", kills=kills, syncs=syncs + 1, submissions=len(submissions), repeated=repetitions(submissions))


async def fell_in_mid_sync(own: Installation, worker: Child, instant: int) -> bool:
    """Kill the worker when so many submissions are in the log. False: its sync had ended before."""

    async def either() -> bool:
        return await sent(own) >= instant or "sync_ended" in worker.log

    await reached(either, deadline_s=LIFE_S, every_s=0.005)
    if "sync_ended" in worker.log:
        return False
    worker.kill()
    return True


async def has_ended(wiki: Wiki, before: int) -> bool:
    return len(await wiki.endings()) > before


async def sent(own: Installation) -> int:
    """Count the records of both lanes."""
    ends = await own.admin.end_offsets([topic_of(own.settings, topic) for topic in SUBMISSIONS])
    return sum(sum(partitions.values()) for partitions in ends.values())


def repetitions(submissions: Iterable[DocumentSubmitted]) -> int:
    """Count submissions that say of an item what the one before them said."""
    said: dict[str, str | None] = {}
    repeated = 0
    for each in in_order(submissions):
        content = content_of(each)
        repeated += each.external_id in said and said[each.external_id] == content
        said[each.external_id] = content
    return repeated


def state_of(submissions: Iterable[DocumentSubmitted]) -> dict[str, str]:
    """Return each page's content, as its hash, to whoever has read all submissions."""
    newest = {each.external_id: content_of(each) for each in in_order(submissions)}
    return {name: content for name, content in newest.items() if content is not None}


def in_order(submissions: Iterable[DocumentSubmitted]) -> list[DocumentSubmitted]:
    """Sort by version: the two lanes are two topics."""
    return sorted(submissions, key=lambda each: each.source_version or 0)


def content_of(submission: DocumentSubmitted) -> str | None:
    """Return the hash of what is put; None for a deletion."""
    put = submission.state.content if submission.state is not None else None
    return None if put is None else put.sha256
