"""Connector workers as processes on a real broker: one falls in mid-sync, and the other goes on."""

import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.cursors import CursorStore, without_marks
from connectors.runner import BATCH
from schemas.codec import decode
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DocumentSubmitted
from schemas.events.syncs import SyncEnding, SyncMode, SyncProgressed, SyncRequested
from schemas.ids import SourceId, directory_key, scoped_key
from schemas.topics import Topic
from tests.support.admission import Child, Installation
from tests.support.folders import pages_in
from tests.support.heads import ACME, HANDBOOK, directory_record
from tests.support.waiting import reached

pytestmark = pytest.mark.real

WIKI = SourceId("wiki")
NOW = datetime.now(UTC)
PAGES = 600  # ten batches: a sync is still at it when its first cursor is seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return pages_in(tmp_path / "tree", PAGES)


async def admit_source(own: Installation, root: Path) -> None:
    """Append the record as admission does."""
    source = Source(name="Wiki", kind="filesystem", knowledge_base=HANDBOOK, settings={"root": str(root)})
    change = directory_record(DirectoryKind.SOURCE, WIKI, source)
    await own.producer.send(Topic.DIRECTORY_CHANGED, change, key=directory_key(ACME, DirectoryKind.SOURCE, WIKI))


async def ask(own: Installation, mode: SyncMode) -> None:
    request = SyncRequested(
        event_id=uuid4(), tenant_id=ACME, occurred_at=NOW, observed_at=NOW, source=WIKI, mode=mode, actor=None
    )
    await own.producer.send(Topic.SYNCS_REQUESTED, request, key=scoped_key(ACME, WIKI))


async def endings(own: Installation) -> list[SyncEnding]:
    told = [decode(record.value or b"", SyncProgressed) for record in await own.records(Topic.SYNCS_PROGRESSED)]
    return [event.ending for event in told if event.ending is not None]


async def submitted(own: Installation) -> Counter[str]:
    topics = (Topic.DOCUMENTS_BACKFILL, Topic.DOCUMENTS_SUBMITTED)
    records = [record for topic in topics for record in await own.records(topic)]
    return Counter(decode(record.value or b"", DocumentSubmitted).external_id for record in records)


def cursors(own: Installation) -> CursorStore:
    return CursorStore(own.settings, own.producer, tenant=ACME, source=WIKI)


async def workers(own: Installation, root: Path) -> list[Child]:
    environment = {
        "HEADWATER_CONNECTORS__FILESYSTEM_ROOTS": f'["{root.parent}"]',
        "HEADWATER_KAFKA__SESSION_TIMEOUT_S": "6",
    }
    started = [own.start(("-m", "connectors", "worker"), **environment) for _ in range(2)]
    for child in started:
        await reached(lambda child=child: _ready(child), deadline_s=60, every_s=0.1)  # type: ignore[misc] # bound now
    await reached(lambda: _begun_with_partitions(started), deadline_s=60, every_s=0.1)
    return started


async def _ready(child: Child) -> bool:
    return child.is_ready()


async def _begun_with_partitions(children: list[Child]) -> bool:
    return all("partitions_assigned" in child.log for child in children)


async def test_a_worker_freezes_in_mid_sync_the_other_goes_on_and_the_first_wakes(
    own: Installation, root: Path
) -> None:
    """To the group and to the source a freeze is a death; and then the dead wakes in the middle of a batch."""
    await admit_source(own, root)
    children = await workers(own, root)
    await ask(own, SyncMode.FULL)
    await ask(own, SyncMode.INCREMENTAL)  # part of the same run, or of one more: never beside it

    async def cursor_seen() -> bool:
        return len(await own.records(Topic.CONNECTORS_CURSORS)) >= BATCH

    await reached(cursor_seen, deadline_s=60, every_s=0.02)
    [holder] = [child for child in children if "sync_begun" in child.log]
    holder.process.send_signal(signal.SIGSTOP)
    assert SyncEnding.COMPLETED not in await endings(own), "it froze too late to show anything"

    async def all_settled() -> bool:
        return any(each in {SyncEnding.COMPLETED, SyncEnding.NOTHING_NEW} for each in await endings(own))

    await reached(all_settled, deadline_s=90, every_s=0.2)
    holder.process.send_signal(signal.SIGCONT)
    await reached(lambda: _woken(holder), deadline_s=60, every_s=0.1)
    before = len(await endings(own))
    await ask(own, SyncMode.FULL)

    async def asked_again() -> bool:
        return len(await endings(own)) > before

    await reached(asked_again, deadline_s=60, every_s=0.1)
    times = await submitted(own)
    assert len(times) == PAGES
    assert set(times.values()) <= {1, 2}
    assert sum(times.values()) - PAGES <= BATCH
    assert (await endings(own))[-1] is SyncEnding.NOTHING_NEW
    assert len(without_marks(await cursors(own).load())) == PAGES
    assert [child.stop() for child in children] == [0, 0]


async def _woken(child: Child) -> bool:
    return child.is_ready() and ("sync_lost" in child.log or child.log.count("partitions_assigned") > 1)
