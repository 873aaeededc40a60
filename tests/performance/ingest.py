"""Ingest to both stores: against raw Triton on the same chunks, and against a plain script."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import mean

from headwater.clients.triton.embedder import TritonEmbedder
from headwater.evaluation.knowledge_base import temporary_knowledge_base
from headwater.settings import Settings
from schemas.events import ChunksEmbedded
from schemas.events.base import Lane
from schemas.events.chunks import embedding_text
from tests.performance.bench import Bench
from tests.performance.facts import facts_from_now, last_searchable_at
from tests.performance.figures import Figure
from tests.performance.script import run_script

_ROUNDS = 2
_WARM_UP = 32  # texts


def measure_ingest(bench: Bench) -> list[Figure]:
    """Put the handbook's pages into an empty pipeline, embed the same chunks raw before and after, and run the script.

    A machine's speed changes by the minute, so every ratio is taken within a round: against the mean of the two raw
    runs around the pipeline's. The first ingest, into a stack that has just started, is not counted.
    """
    batches = ingest(bench).batches
    rounds = [_round(bench, batches) for _ in range(_ROUNDS)]
    return [
        Figure(name="pages", value=len(bench.handbook()), unit="documents"),
        Figure(name="chunks", value=sum(len(batch.chunks) for batch in batches), unit="chunks"),
        Figure(
            name="chunks embedded (the rest are equal texts)",
            value=sum(batch.embedded for batch in batches),
            unit="chunks",
        ),
        Figure(name="pipeline, to both stores", value=mean(each.pipeline for each in rounds), unit="chunks/s"),
        Figure(name="raw Triton, the same chunks", value=mean(each.raw for each in rounds), unit="chunks/s"),
        Figure(
            name="plain script, ONNX Runtime int8, the same stores",
            value=mean(each.script for each in rounds),
            unit="chunks/s",
        ),
        Figure(
            name="pipeline / raw Triton",
            value=mean(each.pipeline / each.raw for each in rounds),
            unit="x",
            goal=0.75,
            bound="at least",
        ),
        Figure(
            name="pipeline / plain script",
            value=mean(each.pipeline / each.script for each in rounds),
            unit="x",
            goal=1.2,
            bound="at least",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """Chunks a second of each way."""

    pipeline: float
    raw: float
    script: float


def _round(bench: Bench, batches: Sequence[ChunksEmbedded]) -> _Round:
    before = asyncio.run(raw_chunks_per_second(bench.settings, batches))
    pipeline = ingest(bench).chunks_per_second
    after = asyncio.run(raw_chunks_per_second(bench.settings, batches))
    rows = sum(len(batch.chunks) for batch in batches)
    script = rows / asyncio.run(run_script(bench.settings, batches))
    bench.say(
        f"pipeline {pipeline:.1f}, raw Triton {before:.1f} before and {after:.1f} after, script {script:.1f} chunks/s"
    )
    return _Round(pipeline=pipeline, raw=mean((before, after)), script=script)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """The handbook's way from the first page's request until all of it was searchable in both stores."""

    documents: int
    batches: Sequence[ChunksEmbedded]
    took_s: float

    @property
    def chunks(self) -> int:
        """Rows in each store."""
        return sum(len(batch.chunks) for batch in self.batches)

    @property
    def chunks_per_second(self) -> float:
        """To both stores."""
        return self.chunks / self.took_s

    @property
    def documents_per_second(self) -> float:
        """To both stores."""
        return self.documents / self.took_s


def ingest(bench: Bench) -> Ingest:
    """Put the handbook's pages with empty caches, then delete them.

    The stages recorded the end, and the facts they announced are read in the log: no poll is timed, and the API has
    nothing to do but what an ingest asks of it.
    """
    bench.forget_caches()
    bench.settle()
    pages = bench.handbook()
    with (
        temporary_knowledge_base(bench.api, purpose="bench-ingest") as base,
        facts_from_now(bench.settings) as facts,
    ):
        began = datetime.now(UTC)
        base.put(pages)
        ended = last_searchable_at(facts, base.name, base.expected, bench.say)
        batches = bench.embedded(base)
    bench.settle()
    return Ingest(documents=len(pages), batches=batches, took_s=(ended - began).total_seconds())


async def raw_chunks_per_second(settings: Settings, batches: Sequence[ChunksEmbedded]) -> float:
    """Embed the same texts with nothing else going on; as the pipeline, each distinct text once."""
    texts = {
        chunk.text_hash: embedding_text(batch.content_title, chunk.section, chunk.text)
        for batch in batches
        for chunk in batch.chunks
    }
    async with TritonEmbedder.open(settings.triton) as embedder:
        await embedder.embed(list(texts.values())[:_WARM_UP], lane=Lane.BACKFILL)
        began = time.perf_counter()
        await embedder.embed(list(texts.values()), lane=Lane.BACKFILL)
        return len(texts) / (time.perf_counter() - began)
