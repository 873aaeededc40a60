"""What a bad sync removed comes back from the log, and what cannot is named."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from headwater.undoing import Lost, Undo, Undone
from schemas.events.base import Lane, Position
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentSubmitted, SubmissionOp
from schemas.ids import DocumentId, Principal, Revision, SourceId, TenantId, document_id
from streams.admit.outcomes import Admitted, DocumentHead, Drop, Dropped, Quarantined, Refusal, Refused
from streams.admit.state import state_of
from streams.admit.step import decide
from tests.support.archive import MemoryLog
from tests.support.blobs import FakeBlobStore
from tests.support.heads import ACME, FILES, NOON, changed, delete
from tests.unit.admit.test_decide import admitted, context
from tests.unit.admit.test_quarantine import USED_UP, used

DIRECTORY = "rag.directory.changed"
HOUR = timedelta(hours=1)


class Bench:
    """A log with documents of a source, and what an undo submits."""

    def __init__(self) -> None:
        self.log, self.blobs = MemoryLog(), FakeBlobStore()
        self.sent: list[DocumentSubmitted] = []

    async def document(self, name: str, *, deleted_at: datetime | None = None, **fields: object) -> DocumentChanged:
        content = await self.blobs.write(ACME, _bytes(name))
        values = {"external_id": name, "title": name, "content": content, "source": FILES, "tenant_id": ACME} | fields
        tenant, source = TenantId(str(values["tenant_id"])), SourceId(str(values["source"]))
        record = replace(changed(document_id(tenant, source, name)), **values)  # type: ignore[arg-type]  # by name
        self.log.change(record)
        if deleted_at is not None:
            self.log.change(deletion(record, deleted_at))
        return record

    async def undo(self, *, since: datetime = NOON, waiting: dict[DocumentId, datetime] | None = None) -> Undone:
        self.sent = []

        async def send(submissions: Sequence[DocumentSubmitted]) -> None:
            self.sent += submissions

        return await Undo(
            tenant=ACME,
            source=FILES,
            since=since,
            now=NOON + 3 * HOUR,
            actor=Principal("system"),
            log=self.log,
            blobs=self.blobs,
            directory_topic=DIRECTORY,
        ).run(waiting or {}, send)

    def names(self) -> list[str]:
        return sorted(each.external_id for each in self.sent)


async def _bytes(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


def deletion(record: DocumentChanged, at: datetime, **fields: object) -> DocumentChanged:
    stripped = changed(
        record.document_id, external_id=record.external_id, tenant_id=record.tenant_id, source=record.source
    )
    values = {
        "op": DocumentOp.DELETED,
        "revision": Revision(record.revision + 1),
        "admitted_at": at,
        "title": "",
        "content": None,
    }
    return replace(stripped, **(values | fields))  # type: ignore[arg-type]  # by name


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_what_was_deleted_since_comes_back_as_it_was(bench: Bench) -> None:
    record = await bench.document("gone.md", deleted_at=NOON + HOUR, holds=())
    await bench.document("there.md")
    await bench.document("long gone.md", deleted_at=NOON - HOUR)
    assert await bench.undo() == Undone(restored=1)
    [submission] = bench.sent
    assert submission.state == state_of(record)
    assert (submission.op, submission.lane, submission.expected_revision) == (SubmissionOp.PUT, Lane.BACKFILL, 0)
    assert (submission.source_version, submission.actor) == (None, "system")


async def test_the_state_before_the_deletion_is_the_newest_one(bench: Bench) -> None:
    record = await bench.document("a.md")
    edited = replace(record, title="Edited", revision=Revision(record.revision + 1))
    bench.log.change(edited)
    bench.log.change(deletion(edited, NOON + HOUR))
    bench.log.change(deletion(edited, NOON + 2 * HOUR, revision=Revision(edited.revision + 2)))  # a rerun
    assert await bench.undo(since=NOON + HOUR + HOUR / 2) == Undone()
    await bench.undo()
    assert [each.state and each.state.title for each in bench.sent] == ["Edited"]


async def test_other_tenants_and_sources_and_what_the_directory_deleted_stay_away(bench: Bench) -> None:
    await bench.document("rival.md", tenant_id=TenantId("rival"), deleted_at=NOON + HOUR)
    await bench.document("wiki.md", source=SourceId("wiki"), deleted_at=NOON + HOUR)
    record = await bench.document("purged.md")
    by_directory = Position(topic=DIRECTORY, partition=0, offset=4)
    bench.log.change(deletion(record, NOON + HOUR, submitted=by_directory))
    back = await bench.document("back.md", deleted_at=NOON + HOUR)
    bench.log.change(replace(back, revision=Revision(back.revision + 2)))
    assert await bench.undo() == Undone()
    assert bench.sent == []


async def test_what_cannot_come_back_is_named(bench: Bench) -> None:
    emptied = await bench.document("emptied.md", deleted_at=NOON + HOUR)
    assert emptied.content is not None
    del bench.blobs.blobs[ACME, emptied.content.sha256]
    compacted = changed(document_id(ACME, FILES, "old.md"), external_id="old.md")
    bench.log.change(deletion(compacted, NOON + HOUR))
    undone = await bench.undo()
    assert sorted(undone.lost, key=lambda each: each.external_id) == [
        Lost(external_id="emptied.md", why="its content has left the blob store"),
        Lost(external_id="old.md", why="its last state has left the log"),
    ]
    assert (undone.restored, bench.sent) == (0, [])


async def test_a_deletion_that_waits_is_taken_back(bench: Bench) -> None:
    record = await bench.document("waits.md")
    early = await bench.document("waits longer.md")
    waiting = {record.document_id: NOON + HOUR, early.document_id: NOON - HOUR}
    assert await bench.undo(waiting=waiting) == Undone(kept=1)
    [submission] = bench.sent
    assert submission.expected_revision == record.revision
    head = DocumentHead(record=record, seen_version=None)
    waits = decide(delete("waits.md"), head, used(USED_UP))
    assert isinstance(waits, Quarantined)
    decision = decide(submission, waits.head, used(USED_UP, 2))
    assert isinstance(decision, Dropped)
    assert (decision.reason, decision.head and decision.head.waiting) == (Drop.UNCHANGED, None)


async def test_admission_takes_it_unless_the_source_was_faster(bench: Bench) -> None:
    record = await bench.document("gone.md", deleted_at=NOON + HOUR, source_version=9)
    await bench.undo()
    [submission] = bench.sent
    gone = DocumentHead(record=deletion(record, NOON + HOUR, source_version=9), seen_version=9)
    back = admitted(decide(submission, gone, context(5)))
    assert (back.record.op, back.record.content) == (DocumentOp.UPSERTED, record.content)
    assert isinstance(back, Admitted)
    faster = decide(submission, DocumentHead(record=record, seen_version=9), context(5))
    assert isinstance(faster, Refused)
    assert faster.reason is Refusal.REVISION_MISMATCH


async def test_many_are_sent_in_bounded_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.undoing.AT_ONCE", 2)
    for number in range(7):
        await bench.document(f"{number}.md", deleted_at=NOON + HOUR)
    assert (await bench.undo()).restored == 7
    assert bench.names() == [f"{number}.md" for number in range(7)]
