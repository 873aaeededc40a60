"""Stage `embed` with a fake model, cache and topic."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from headwater.errors import PoisonError
from schemas.events import ChunksEmbedded
from schemas.events.base import Lane
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.embed.agent import TEXTS_PER_CALL, EmbedStage
from streams.harness.errors import WrongGenerationError
from streams.harness.stage import Failure
from tests.support.cache import FakeCache
from tests.support.events import GENERATION, chunk, prepared
from tests.support.models import FakeEmbedder
from tests.support.stages import FakeDelivery, FakePublisher


class Bench:
    def __init__(self) -> None:
        self.embedder, self.cache, self.publisher = FakeEmbedder(), FakeCache(), FakePublisher()
        self.stage = EmbedStage(
            embedder=self.embedder, cache=self.cache, publisher=self.publisher, generation=GENERATION
        )
        self.delivery = FakeDelivery().make()

    @property
    def sent(self) -> list[ChunksEmbedded]:
        return self.publisher.events(Topic.CHUNKS_EMBEDDED)


async def test_every_chunk_gets_the_vector_of_its_own_text() -> None:
    bench, batch = Bench(), prepared(chunks=3)
    await bench.stage.handle(batch, bench.delivery)
    (sent,) = bench.sent
    alone = [await FakeEmbedder().embed([text], lane=Lane.LIVE) for text in bench.embedder.texts]
    assert [np.frombuffer(each, "<f4").tolist() for each in sent.vectors] == [each[0].tolist() for each in alone]
    assert (sent.chunks, sent.embedded, sent.reused, sent.dimension) == (batch.chunks, 3, 0, 4)
    assert sent.trail.model == "fake@1/fp32"


async def test_known_texts_cost_no_model_call() -> None:
    bench = Bench()
    await bench.stage.handle(prepared(chunks=3), bench.delivery)
    await bench.stage.handle(prepared("other.md", chunks=4), bench.delivery)
    assert len(bench.embedder.texts) == 4, "three of the second document's texts were known"
    assert (bench.sent[1].embedded, bench.sent[1].reused) == (1, 3)
    assert bench.sent[1].vectors[:3] == bench.sent[0].vectors


async def test_a_text_that_repeats_is_embedded_once() -> None:
    bench = Bench()
    batch = prepared(chunks=3, total=3)
    await bench.stage.handle(replace(batch, chunks=tuple(chunk(n, "same") for n in range(3))), bench.delivery)
    assert len(bench.embedder.texts) == 1
    assert len(set(bench.sent[0].vectors)) == 1


async def test_a_cache_that_lost_everything_is_only_slower() -> None:
    bench = Bench()
    await bench.stage.handle(prepared(), bench.delivery)
    bench.cache.clear()
    await bench.stage.handle(prepared(), bench.delivery)
    assert bench.sent[0].vectors == bench.sent[1].vectors


async def test_a_damaged_cache_entry_is_computed_again() -> None:
    bench = Bench()
    await bench.stage.handle(prepared(), bench.delivery)
    bench.cache.entries = dict.fromkeys(bench.cache.entries, b"short")
    await bench.stage.handle(prepared(), bench.delivery)
    assert bench.sent[0].vectors == bench.sent[1].vectors


async def test_bulk_calls_are_small_and_keep_their_lane() -> None:
    bench = Bench()
    batch = prepared(chunks=40, lane=Lane.BACKFILL)
    await bench.stage.handle(batch, bench.delivery)
    assert [len(texts) for texts, _ in bench.embedder.calls] == [TEXTS_PER_CALL, TEXTS_PER_CALL, 8]
    assert {lane for _, lane in bench.embedder.calls} == {Lane.BACKFILL}
    assert len(bench.sent[0].vectors) == 40


async def test_deletions_and_failures_flow_through_untouched() -> None:
    bench = Bench()
    failed = prepared(chunks=0, failed_stage="prepare", failed_error="EmptyDocumentError", failed_reason="no text")
    await bench.stage.handle(failed, bench.delivery)
    (sent,) = bench.sent
    assert (sent.failed_stage, sent.failed_error, sent.failed_reason) == ("prepare", "EmptyDocumentError", "no text")
    assert bench.embedder.calls == []


async def test_the_rest_of_a_parked_revision_is_passed_on_as_failed_until_it_is_replayed() -> None:
    bench = Bench()
    first = prepared(chunks=1, last=False, total=2)
    rest = prepared(chunks=1, batch=1, total=2)
    await bench.stage.give_up(
        first, bench.delivery, Failure(stage="embed", error="TextTooLongError", reason="too long")
    )
    await bench.stage.handle(rest, bench.delivery)
    assert [each.failed_error for each in bench.sent] == ["TextTooLongError"] * 2
    assert [each.failed_stage for each in bench.sent] == ["embed"] * 2
    assert bench.embedder.calls == []

    await bench.stage.handle(first, bench.delivery)
    await bench.stage.handle(rest, bench.delivery)
    assert [each.failed_error for each in bench.sent[2:]] == [None, None]


async def test_poison_of_the_model_is_raised_as_it_is() -> None:
    bench = Bench()
    batch = prepared(chunks=20)
    with pytest.raises(PoisonError, match="longer than"):
        await bench.stage.handle(replace(batch, chunks=(*batch.chunks[:19], chunk(19, "refused"))), bench.delivery)
    assert bench.sent == []


async def test_another_generations_event_is_refused() -> None:
    bench = Bench()
    foreign = prepared(generation=GenerationName("g2"))
    with pytest.raises(WrongGenerationError):
        await bench.stage.handle(foreign, bench.delivery)
    await bench.stage.give_up(foreign, bench.delivery, Failure(stage="embed", error="E", reason="r"))
    assert bench.sent == []


async def test_live_calls_do_not_queue_behind_bulk_calls() -> None:
    bench, release = Bench(), asyncio.Event()
    original = bench.embedder.embed

    async def embed(texts: list[str], *, lane: Lane) -> object:
        if lane is Lane.BACKFILL:
            await release.wait()
        return await original(texts, lane=lane)

    bench.embedder.embed = embed  # type: ignore[method-assign,assignment]  # bulk calls that do not end
    bulk = asyncio.create_task(bench.stage.handle(prepared("bulk.md", chunks=60, lane=Lane.BACKFILL), bench.delivery))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await bench.stage.handle(prepared("edit.md", chunks=1), bench.delivery)
    assert len(bench.sent) == 1
    release.set()
    await bulk
