"""A mass deletion on the real broker: it waits, also for the next worker, is approved in part, and undone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.cursors import CursorStore
from connectors.endings import Ending, SyncReport
from connectors.filesystem.connector import FilesystemConnector
from connectors.runner import Runner
from headwater.clients.kafka.quarantine import KafkaQuarantine
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.undoing import Undo, Undone
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DocumentOp, DocumentSubmitted
from schemas.ids import Principal
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.blobs import FakeBlobStore
from tests.support.folders import pages_in
from tests.support.heads import ACME, FILES, HANDBOOK, command, delete, put, state

pytestmark = pytest.mark.real

NAMES = [f"{number}.md" for number in range(8)]
ADA = Principal("user:ada")
PAGES, FEW = 24, 2


async def test_a_mass_deletion_waits_is_approved_and_undone(own: Installation) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    quarantine = KafkaQuarantine(own.settings, own.admin)
    first = await own.admission(0)
    await own.settle_in()
    few = Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK, max_deletions_per_day=0)
    await own.settled(*await own.direct(command(DirectoryKind.SOURCE, FILES, few)))
    await own.settled(*await own.submit(*(put(state(content=None), name) for name in NAMES)))
    await own.settled(*await own.submit(*(delete(name) for name in NAMES)))
    assert first.stop() == 0
    await own.admission(1)

    waiting = await quarantine.waiting(ACME, FILES)
    assert sorted(each.external_id for each in waiting) == NAMES
    approvals = [delete(each.external_id, approves=each.submitted, actor=ADA) for each in waiting[:4]]
    there = [put(state(content=None), each.external_id) for each in waiting[4:6]]
    await own.settled(*await own.submit(*approvals, *there))
    assert list(await quarantine.waiting(ACME, FILES)) == list(waiting[6:])
    log = await own.changes()
    assert {each.external_id for each in log if each.approved} == {each.external_id for each in approvals}

    async def send(events: Sequence[DocumentSubmitted]) -> None:
        await own.settled(*await own.submit(*events))

    undo = Undo(
        tenant=ACME,
        source=FILES,
        since=since,
        now=datetime.now(UTC),
        actor=ADA,
        log=KafkaSourceLog(own.settings, settle_wait_s=0),
        blobs=FakeBlobStore(),
        directory_topic=f"{own.settings.kafka.topic_prefix}{Topic.DIRECTORY_CHANGED}",
    )
    undone = await undo.run({each.document_id: each.quarantined_at for each in waiting[6:]}, send)
    assert undone == Undone(restored=4, kept=2)
    assert await quarantine.waiting(ACME, FILES) == []
    newest = {each.external_id: each.op for each in await own.changes()}
    assert newest == dict.fromkeys(NAMES, DocumentOp.UPSERTED)
    assert await replace(undo, now=datetime.now(UTC)).run({}, send) == Undone()


async def synced(own: Installation, root: Path) -> SyncReport:
    """Make a pass over a folder; return when admission has settled what it submitted."""
    runner = Runner(
        settings=own.settings,
        connector=FilesystemConnector(root=root, knowledge_base=HANDBOOK),
        cursors=CursorStore(own.settings, own.producer, tenant=ACME, source=FILES),
        blobs=FakeBlobStore(),
        producer=own.producer,
        tenant=ACME,
        source=FILES,
    )
    report = await runner.sync()
    for topic in (Topic.DOCUMENTS_BACKFILL, Topic.DOCUMENTS_SUBMITTED):
        await own.settled(*(each.position for each in await own.records(topic)))
    return report


async def test_a_listing_that_shows_a_fraction_costs_nothing_and_is_taken_back(
    own: Installation, tmp_path: Path
) -> None:
    """Its deletions are fewer than the budget, and wait all the same until a whole listing shows the pages again."""
    quarantine, root, aside = KafkaQuarantine(own.settings, own.admin), tmp_path / "tree", tmp_path / "aside"
    pages = sorted(pages_in(root, PAGES).glob("page-*.md"))
    await own.admission()
    await own.settle_in()
    assert (await synced(own, root)).upserted == PAGES

    aside.mkdir()
    for page in pages[FEW:]:
        page.rename(aside / page.name)
    report = await synced(own, root)
    assert (report.ending, report.deleted, report.doubted) == (Ending.PARTIAL, 0, PAGES - FEW)
    waiting = await quarantine.waiting(ACME, FILES)
    assert sorted(each.external_id for each in waiting) == [page.name for page in pages[FEW:]]
    assert {each.reason for each in waiting} == {f"the listing showed {FEW} documents, where {PAGES} were known"}
    assert (await synced(own, root)).ending is Ending.NOTHING_NEW
    assert len(await quarantine.waiting(ACME, FILES)) == PAGES - FEW

    for page in pages[FEW:]:
        (aside / page.name).rename(page)
    report = await synced(own, root)
    assert (report.ending, report.upserted) == (Ending.COMPLETED, PAGES - FEW)
    assert await quarantine.waiting(ACME, FILES) == []
    assert [each.op for each in await own.changes()] == [DocumentOp.UPSERTED] * PAGES
