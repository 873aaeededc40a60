"""Stage `prepare` with a parser that needs no process."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from headwater.clients.blobs import BlobMissingError
from headwater.generations.policy import ChunkPolicy
from schemas.events import BlobRef, ChunksPrepared
from schemas.events.base import Lane
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, TenantId, document_key
from schemas.topics import Topic
from streams.harness.stage import Failure
from streams.harness.watchdog import Progress
from streams.prepare.agent import PrepareStage
from streams.prepare.errors import EmptyDocumentError
from streams.prepare.heavy import HeavyLane
from streams.prepare.parsed import Block, BlockKind, ParsedText
from streams.prepare.prepared import Prepared, prepare
from tests.support.blobs import FakeBlobStore, pieces_of
from tests.support.cache import FakeCache
from tests.support.events import GENERATION, TENANT, changed, deleted
from tests.support.stages import FakeDelivery, FakePublisher


class FakeParserPool:
    """Takes each content for one paragraph; empty content is poison."""

    def __init__(self) -> None:
        self.parsed: list[bytes] = []

    async def prepare(self, content: bytes | Path, **_: object) -> Prepared:
        data = content if isinstance(content, bytes) else content.read_bytes()
        if not data.strip():
            raise EmptyDocumentError("no text")
        self.parsed.append(data)
        text = data.decode()
        blocks = (Block(kind=BlockKind.PARAGRAPH, start=0, end=len(text)),)
        parsed = ParsedText(text=text, blocks=blocks, media_type="text/plain", title="")
        return prepare(parsed, ChunkPolicy(), lambda text: len(text.split()))

    async def read_pages(self, content: Path, **_: object) -> None:
        """Texts have no pages."""

    async def rest(self) -> None:
        """There is no process."""


class NoReplica:
    """Knows nothing, as on a host without a follower."""

    def head(self, tenant: TenantId, document: DocumentId) -> None:
        """Return nothing."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.blobs, self.cache, self.pool, self.publisher = (
            FakeBlobStore(),
            FakeCache(),
            FakeParserPool(),
            FakePublisher(),
        )
        self.heavy_pool = FakeParserPool()
        self.delivery = FakeDelivery().make()
        self.stage = PrepareStage(
            blobs=self.blobs,
            cache=self.cache,
            pool=self.pool,  # type: ignore[arg-type]  # what the stage uses of it
            publisher=self.publisher,
            policy=ChunkPolicy(),
            tokenizer="words",
            generation=GENERATION,
            incoming=folder,
            bulk_parses=asyncio.Semaphore(1),
            heavy=HeavyLane(
                pool=self.heavy_pool,  # type: ignore[arg-type]  # what the lane uses of it
                cache=self.cache,
                pages_at_once=2,
                heavy_bytes=2_000_000,
                progress=Progress(),
                max_pages=lambda _: 9,
            ),
            heads=NoReplica(),
            max_pages=lambda _: 9,
        )

    async def store(self, content: bytes) -> BlobRef:
        return await self.blobs.write(TENANT, pieces_of(content))

    @property
    def sent(self) -> list[ChunksPrepared]:
        return self.publisher.events(Topic.CHUNKS_PREPARED)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_revision_becomes_batches_that_add_up(bench: Bench) -> None:
    content = await bench.store(" ".join(f"word{n}" for n in range(40_000)).encode())
    event = changed(content=content, lane=Lane.BACKFILL)
    await bench.stage.handle(event, bench.delivery)
    assert len(bench.sent) > 1
    assert [each.batch for each in bench.sent] == list(range(len(bench.sent)))
    assert [each.last for each in bench.sent] == [False] * (len(bench.sent) - 1) + [True]
    assert {each.total for each in bench.sent} == {sum(len(each.chunks) for each in bench.sent)}
    assert {each.lane for each in bench.sent} == {Lane.BACKFILL}
    assert bench.sent[0].trail.changed == bench.delivery.origin
    assert {each.key for each in bench.publisher.emissions} == {document_key(TENANT, DocumentId(event.document_id))}


