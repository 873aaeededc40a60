"""From the log to both stores and back, with the real stages and components."""

import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.clients.milvus.index import MilvusVectorIndex
from schemas.events import DocumentProgressed, EventParked
from schemas.events.base import Lane
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import DocumentId, Revision
from schemas.topics import Topic
from tests.support.events import GENERATION, HANDBOOK, TENANT, changed, deleted
from tests.support.pipeline import Pipeline, open_pipeline
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

STAGES = ("prepare", "embed", "index-vectors", "index-keywords", "status")


@pytest.fixture
async def pipeline(stack: RunningStack, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with open_pipeline(stack, tmp_path) as opened:
        opened.start(*STAGES)
        yield opened


async def rows_of(pipeline: Pipeline, document: DocumentId) -> tuple[dict[Revision, int], dict[Revision, int]]:
    """Return the rows by revision, in Elasticsearch and in Milvus."""
    settings = pipeline.settings
    async with (
        ElasticsearchKeywordIndex.open(settings.elasticsearch, GENERATION) as words,
        MilvusVectorIndex.open(settings.milvus, GENERATION) as meaning,
    ):
        return dict(await words.revisions(TENANT, document)), dict(await meaning.revisions(TENANT, document))


def page(*paragraphs: str) -> bytes:
    return "\n\n".join(("# Handbook", *paragraphs)).encode()


async def test_a_document_lives_and_dies(pipeline: Pipeline) -> None:
    sections = [f"## Part {n}\n\n" + f"Sentence {n} about leave and travel. " * 30 for n in range(6)]
    first = await pipeline.store(page(*sections))
    await pipeline.append(changed(revision=1, content=first))
    (fact,) = await pipeline.until_ingested(1)
    assert (fact.op, fact.revision, fact.embedded, fact.reused) == (DocumentOp.UPSERTED, 1, fact.chunks, 0)
    assert await rows_of(pipeline, HANDBOOK) == ({1: fact.chunks}, {1: fact.chunks})

    edited = await pipeline.store(page(*sections[:3], "## New\n\nA paragraph that was not there.", *sections[4:]))
    await pipeline.append(changed(revision=2, content=edited))
    edit = (await pipeline.until_ingested(2))[-1]
    assert 0 < edit.embedded < edit.chunks / 2, "only the edited part is embedded"
    assert edit.reused == edit.chunks - edit.embedded

    await pipeline.append(changed(revision=3, content=edited, title="Renamed"))
    renamed = (await pipeline.until_ingested(3))[-1]
    assert (renamed.embedded, renamed.reused) == (0, edit.chunks)

    await pipeline.append(deleted(revision=4))
    gone = (await pipeline.until_ingested(4))[-1]
    assert (gone.op, gone.chunks) == (DocumentOp.DELETED, 0)
    assert await rows_of(pipeline, HANDBOOK) == ({}, {})


async def test_a_broken_file_is_parked_and_its_neighbours_are_not(pipeline: Pipeline) -> None:
    broken = await pipeline.store(b"%PDF-1.7 and nothing more")
    good = await pipeline.store(page("Words that can be read."))
    await pipeline.append(
        changed("broken.pdf", content=broken, media_type="application/pdf"), changed("good.md", content=good)
    )
    (fact,) = await pipeline.until_ingested(1)
    assert fact.external_id == "good.md"

    reports = await pipeline.said(Topic.DOCUMENTS_PROGRESSED, DocumentProgressed)
    failed = [report for report in reports if report.outcome is ProgressOutcome.FAILED]
    assert {(report.store, report.stage, report.error) for report in failed} == {
        (store, "prepare", "MalformedDocumentError") for store in ("vectors", "keywords")
    }
    (letter,) = await pipeline.said(Topic.EVENTS_PARKED, EventParked)
    assert (letter.stage, letter.error, letter.document_id) == (
        "prepare",
        "MalformedDocumentError",
        failed[0].document_id,
    )


async def test_kills_in_the_middle_of_a_bulk_lose_nothing_and_an_edit_does_not_wait_for_it(pipeline: Pipeline) -> None:
    documents = 24
    for number in range(documents):
        text = page(*(f"## Part {n}\n\n" + f"Text {number} {n} about many things. " * 40 for n in range(6)))
        await pipeline.append(changed(f"bulk-{number}.md", content=await pipeline.store(text), lane=Lane.BACKFILL))
    edit = changed("edit.md", content=await pipeline.store(page("One live paragraph.")))
    await pipeline.append(edit)
    for stage in ("embed", "index-vectors", "prepare"):
        assert pipeline.stop(stage, by=signal.SIGKILL) == -signal.SIGKILL
        pipeline.start(stage)
    facts = await pipeline.until_ingested(documents + 1, deadline_s=180)

    order = [fact.external_id for fact in sorted(facts, key=lambda fact: fact.searchable_by_meaning_at)]
    assert order.index("edit.md") < len(order) / 2
    for fact in facts:
        assert await rows_of(pipeline, fact.document_id) == ({7: fact.chunks}, {7: fact.chunks})
    assert await pipeline.said(Topic.EVENTS_PARKED, EventParked) == []
    assert all(pipeline.stop(stage) == 0 for stage in STAGES)


async def test_late_and_repeated_events_change_nothing(pipeline: Pipeline) -> None:
    content = await pipeline.store(page("First words.", "Second words."))
    newest = changed(revision=9, content=content)
    await pipeline.append(newest, replace(newest, revision=Revision(7)), newest)
    await pipeline.append(changed("last.md", content=content))
    facts = await pipeline.until_ingested(2)
    ours = {fact.revision for fact in facts if fact.document_id == HANDBOOK}
    assert ours == {9}
    words, meaning = await rows_of(pipeline, HANDBOOK)
    assert set(words) == set(meaning) == {9}
