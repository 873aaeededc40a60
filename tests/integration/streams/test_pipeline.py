"""From the log to both stores and back, with the real stages and components."""

import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
import pytest_asyncio

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.clients.milvus.index import MilvusVectorIndex
from schemas.events import ChunksPrepared, DocumentIngested, DocumentProgressed, EventParked
from schemas.events.base import Lane, Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import DocumentId, Revision, document_id
from schemas.topics import Topic
from tests.support.events import GENERATION, SOURCE, TENANT, changed, deleted
from tests.support.pipeline import Pipeline, open_pipeline
from tests.support.stack import RunningStack
from tests.support.waiting import reached

pytestmark = [pytest.mark.real, pytest.mark.timeout(420), pytest.mark.asyncio(loop_scope="module")]

STAGES = ("prepare", "embed", "index-vectors", "index-keywords", "status")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipeline(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pipeline]:
    """Started once: each test has documents of its own."""
    async with open_pipeline(stack, tmp_path_factory.mktemp("pipeline")) as opened:
        opened.start(*STAGES)
        yield opened
        assert all(opened.stop(stage) == 0 for stage in STAGES), "a graceful stop ends with 0"


async def rows_of(pipeline: Pipeline, document: DocumentId) -> tuple[dict[Revision, int], dict[Revision, int]]:
    """Return the rows by revision, in Elasticsearch and in Milvus."""
    settings = pipeline.settings
    async with (
        ElasticsearchKeywordIndex.open(settings.elasticsearch, GENERATION) as words,
        MilvusVectorIndex.open(settings.milvus, GENERATION) as meaning,
    ):
        return dict(await words.revisions(TENANT, document)), dict(await meaning.revisions(TENANT, document))


def embedded_at(fact: DocumentIngested) -> datetime:
    assert fact.embedded_at is not None
    return fact.embedded_at


def page(*paragraphs: str) -> bytes:
    return "\n\n".join(("# Handbook", *paragraphs)).encode()


async def test_a_document_lives_and_dies(pipeline: Pipeline) -> None:
    name, document = "life.md", document_id(TENANT, SOURCE, "life.md")
    sections = [f"## Part {n}\n\n" + f"Sentence {n} about leave and travel. " * 30 for n in range(6)]
    first = await pipeline.store(page(*sections))
    await pipeline.append(changed(name, revision=1, content=first))
    fact = await pipeline.until_ingested(name, 1)
    assert (fact.op, fact.embedded, fact.reused) == (DocumentOp.UPSERTED, fact.chunks, 0)
    assert await rows_of(pipeline, document) == ({1: fact.chunks}, {1: fact.chunks})

    edited = await pipeline.store(page(*sections[:3], "## New\n\nA paragraph that was not there.", *sections[4:]))
    await pipeline.append(changed(name, revision=2, content=edited))
    edit = await pipeline.until_ingested(name, 2)
    assert 0 < edit.embedded < edit.chunks / 2, "only the edited part is embedded"
    assert edit.reused == edit.chunks - edit.embedded

    await pipeline.append(changed(name, revision=3, content=edited, title="Renamed"))
    renamed = await pipeline.until_ingested(name, 3)
    assert (renamed.embedded, renamed.reused) == (0, edit.chunks)

    await pipeline.append(deleted(name, revision=4))
    gone = await pipeline.until_ingested(name, 4)
    assert (gone.op, gone.chunks) == (DocumentOp.DELETED, 0)
    assert await rows_of(pipeline, document) == ({}, {})


async def test_a_broken_file_is_parked_and_its_neighbours_are_not(pipeline: Pipeline) -> None:
    broken = await pipeline.store(b"%PDF-1.7 and nothing more")
    good = await pipeline.store(page("Words that can be read."))
    bad = changed("broken.pdf", content=broken, media_type="application/pdf")
    await pipeline.append(bad, changed("good.md", content=good))
    await pipeline.until_ingested("good.md", 7)

    async def failed_everywhere() -> bool:
        reports = await pipeline.said(Topic.DOCUMENTS_PROGRESSED, DocumentProgressed)
        failed = [each for each in reports if each.outcome is ProgressOutcome.FAILED]
        return {(each.document_id, each.store, each.stage, each.error) for each in failed} == {
            (bad.document_id, store, "prepare", "MalformedDocumentError") for store in Store
        }

    await reached(failed_everywhere, deadline_s=150, every_s=0.2)
    (letter,) = await pipeline.said(Topic.EVENTS_PARKED, EventParked)
    assert (letter.stage, letter.error) == ("prepare", "MalformedDocumentError")
    assert letter.document_id == bad.document_id


async def test_kills_in_the_middle_of_a_bulk_lose_nothing_and_an_edit_does_not_wait_for_it(pipeline: Pipeline) -> None:
    names = [f"bulk-{number}.md" for number in range(24)]
    for name in names:
        text = page(*(f"## Part {n}\n\n" + f"Text {name} {n} about many things. " * 40 for n in range(6)))
        await pipeline.append(changed(name, content=await pipeline.store(text), lane=Lane.BACKFILL))
    edited = changed("edit.md", content=await pipeline.store(page("One live paragraph.")))
    await pipeline.append(edited)
    for stage in ("embed", "index-vectors", "prepare"):
        assert pipeline.stop(stage, by=signal.SIGKILL) == -signal.SIGKILL
    pipeline.start("index-vectors", "prepare")
    ours = {document_id(TENANT, SOURCE, name) for name in names} | {edited.document_id}

    async def prepared() -> bool:
        batches = await pipeline.said(Topic.CHUNKS_PREPARED, ChunksPrepared)
        return {batch.document_id for batch in batches} >= ours

    await reached(prepared, deadline_s=150, every_s=0.2)
    pipeline.start("embed")  # which finds the edit among the bulk
    facts = [await pipeline.until_ingested(name, 7, deadline_s=180) for name in names]
    edit = await pipeline.until_ingested("edit.md", 7)

    overtaken = [fact for fact in facts if embedded_at(fact) > embedded_at(edit)]
    assert len(overtaken) > len(facts) / 2
    for fact in (*facts, edit):
        assert await rows_of(pipeline, fact.document_id) == ({7: fact.chunks}, {7: fact.chunks})
    assert [each for each in await pipeline.said(Topic.EVENTS_PARKED, EventParked) if each.document_id in ours] == []


async def test_late_and_repeated_events_change_nothing(pipeline: Pipeline) -> None:
    content = await pipeline.store(page("First words.", "Second words."))
    newest = changed("late.md", revision=9, content=content)
    await pipeline.append(newest, replace(newest, revision=Revision(7)), newest)
    await pipeline.until_ingested("late.md", 9)
    again = changed("late.md", revision=10, content=content)
    await pipeline.append(again)  # behind all of them in the same partition
    await pipeline.until_ingested("late.md", 10)
    facts = await pipeline.said(Topic.DOCUMENTS_INGESTED, DocumentIngested)
    assert {fact.revision for fact in facts if fact.document_id == newest.document_id} == {9, 10}
    words, meaning = await rows_of(pipeline, newest.document_id)
    assert set(words) == set(meaning) == {9, 10}, "older rows are the sweeper's, and 7 was never written"
