"""Ingest to both stores: against raw Triton on the same chunks, and against a plain script."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from headwater.clients.triton.embedder import TritonEmbedder
from headwater.settings import Settings
from schemas.events import ChunksEmbedded
from schemas.events.base import Lane
from schemas.events.chunks import embedding_text
from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.performance.script import run_script

_ROUNDS = 2
_WARM_UP = 32  # texts


def measure_ingest(bench: Bench) -> list[Figure]:
    """Put the handbook's pages into an empty pipeline, embed the same chunks raw, and run the script; in turn, twice.

    The best of each counts: what else the machine does only slows down.
    """
    rounds = [_round(bench) for _ in range(_ROUNDS)]
    rows = rounds[0].rows
    pipeline, raw, script = (
        max(each.pipeline for each in rounds),
        max(each.raw for each in rounds),
        max(each.script for each in rounds),
    )
    return [
        Figure(name="pages", value=len(bench.handbook()), unit="documents"),
        Figure(name="chunks", value=rows, unit="chunks"),
        Figure(name="chunks embedded (the rest are equal texts)", value=rounds[0].embedded, unit="chunks"),
        Figure(name="pipeline, to both stores", value=pipeline, unit="chunks/s"),
        Figure(name="raw Triton, the same chunks", value=raw, unit="chunks/s"),
        Figure(name="plain script, ONNX Runtime int8, the same stores", value=script, unit="chunks/s"),
        Figure(name="pipeline / raw Triton", value=pipeline / raw, unit="x", goal=0.75, bound="at least"),
        Figure(name="pipeline / plain script", value=pipeline / script, unit="x", goal=1.2, bound="at least"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """Chunks, and chunks a second of each way."""

    rows: int
    embedded: int
    pipeline: float
    raw: float
    script: float


def _round(bench: Bench) -> _Round:
    """Ingest, embed raw, run the script. The ingest's end is what the indexing stages recorded: no poll is timed."""
    bench.forget_caches()
    bench.settle()
    began = datetime.now(UTC)
    with bench.filled("ingest", bench.handbook()) as base:
        ended = max(_searchable_at(bench, item["document_id"]) for item in base.documents())
        batches = bench.embedded(base)
    bench.settle()
    rows = sum(len(batch.chunks) for batch in batches)
    return _Round(
        rows=rows,
        embedded=sum(batch.embedded for batch in batches),
        pipeline=rows / (ended - began).total_seconds(),
        raw=asyncio.run(raw_chunks_per_second(bench.settings, batches)),
        script=rows / asyncio.run(run_script(bench.settings, batches)),
    )


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


def _searchable_at(bench: Bench, document: str) -> datetime:
    times = bench.api.call("GET", f"/documents/{document}")["times"]
    return max(datetime.fromisoformat(times[name]) for name in ("searchable_by_words_at", "searchable_by_meaning_at"))
