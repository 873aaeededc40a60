"""A connector worker killed again and again at random instants of syncs: nothing is lost, little is sent twice.

Instants are of three kinds in turn: so many submissions after a sync began, so much time into a sync that finds nothing
new (a listing, and its ending), and so much time into one that finds something. What was submitted last is removed from
the source while no worker runs: nobody may have noted it.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import structlog

from connectors.runner import BATCH
from headwater.clients.blobs import ObjectBlobStore, read_all
from headwater.clients.kafka.config import topic_of
from schemas.events.documents import BlobRef, DocumentSubmitted
from schemas.events.syncs import SyncEnding, SyncMode
from tests.support.admission import Child, Installation
from tests.support.heads import ACME
from tests.support.living import Living, bucket, organisation, site, tree
from tests.support.sources import SharesWithin, readers_of
from tests.support.waiting import reached
from tests.support.wiki import SUBMISSIONS, Wiki

log = structlog.get_logger(__name__)

# `make chaos` kills 50 times in syncs of 2,000 items.
KILLS = int(os.environ.get("HEADWATER_CHAOS_SYNC_KILLS", "2"))
PAGES = int(os.environ.get("HEADWATER_CHAOS_SYNC_ITEMS", "400"))
SEED = 5
REMOVED = 5  # after each kill
LIFE_S = 120.0  # of one worker, on a machine that many share: start, join the group, sync
AFTER_SUBMISSIONS, WITHOUT_NEWS, WITH_NEWS = INSTANTS = ("after submissions", "without news", "with news")
FIRST_GUESS_S: Final = {WITHOUT_NEWS: 0.5, WITH_NEWS: 2.0}  # of how long a sync takes; then it is measured
# An item as submissions have told it: its content, None once it is deleted, and its readers.
Told: TypeAlias = tuple[BlobRef | None, tuple[str, ...]]

pytestmark = [pytest.mark.real, pytest.mark.timeout((KILLS + 3) * LIFE_S)]


@pytest.mark.parametrize("opened", [tree, site, bucket, organisation])
async def test_killed_at_random_instants_nothing_is_lost_and_little_is_sent_twice(
    own: Installation, tmp_path: Path, opened: Callable[..., AbstractContextManager[Living]]
) -> None:
    with opened(tmp_path, items=PAGES, chance=random.Random(SEED)) as living:
        await survives(own, living)


async def survives(own: Installation, living: Living) -> None:
    """Kill workers in syncs of a source; in the end all of it is in the log, and little of it twice."""
    wiki = Wiki(own=own, source=living.source, environment=living.environment)
    await wiki.admit()
    killing = Killing(wiki=wiki, living=living)
    repeated = 0
    for instant, _ in zip(cycle(INSTANTS), range(KILLS), strict=False):
        await killing.kill(instant)
        submissions = await wiki.submitted()
        now = repetitions(submissions)
        assert now - repeated <= BATCH, instant
        repeated = now
        for newest in sorted(submissions, key=lambda each: each.observed_at)[-REMOVED:]:
            living.remove(newest.external_id)

    await killing.finish()
    submissions = await wiki.submitted()
    assert await as_told(own, submissions, living) == living.truth()
    assert repetitions(submissions) <= KILLS * BATCH
    log.info("killed", kills=dict(killing.kills), syncs=killing.asked, submissions=len(submissions), repeated=repeated)


@dataclass(slots=True, kw_only=True)
class Killing:
    """Workers of one source, one after another, and the syncs that they are asked for."""

    wiki: Wiki
    living: Living
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    asked: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    _has_news: bool = False  # of the newest sync
    _worker: Child | None = None
    _lasted_s: dict[str, float] = field(default_factory=FIRST_GUESS_S.copy)

    async def kill(self, instant: str) -> None:
        """Kill a worker at such an instant of a sync, before it has said that the sync has ended."""
        while True:
            worker = self._worker = self._worker or self.wiki.worker()
            ended = worker.log.count("sync_ended")  # first: what ends from here on is seen
            if await self._is_settled():
                await self._ask(news=instant != WITHOUT_NEWS)
            elif self._has_news != (instant != WITHOUT_NEWS):
                await reached(self._is_settled, deadline_s=LIFE_S, every_s=0.05)
                continue
            if await self._fell(worker, ended, instant):
                self.kills[instant] += 1
                self._worker = None
                return

    async def finish(self) -> None:
        """Let a last worker end what is to be done, all of it once more another, and stop it."""
        worker = self._worker or self.wiki.worker()
        await reached(self._is_settled, deadline_s=LIFE_S, every_s=0.2)
        await self._ask(news=True)
        await reached(self._is_settled, deadline_s=LIFE_S, every_s=0.2)
        assert worker.stop() == 0
        endings = await self.wiki.endings()
        assert set(endings) <= {SyncEnding.COMPLETED, SyncEnding.NOTHING_NEW}

    async def _is_settled(self) -> bool:
        """Whether every sync that was asked for has its ending recorded, though its worker may not have said so."""
        return len(await self.wiki.endings()) >= self.asked

    async def _ask(self, *, news: bool) -> None:
        if news and self.asked:
            self.living.rewrite()
        await self.wiki.ask(SyncMode.INCREMENTAL if self.asked else SyncMode.FULL)
        self.asked, self._has_news = self.asked + 1, news or not self.asked

    async def _fell(self, worker: Child, ended: int, instant: str) -> bool:
        """Kill the worker at an instant of its next sync. False: it had ended before."""

        def has_ended() -> bool:
            return worker.log.count("sync_ended") > ended

        await reached(lambda: worker.log.count("sync_begun") > ended, deadline_s=LIFE_S, every_s=0.002)
        begun_s = time.monotonic()
        if instant == AFTER_SUBMISSIONS:
            wanted = await sent(self.wiki.own) + self.chance.randint(1, PAGES // 2)

            async def has_come() -> bool:
                return await sent(self.wiki.own) >= wanted or has_ended()

            await reached(has_come, deadline_s=LIFE_S, every_s=0.005)
        else:
            at_s = begun_s + self.chance.random() * self._lasted_s[instant]
            await reached(lambda: time.monotonic() >= at_s or has_ended(), deadline_s=LIFE_S, every_s=0.002)
        if not has_ended():
            worker.kill()
            if not has_ended():
                return True
            self._worker = None
        if instant != AFTER_SUBMISSIONS:
            self._lasted_s[instant] = time.monotonic() - begun_s
        return False


async def sent(own: Installation) -> int:
    """Count the records of both lanes."""
    ends = await own.admin.end_offsets([topic_of(own.settings, topic) for topic in SUBMISSIONS])
    return sum(sum(partitions.values()) for partitions in ends.values())


def repetitions(submissions: Iterable[DocumentSubmitted]) -> int:
    """Count submissions that say of an item what the one before them said."""
    said: dict[str, Told] = {}
    repeated = 0
    for each in in_order(submissions):
        now = told_by(each, said.get(each.external_id))
        repeated += said.get(each.external_id) == now
        said[each.external_id] = now
    return repeated


async def as_told(
    own: Installation, submissions: Iterable[DocumentSubmitted], living: Living
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return each item's text and readers to whoever has read all submissions."""
    newest: dict[str, Told] = {}
    outer = living.outer if isinstance(living, SharesWithin) else None
    for each in in_order(submissions):
        newest[each.external_id] = told_by(each, newest.get(each.external_id), outer)
    blobs = ObjectBlobStore(own.settings.blobs)
    return {
        name: (living.text(await read_all(blobs, ACME, content)), readers)
        for name, (content, readers) in newest.items()
        if content is not None
    }


def in_order(submissions: Iterable[DocumentSubmitted]) -> list[DocumentSubmitted]:
    """Sort by version: the two lanes are two topics."""
    return sorted(submissions, key=lambda each: each.source_version or 0)


def told_by(submission: DocumentSubmitted, before: Told | None, outer: Sequence[str] | None = None) -> Told:
    """Return an item as it is with this submission. Nothing here patches anything but access."""
    if submission.patch is not None:
        assert before is not None, "a patch of what was never submitted"
        assert submission.patch.access is not None
        return before[0], readers_of(submission.patch.access, outer)
    state = submission.state
    return (None, ()) if state is None else (state.content, readers_of(state.access, outer))
