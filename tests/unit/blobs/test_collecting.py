"""Mark and sweep: what is referred to stays, what is young stays, the rest goes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.blobs.marking import Marks, mark_referred
from headwater.blobs.sweeping import Sweeper, Swept
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.records import Record
from headwater.settings import BlobSettings
from schemas.catalogue import load_catalogue
from schemas.codec import encode
from schemas.events.base import Position
from schemas.events.documents import BlobRef, DocumentOp
from schemas.events.parked import EventParked
from schemas.ids import GenerationName, TenantId, document_id, document_key
from schemas.topics import Topic
from tests.support.archive import MemoryLog
from tests.support.blobs import pieces_of
from tests.support.heads import ACME, FILES, changed, patch, put, state

NOW = datetime.now(UTC)
GRACE = timedelta(days=1)
LONG_AGO = (NOW - timedelta(days=9)).timestamp()
LONG_AGO_MS, JUST_NOW_MS = int(LONG_AGO * 1000), int(NOW.timestamp() * 1000)
OTHER = TenantId("other")


@dataclass
class Bench:
    folder: Path
    store: ObjectBlobStore
    log: MemoryLog
    marks: Marks

    async def blob(self, text: str, tenant: TenantId = ACME, *, young: bool = False) -> BlobRef:
        ref = await self.store.write(tenant, pieces_of(text.encode()))
        if not young:
            self.age()
        return ref

    def age(self) -> None:
        """Make everything that is there look old."""
        for path in self.folder.rglob("*"):
            os.utime(path, (LONG_AGO, LONG_AGO))

    def waiting(self, event: object) -> None:
        position = Position(topic="t", partition=0, offset=len(self.log.waiting))
        self.log.waiting.append(
            Record(position=position, key=b"k", value=encode(event), headers=(), timestamp_ms=LONG_AGO_MS)
        )

    async def collect(self, *, dry_run: bool = False) -> Swept:
        await mark_referred(self.log, self.marks, replaced_after=NOW - GRACE)
        sweeper = Sweeper(blobs=self.store, marks=self.marks, young_after=NOW - GRACE, dry_run=dry_run)
        return await sweeper.sweep(await self.store.tenants())

    async def there(self, *refs: BlobRef, tenant: TenantId = ACME) -> list[bool]:
        return [await self.store.exists(tenant, ref) for ref in refs]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "blobs"
    with Marks.open(tmp_path / "scratch") as marks:
        store = ObjectBlobStore(BlobSettings(url=f"file:{folder}"))
        yield Bench(folder=folder, store=store, log=MemoryLog(), marks=marks)
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_what_nothing_refers_to_goes_and_a_dry_run_only_counts_it(bench: Bench) -> None:
    kept, orphan = await bench.blob("kept"), await bench.blob("orphan")
    bench.log.change(changed(content=kept), timestamp_ms=LONG_AGO_MS)
    dry = await bench.collect(dry_run=True)
    assert (dry.removed, dry.removed_bytes, dry.looked_at) == (1, len("orphan"), 2)
    assert await bench.there(kept, orphan) == [True, True]
    assert await bench.collect() == dry
    assert await bench.there(kept, orphan) == [True, False]


async def test_what_was_written_before_its_event_stays(bench: Bench) -> None:
    bench.log.change(changed(content=await bench.blob("kept")), timestamp_ms=LONG_AGO_MS)
    young = await bench.blob("on its way", young=True)
    assert (await bench.collect()).kept_young == 1
    assert await bench.there(young) == [True]


async def test_a_replaced_or_deleted_content_stays_for_the_grace(bench: Bench) -> None:
    one, two = (document_id(ACME, FILES, name) for name in ("one", "two"))
    refs = [await bench.blob(name) for name in ("old", "replaced now", "newest", "deleted now", "deleted long ago")]
    for ref in refs[:3]:
        when = JUST_NOW_MS if ref is refs[2] else LONG_AGO_MS
        bench.log.change(changed(one, content=ref), timestamp_ms=when)
    for document, ref, when in ((two, refs[3], JUST_NOW_MS), (document_id(ACME, FILES, "3"), refs[4], LONG_AGO_MS)):
        bench.log.change(changed(document, content=ref), timestamp_ms=LONG_AGO_MS)
        bench.log.change(changed(document, content=None, op=DocumentOp.DELETED), timestamp_ms=when)
    await bench.collect()
    assert await bench.there(*refs) == [False, True, True, True, False]


async def test_submissions_on_their_way_and_dead_letters_are_roots(bench: Bench) -> None:
    refs = [await bench.blob(name) for name in ("put", "patch", "parked")]
    bench.waiting(put(state(content=refs[0])))
    bench.waiting(patch({"content": refs[1]}))
    record = changed(content=refs[2])
    letter = EventParked(
        origin=Position(topic="t", partition=0, offset=0),
        key=document_key(ACME, record.document_id),
        value=encode(record),
        headers=(),
        stage="prepare",
        generation=GenerationName("g1"),
        error="UnreadableError",
        reason="broken",
        attempts=1,
        parked_at=NOW,
        tenant_id=ACME,
        document_id=record.document_id,
        revision=record.revision,
    )
    bench.waiting(letter)
    bench.waiting(replace(letter, value=b"cut short"))
    assert (await bench.collect()).removed == 0
    assert await bench.there(*refs) == [True] * 3


async def test_a_blob_is_kept_for_its_own_tenant_only(bench: Bench) -> None:
    mine, theirs = await bench.blob("same"), await bench.blob("same", OTHER)
    bench.log.change(changed(content=mine), timestamp_ms=LONG_AGO_MS)
    assert (await bench.collect()).removed == 1
    assert await bench.there(mine) == [True]
    assert await bench.there(theirs, tenant=OTHER) == [False]


async def test_what_was_made_from_a_content_stays_as_long_as_it_does(bench: Bench) -> None:
    source, text, gone, gone_text = [await bench.blob(name) for name in ("a", "text of a", "b", "text of b")]
    await bench.store.record_derived(ACME, text, source=source)
    await bench.store.record_derived(ACME, gone_text, source=gone)
    bench.age()
    bench.log.change(changed(content=source), timestamp_ms=LONG_AGO_MS)
    assert (await bench.collect()).removed == 3  # the content, its text, the link between them
    assert await bench.there(source, text, gone, gone_text) == [True, True, False, False]
    assert await bench.store.is_derived(ACME, text, source=source)
    assert not await bench.store.is_derived(ACME, gone_text, source=gone)


async def test_a_content_that_is_submitted_again_keeps_its_text(bench: Bench) -> None:
    source, text = await bench.blob("a"), await bench.blob("text of a")
    await bench.store.record_derived(ACME, text, source=source)
    bench.age()
    await bench.blob("a", young=True)
    assert (await bench.collect()).removed == 0
    assert await bench.there(source, text) == [True, True]


async def test_a_stream_that_was_never_finished_goes_after_the_grace(bench: Bench) -> None:
    for name, young in (("old", False), ("new", True)):
        path = bench.folder / ACME / "incoming" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
        if not young:
            bench.age()
    await bench.collect()
    assert [path.name for path in (bench.folder / ACME / "incoming").iterdir()] == ["new"]


async def test_the_log_is_read_behind_the_submissions(bench: Bench) -> None:
    bench.log.change(changed(content=await bench.blob("kept")))
    assert await mark_referred(bench.log, bench.marks, replaced_after=NOW) == 1
    assert bench.log.asked == [Topic.DOCUMENTS_CHANGED]


def test_contents_outlive_what_the_log_can_bring_back() -> None:
    kept = load_catalogue()[Topic.DOCUMENTS_CHANGED].min_compaction_lag_days
    assert kept is not None
    assert timedelta(seconds=BlobSettings().orphan_grace_s) > timedelta(days=kept)