async def test_the_canonical_text_is_stored_before_anything_refers_to_it(bench: Bench) -> None:
    event = changed(content=await bench.store(b"some words"))
    await bench.stage.handle(event, bench.delivery)
    (batch,) = bench.sent
    assert batch.canonical is not None
    text = b"".join([piece async for piece in bench.blobs.read(TENANT, batch.canonical)]).decode()
    assert text[batch.chunks[0].start : batch.chunks[0].end] == "some words"


async def test_a_metadata_edit_costs_no_parsing(bench: Bench) -> None:
    content = await bench.store(b"some words")
    await bench.stage.handle(changed(content=content), bench.delivery)
    await bench.stage.handle(changed(content=content, revision=8, title="Renamed"), bench.delivery)
    assert len(bench.pool.parsed) == 1
    assert bench.sent[1].chunks == bench.sent[0].chunks
    assert bench.sent[1].title == "Renamed"


async def test_an_edit_does_not_queue_behind_bulk_documents_for_a_parser(bench: Bench) -> None:
    contents = [await bench.store(f"document {number}".encode()) for number in range(3)]
    await bench.stage.bulk_parses.acquire()  # a bulk document is at the parser, and stays there
    bulk = asyncio.create_task(
        bench.stage.handle(changed("bulk.md", content=contents[0], lane=Lane.BACKFILL), bench.delivery)
    )
    async with asyncio.timeout(10):
        await bench.stage.handle(changed("edit.md", content=contents[1]), bench.delivery)
    assert [each.external_id for each in bench.sent] == ["edit.md"]
    bench.stage.bulk_parses.release()
    await bulk


async def test_a_damaged_cache_entry_is_parsed_again(bench: Bench) -> None:
    content = await bench.store(b"some words")
    await bench.stage.handle(changed(content=content), bench.delivery)
    bench.cache.entries = dict.fromkeys(bench.cache.entries, b"damaged")
    await bench.stage.handle(changed(content=content), bench.delivery)
    assert bench.sent[1].chunks == bench.sent[0].chunks


async def test_a_tenants_cache_entries_are_its_own(bench: Bench) -> None:
    content = await bench.store(b"some words")
    await bench.stage.handle(changed(content=content), bench.delivery)
    assert all(str(TENANT) in key for key in bench.cache.entries)


async def test_large_content_goes_through_a_file_that_is_removed(bench: Bench, tmp_path: Path) -> None:
    content = await bench.store(b"word " * 300_000)
    await bench.stage.handle(changed(content=content), bench.delivery)
    assert len(bench.pool.parsed[0]) == 1_500_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("event", [deleted(), changed(content=None)])
async def test_what_has_no_content_is_one_batch_without_chunks(bench: Bench, event: object) -> None:
    await bench.stage.handle(event, bench.delivery)  # type: ignore[arg-type]  # documents, both
    (batch,) = bench.sent
    assert (batch.last, batch.total, batch.chunks, batch.failed_error) == (True, 0, (), None)


async def test_a_file_that_cannot_be_parsed_is_poison_and_its_revision_is_given_up(bench: Bench) -> None:
    event = changed(content=await bench.store(b"  "))
    with pytest.raises(EmptyDocumentError):
        await bench.stage.handle(event, bench.delivery)
    failure = Failure(stage="prepare", error="EmptyDocumentError", reason="no text")
    await bench.stage.give_up(event, bench.delivery, failure)
    (batch,) = bench.sent
    assert (batch.failed_stage, batch.failed_error, batch.failed_reason) == ("prepare", "EmptyDocumentError", "no text")
    assert (batch.last, batch.op) == (True, DocumentOp.UPSERTED)


async def test_a_blob_that_is_gone_is_poison(bench: Bench) -> None:
    with pytest.raises(BlobMissingError):
        await bench.stage.handle(changed(), bench.delivery)


async def test_what_was_admitted_before_a_generation_began_is_bulk_work_for_it(bench: Bench) -> None:
    content = await bench.store(b"some words")
    old, new = changed("old.md", content=content), changed("new.md", content=content)
    stage = replace(bench.stage, history_until=old.admitted_at + timedelta(seconds=1))
    await stage.handle(old, bench.delivery)
    await stage.handle(replace(new, admitted_at=old.admitted_at + timedelta(seconds=1)), bench.delivery)
    assert [(each.external_id, each.lane) for each in bench.sent] == [("old.md", Lane.BACKFILL), ("new.md", Lane.LIVE)]
