"""Backups of a log in memory, on a folder: what is copied, what a restore makes of it, and what it refuses."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headwater.archive.expiring import expire_runs
from headwater.archive.manifests import ManifestError
from headwater.archive.runs import choose_run, manifest_object, run_names, segment_object
from headwater.archive.segments import SegmentDamagedError
from headwater.cli.main import app
from headwater.clients.archive import ObjectArchive
from headwater.errors import FatalError
from headwater.settings import BackupSettings
from schemas.codec import decode, encode
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryChanged, DirectoryKind, KnowledgeBase
from schemas.events.documents import NOBODY, BlobRef, DocumentChanged, DocumentOp
from schemas.events.syncs import CursorSaved
from schemas.ids import DocumentId, Revision, document_id, document_key
from schemas.topics import Topic
from tests.support.archive import MemoryLog
from tests.support.archive_bench import SMALL, ArchiveBench
from tests.support.heads import ACME, FILES, HANDBOOK, NOON, changed, directory_record, put

ONE, TWO, THREE = (document_id(ACME, FILES, name) for name in ("one", "two", "three"))


@pytest.fixture
def bench(tmp_path: Path) -> ArchiveBench:
    return ArchiveBench.below(tmp_path, ObjectArchive(str(tmp_path / "archive"), SMALL))


def documents(log: MemoryLog) -> dict[DocumentId, DocumentChanged]:
    records = [decode(each.value or b"", DocumentChanged) for each in log.newest(Topic.DOCUMENTS_CHANGED).values()]
    return {each.document_id: each for each in records}


def deleted(record: DocumentChanged, revision: int) -> DocumentChanged:
    return replace(record, op=DocumentOp.DELETED, revision=Revision(revision), content=None, access=NOBODY, title="")


async def test_what_was_backed_up_comes_back_with_its_contents(bench: ArchiveBench) -> None:
    await bench.change(ONE, "first", revision=Revision(5))
    kept = await bench.change(ONE, "second", revision=Revision(7), access=NOBODY)
    gone = await bench.change(TWO, "gone", revision=Revision(6))
    bench.log.change(deleted(gone, 9))
    await bench.backup()

    other = MemoryLog(partitions=3)
    restored = await bench.restore(other)
    found = documents(other)
    assert {(each.revision, each.op, each.access) for each in found.values()} == {
        (7, DocumentOp.UPSERTED, NOBODY),
        (9, DocumentOp.DELETED, NOBODY),
    }
    assert restored.fingerprint == await bench.fingerprint(bench.log) == await bench.fingerprint(other)
    assert (restored.documents, restored.blobs, restored.blobs_missing) == (2, 1, ())
    assert kept.content is not None
    assert b"".join([piece async for piece in bench.restored_blobs.read(ACME, kept.content)]) == b"second"


async def test_a_second_run_copies_only_what_is_new(bench: ArchiveBench) -> None:
    for number in range(20):
        await bench.change(document_id(ACME, FILES, str(number)), f"text {number}")
    first = await bench.backup()
    await bench.change(ONE, "new")
    second = await bench.backup()
    assert (first.full_because is None, second.full_because, second.parent) == (False, None, first.name)
    assert (first.blobs_copied, second.blobs_copied) == (20, 1)
    before, after = (run.topics[Topic.DOCUMENTS_CHANGED].segments for run in (first, second))
    assert len(before) > 2
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert (await bench.backup()).topics[Topic.DOCUMENTS_CHANGED].segments == after


async def test_each_run_stays_restorable(bench: ArchiveBench) -> None:
    await bench.change(ONE, "old", revision=Revision(1))
    first, before = await bench.backup(), await bench.fingerprint(bench.log)
    await bench.change(ONE, "new", revision=Revision(2))
    second, after = await bench.backup(), await bench.fingerprint(bench.log)
    assert (await bench.restore(MemoryLog(), run=first.name)).fingerprint == before
    assert (await bench.restore(MemoryLog(), run=second.name)).fingerprint == after


async def test_an_erased_document_is_not_brought_back(bench: ArchiveBench) -> None:
    record = await bench.change(ONE, "secret")
    await bench.change(TWO, "other")
    await bench.backup()
    bench.log.put(Topic.DOCUMENTS_CHANGED, document_key(ACME, ONE), None)
    assert record.document_id == ONE
    await bench.backup()
    other = MemoryLog()
    await bench.restore(other)
    assert documents(other).keys() == {TWO}


async def test_positions_of_the_old_log_are_translated(bench: ArchiveBench) -> None:
    base = directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook"))
    for number in range(5):  # superseded: they do not come back, so what follows moves down
        bench.log.direct(replace(base, revision=Revision(number)))
    other = directory_record(DirectoryKind.KNOWLEDGE_BASE, "wiki", KnowledgeBase(name="Wiki"))
    bench.log.direct(other)
    await bench.change(ONE, "before", directory_position=5)
    await bench.change(TWO, "behind", directory_position=6)
    purge = Position(topic=Topic.DIRECTORY_CHANGED.value, partition=0, offset=4)
    bench.log.change(replace(deleted(changed(THREE), 9), submitted=purge))
    await bench.backup()

    log = MemoryLog()
    await bench.restore(log)
    found = documents(log)
    ends = (await log.facts(Topic.DIRECTORY_CHANGED)).ends[0]
    assert (found[ONE].directory_position, found[TWO].directory_position) == (1, 2)
    assert all(each.directory_position <= ends for each in found.values())
    assert found[THREE].submitted == Position(topic="new.rag.directory.changed", partition=0, offset=0)
    assert (found[ONE].submitted.topic, found[ONE].submitted.offset) == ("new.rag.documents.submitted", -1)
    assert {each.lane for each in found.values()} == {Lane.BACKFILL}
    records = [decode(each.value or b"", DirectoryChanged) for each in log.newest(Topic.DIRECTORY_CHANGED).values()]
    assert {each.submitted.offset for each in records} == {-1}
    assert {each.revision for each in records} == {4, other.revision}


async def test_a_cursor_is_never_ahead_of_the_documents(bench: ArchiveBench) -> None:
    cursor = CursorSaved(
        event_id=changed().event_id,
        tenant_id=ACME,
        occurred_at=NOON,
        observed_at=NOON,
        source=FILES,
        part="a/b",
        state=b"1",
    )
    key = b"acme/files/a/b"
    bench.log.put(Topic.CONNECTORS_CURSORS, key, encode(cursor))
    await bench.backup()
    bench.log.put(Topic.CONNECTORS_CURSORS, key, encode(replace(cursor, state=b"2")))
    bench.log.settled = False  # what the cursor stands for still waits for admission
    assert not (await bench.backup()).cursors_current

    async def restored_state() -> bytes:
        log = MemoryLog()
        assert (await bench.restore(log)).cursors == 1
        return decode(log.newest(Topic.CONNECTORS_CURSORS)[key].value or b"", CursorSaved).state

    assert await restored_state() == b"1"
    bench.log.settled = True
    await bench.backup()
    assert await restored_state() == b"2"
    assert bench.log.asked.index(Topic.CONNECTORS_CURSORS) < bench.log.asked.index(Topic.DOCUMENTS_CHANGED)


async def test_the_directory_is_read_after_the_documents(bench: ArchiveBench) -> None:
    await bench.backup()
    bench.log.asked.clear()
    await bench.backup(full=True)
    assert bench.log.asked.index(Topic.DOCUMENTS_CHANGED) < bench.log.asked.index(Topic.DIRECTORY_CHANGED)


async def test_contents_on_their_way_are_copied_too(bench: ArchiveBench) -> None:
    waiting = put(replace(put().state, content=await bench.content("on its way")))  # type: ignore[type-var]  # it has one
    record = MemoryLog()
    record.put(Topic.DOCUMENTS_SUBMITTED, document_key(ACME, waiting.document_id), encode(waiting))
    bench.log.waiting = list(record.newest(Topic.DOCUMENTS_SUBMITTED).values())
    assert (await bench.backup()).blobs_copied == 1


async def test_a_content_that_is_gone_is_named_and_the_rest_goes_on(bench: ArchiveBench) -> None:
    await bench.change(ONE, "there")
    lost = BlobRef(sha256="0" * 64, size_bytes=3)
    bench.log.change(changed(TWO, content=lost))
    assert (await bench.backup()).blobs_missing == (f"{ACME}/{lost.sha256}",)
    restored = await bench.restore(MemoryLog())
    assert (restored.documents, restored.blobs_missing) == (2, (f"{ACME}/{lost.sha256}",))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("asked", "it was asked for"),
        ("old", "the last full run is old"),
        ("anew", "created anew"),
        ("away", "may have been compacted away"),
        ("damaged", "the last run is damaged"),
    ],
)
async def test_a_run_begins_anew_where_going_on_would_miss_something(bench: ArchiveBench, what: str, why: str) -> None:
    await bench.change(ONE, "text")
    first = await bench.backup()
    settings = BackupSettings(full_every_days=7 if what == "old" else 30)
    if what == "anew":
        bench.log.identity = "second"
    if what in {"old", "away"}:
        bench.now += timedelta(days=8)
    if what == "damaged":
        await bench.archive.put(manifest_object(first.name), b"{}")
    second = await bench.backup(full=what == "asked", settings=settings)
    assert why in (second.full_because or "")
    assert (await bench.restore(MemoryLog())).documents == 1


async def test_a_log_that_is_not_empty_is_left_alone(bench: ArchiveBench) -> None:
    await bench.change(ONE, "text")
    await bench.backup()
    with pytest.raises(FatalError, match="not empty"):
        await bench.restore(bench.log)
    assert len(bench.log.newest(Topic.DOCUMENTS_CHANGED)) == 1


async def test_changed_bytes_are_noticed(bench: ArchiveBench) -> None:
    await bench.change(ONE, "text")
    run = await bench.backup()
    segment = run.topics[Topic.DOCUMENTS_CHANGED].segments[0].sha256
    await bench.archive.put(segment_object(segment), b"something else")
    with pytest.raises(SegmentDamagedError, match=segment):
        await bench.restore(MemoryLog())
    await bench.archive.put(manifest_object(run.name), b"{}")
    with pytest.raises(ManifestError, match=run.name):
        await choose_run(bench.archive, None)


async def test_a_writer_beside_the_restore_is_noticed(bench: ArchiveBench) -> None:
    await bench.change(ONE, "text")
    await bench.backup()
    busy = MemoryLog()
    append = busy.append

    async def append_and_more(topic: Topic, records: Any) -> Any:
        offsets = await append(topic, records)
        if topic is Topic.DOCUMENTS_CHANGED:
            busy.change(changed(TWO))
        return offsets

    busy.append = append_and_more  # type: ignore[method-assign]  # somebody else writes at the same time
    with pytest.raises(FatalError, match="another fingerprint"):
        await bench.restore(busy)


async def test_an_archive_without_runs_says_so(bench: ArchiveBench) -> None:
    with pytest.raises(FatalError, match="holds no run"):
        await choose_run(bench.archive, None)


async def test_old_runs_expire_with_what_only_they_need(bench: ArchiveBench) -> None:
    old = await bench.change(ONE, "old", revision=Revision(1))
    first = await bench.backup()
    bench.now += timedelta(days=20)
    kept = await bench.change(ONE, "new", revision=Revision(2))
    second = await bench.backup()  # full: the first is too old to go on from
    bench.age()  # the sweep spares what a run under way may have written today
    later = bench.now + timedelta(days=15)
    expired = await expire_runs(bench.archive, now=later, retention_days=30, folder=bench.folder)
    assert (expired.runs, expired.blobs, await run_names(bench.archive)) == (1, 1, [second.name])
    assert first.name != second.name
    assert old.content is not None
    assert kept.content is not None
    assert not await bench.archive.blobs.exists(ACME, old.content)
    assert await bench.archive.blobs.exists(ACME, kept.content)
    assert (await bench.restore(MemoryLog())).documents == 1


async def test_the_runs_of_an_archive_are_listed(bench: ArchiveBench) -> None:
    await bench.change(ONE, "text")
    runs = [await bench.backup(), await bench.backup()]
    listing = ["restore", str(bench.folder / "archive"), "--list", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, app, listing)
    assert result.exit_code == 0, result.output
    listed = [(each["run"], each["kind"], each["records"]) for each in json.loads(result.stdout)]
    assert listed == [(runs[0].name, "full: it is the first run", 1), (runs[1].name, "incremental", 1)]
