"""A connector worker killed again and again at random instants of syncs: nothing is lost, little is sent twice."""

import os
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import structlog

from connectors.runner import BATCH
from headwater.clients.blobs import ObjectBlobStore, read_all
from headwater.clients.kafka.config import topic_of
from schemas.events.documents import BlobRef, DocumentSubmitted, SubmissionOp
from schemas.events.syncs import SyncEnding, SyncMode
from tests.support.admission import Child, Installation
from tests.support.heads import ACME
from tests.support.living import Living, bucket, organisation, site, tree
from tests.support.waiting import reached
from tests.support.wiki import SUBMISSIONS, Wiki

log = structlog.get_logger(__name__)

# `make chaos` kills 50 times in syncs of 2,000 items.
KILLS = int(os.environ.get("HEADWATER_CHAOS_SYNC_KILLS", "2"))
PAGES = int(os.environ.get("HEADWATER_CHAOS_SYNC_ITEMS", "400"))
SEED = 5
LIFE_S = 120.0  # of one worker, on a machine that many share: start, join the group, sync

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
    chance = random.Random(SEED)
    await wiki.admit()
    await wiki.ask(SyncMode.FULL)
    kills, syncs, repeated = 0, 0, 0
    while kills < KILLS:
        instant = await sent(own) + chance.randint(1, PAGES // 2)
        worker = wiki.worker()
        if await fell_in_mid_sync(own, worker, instant):
            kills += 1
            now = repetitions(await wiki.submitted())
            assert now - repeated <= BATCH
            repeated = now
        else:  # it was done before: the next one has other work
            syncs += 1
            assert worker.stop() == 0
            living.rewrite()
            await wiki.ask(SyncMode.INCREMENTAL)

    last, ended = wiki.worker(), len(await wiki.endings())
    await reached(lambda: has_ended(wiki, ended), deadline_s=LIFE_S, every_s=0.2)
    assert last.stop() == 0
    assert (await wiki.endings())[-1] in {SyncEnding.COMPLETED, SyncEnding.NOTHING_NEW}
    submissions = await wiki.submitted()
    assert await texts(own, submissions, living) == living.truth()
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
    said: dict[str, BlobRef | None] = {}
    repeated = 0
    for each in in_order(submissions):
        content = content_of(each)
        repeated += each.external_id in said and said[each.external_id] == content
        said[each.external_id] = content
    return repeated


async def texts(own: Installation, submissions: Iterable[DocumentSubmitted], living: Living) -> dict[str, str]:
    """Return each item's text to whoever has read all submissions."""
    newest = {each.external_id: content_of(each) for each in in_order(submissions)}
    blobs = ObjectBlobStore(own.settings.blobs)
    return {
        name: living.text(await read_all(blobs, ACME, content))
        for name, content in newest.items()
        if content is not None
    }


def in_order(submissions: Iterable[DocumentSubmitted]) -> list[DocumentSubmitted]:
    """Sort by version: the two lanes are two topics."""
    return sorted(submissions, key=lambda each: each.source_version or 0)


def content_of(submission: DocumentSubmitted) -> BlobRef | None:
    """Return what is put; None for a deletion. A change of metadata alone is neither, and nothing here makes one."""
    assert submission.op is not SubmissionOp.PATCH
    return submission.state.content if submission.state is not None else None
