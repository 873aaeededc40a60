"""Deletions past their source's budget are backed up: after a restore they wait as before, and are approved."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.archive.manifests import Manifest
from headwater.archive.restoring import Restored
from headwater.archive.runs import read_run, run_names, write_run
from headwater.clients.archive import ObjectArchive
from headwater.heads.environment import WritableEnvironment
from headwater.ports.archive import TopicFacts
from schemas.codec import decode, encode
from schemas.events.base import Position
from schemas.events.documents import NOBODY, DeletionQuarantined, DocumentChanged, DocumentOp
from schemas.ids import DocumentId, Principal, Revision, document_id, document_key
from schemas.topics import Topic
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.outcomes import Admitted, Dropped
from streams.admit.step import decide
from tests.support.archive import MemoryLog
from tests.support.archive_bench import SMALL, ArchiveBench
from tests.support.heads import ACME, FILES, NOON, changed, delete
from tests.unit.admit.test_decide import context

ONE, TWO, THREE = (document_id(ACME, FILES, name) for name in ("one", "two", "three"))
WAITING = Topic.DELETIONS_QUARANTINED


@pytest.fixture
def bench(tmp_path: Path) -> ArchiveBench:
    return ArchiveBench.below(tmp_path, ObjectArchive(str(tmp_path / "archive"), SMALL))


def deletion(document: DocumentId, *, offset: int = 40) -> DeletionQuarantined:
    return DeletionQuarantined(
        event_id=changed().event_id,
        tenant_id=ACME,
        occurred_at=NOON,
        observed_at=NOON,
        document_id=document,
        source=FILES,
        external_id="leave.md",
        source_version=7,
        actor=Principal("group:files:connector"),
        reason="more than a tenth",
        quarantined_at=NOON,
        submitted=Position(topic="rag.documents.submitted", partition=1, offset=offset),
    )


def hold_back(log: MemoryLog, *documents: DocumentId) -> None:
    for each in documents:
        log.put(WAITING, document_key(ACME, each), encode(deletion(each)))


def take_back(log: MemoryLog, document: DocumentId) -> None:
    log.put(WAITING, document_key(ACME, document), None)


def waiting(log: MemoryLog) -> Mapping[DocumentId, DeletionQuarantined]:
    events = [decode(each.value, DeletionQuarantined) for each in log.newest(WAITING).values() if each.value]
    return {each.document_id: each for each in events}


async def restored(bench: ArchiveBench, run: str | None = None) -> tuple[MemoryLog, Restored]:
    log = MemoryLog(partitions=3)
    return log, await bench.restore(log, run=run, prefix="")


async def test_what_waits_comes_back_and_is_approved(bench: ArchiveBench) -> None:
    for each in (ONE, TWO, THREE):
        await bench.change(each, each)
    hold_back(bench.log, ONE, TWO, THREE)
    take_back(bench.log, TWO)
    await bench.backup()
    log, facts = await restored(bench)
    assert waiting(log).keys() == {ONE, THREE}
    assert facts.deletions_waiting == 2

    key = document_key(ACME, ONE)
    record, held_back = log.newest(Topic.DOCUMENTS_CHANGED)[key], log.newest(WAITING)[key]
    assert record.position.partition == held_back.position.partition
    found = decode(held_back.value or b"", DeletionQuarantined)
    kept = ("document_id", "source", "external_id", "source_version", "actor", "reason", "quarantined_at")
    assert all(getattr(found, name) == getattr(deletion(ONE), name) for name in kept)
    # In this log no submission lies there: the name is nobody else's.
    there = Position(topic="rag.documents.submitted", partition=record.position.partition, offset=-1)
    assert found.submitted == there

    with WritableEnvironment(bench.folder / "heads", map_size_bytes=2**24, layout=LAYOUT) as environment:
        heads = AdmissionHeads(environment.lmdb, changed=record.position.topic, directory="directory")
        partition = record.position.partition
        heads.restore(record.position, record.value, key, decode(record.value or b"", DocumentChanged))
        heads.persist()
        heads.restore_waiting(partition, {ONE: held_back.value or b""})
        head = heads.get(partition, ONE)
    approval = delete("one", approves=found.submitted, actor=Principal("user:ada"))
    decision = decide(approval, head, context(0))
    assert isinstance(decision, Admitted)
    assert (decision.record.op, decision.record.approved, decision.head.waiting) == (DocumentOp.DELETED, True, None)
    of_the_lost_log = decide(replace(approval, approves=deletion(ONE).submitted), head, context(0))
    assert isinstance(of_the_lost_log, Dropped)


async def test_a_run_goes_on_from_the_last_one(bench: ArchiveBench) -> None:
    for each in (ONE, TWO):
        await bench.change(each, each)
    hold_back(bench.log, ONE)
    first = await bench.backup()
    take_back(bench.log, ONE)
    hold_back(bench.log, TWO)
    second = await bench.backup()
    before, after = (run.topics[WAITING].segments for run in (first, second))
    assert (second.full_because, after[: len(before)], sum(each.records for each in after)) == (None, before, 3)
    assert waiting((await restored(bench, first.name))[0]).keys() == {ONE}
    assert waiting((await restored(bench, second.name))[0]).keys() == {TWO}


async def test_what_waits_is_read_between_cursors_and_documents(bench: ArchiveBench) -> None:
    await bench.backup()
    order = list(dict.fromkeys(bench.log.asked))
    assert order == [Topic.CONNECTORS_CURSORS, WAITING, Topic.DOCUMENTS_CHANGED, Topic.DIRECTORY_CHANGED]


async def test_one_that_is_approved_during_the_run_is_carried_out_or_still_waits(bench: ArchiveBench) -> None:
    for each in (ONE, TWO):
        await bench.change(each, each)
    hold_back(bench.log, ONE, TWO)
    look = bench.log.facts

    async def approve_then_look(topic: Topic) -> TopicFacts:
        facts = await look(topic)
        if topic is Topic.DOCUMENTS_CHANGED:  # one commit is before this look at the documents, one behind it
            approve(bench.log, TWO)
        if topic is WAITING:
            approve(bench.log, ONE)
        return facts

    bench.log.facts = approve_then_look  # type: ignore[method-assign]  # admission goes on during the run
    await bench.backup()
    bench.log.facts = look  # type: ignore[method-assign]  # the run has ended
    log, facts = await restored(bench)
    documents = [decode(each.value or b"", DocumentChanged) for each in log.newest(Topic.DOCUMENTS_CHANGED).values()]
    assert {each.document_id: each.op for each in documents} == {ONE: DocumentOp.DELETED, TWO: DocumentOp.UPSERTED}
    assert waiting(log).keys() == {TWO}
    assert facts.deletions_waiting == 1


def approve(log: MemoryLog, document: DocumentId) -> None:
    """What admission appends: in one transaction."""
    gone = {"op": DocumentOp.DELETED, "content": None, "access": NOBODY, "revision": Revision(changed().revision + 1)}
    log.change(changed(document, approved=True, **gone))
    take_back(log, document)


async def test_a_run_from_before_is_restored_and_gone_on_from(bench: ArchiveBench) -> None:
    await bench.change(ONE, "one")
    hold_back(bench.log, ONE)
    taken = await bench.backup()
    older = without_what_waits(taken)
    await bench.archive.remove([f"runs/{taken.name}.json"])
    await write_run(bench.archive, older)
    assert (await read_run(bench.archive, older.name)).name == older.name

    log, facts = await restored(bench)
    assert (facts.documents, facts.deletions_waiting, waiting(log)) == (1, 0, {})
    await bench.change(TWO, "two")
    following = await bench.backup()
    assert (following.full_because, following.parent) == (None, older.name)
    log, facts = await restored(bench)
    assert (facts.documents, set(waiting(log))) == (2, {ONE})
    assert await run_names(bench.archive) == [older.name, following.name]


def without_what_waits(run: Manifest) -> Manifest:
    """Return a run as it was written when what waits was not copied."""
    return replace(run, format=1, topics={topic: each for topic, each in run.topics.items() if topic is not WAITING})
