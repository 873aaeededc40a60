"""Search over ten thousand chunks and more: what fusing, the gate and HTTP add to the slower of the two legs."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from headwater.errors import FatalError
from headwater.evaluation.collection import Collection
from headwater.evaluation.judging import uploads
from headwater.evaluation.knowledge_base import Upload
from tests.performance.bench import Bench, page
from tests.performance.figures import Figure, spread

CHUNKS = 10_000
_COLLECTIONS = ("cranfield", "cisi", "squad2-dev-half", "anthropic-docs")
_QUESTIONS = 300
_SLICE_CHARS = 40_000  # the long corpora become documents of about forty chunks


def measure_search(bench: Bench) -> list[Figure]:
    """Ask questions of three collections, top 10, hybrid, one after another, on an idle stack."""
    with ExitStack() as filled:
        bases = [filled.enter_context(bench.filled("search", documents)) for documents in _corpora(bench)]
        bench.settle()
        chunks = sum(len(batch.chunks) for base in bases for batch in bench.embedded(base))
        if chunks < CHUNKS:
            raise FatalError(f"the corpora have only {chunks} chunks, the goals are for {CHUNKS}")
        questions = _questions(bench)
        for question in questions[:20]:
            _ask(bench, question)
        asked = [_ask(bench, question) for question in questions]
    totals, vectors, keywords = (list(each) for each in zip(*asked, strict=True))
    slowest = [max(pair) for pair in zip(vectors, keywords, strict=True)]
    ratio = float(np.median(totals) / np.median(slowest))
    return [
        Figure(name="chunks in each store", value=chunks, unit="chunks"),
        Figure(name="questions", value=len(asked), unit="questions"),
        *spread("vector leg (embedding and Milvus)", vectors),
        *spread("keyword leg (Elasticsearch)", keywords),
        *spread("slowest leg", slowest),
        *spread("search, as the caller sees it", totals, p95=60),
        Figure(name="search p50 / slowest leg p50", value=ratio, unit="x", goal=1.6),
    ]


def _ask(bench: Bench, question: str) -> tuple[float, float, float]:
    """Return the seconds of the whole request, of the vector leg and of the keyword leg."""
    began = time.perf_counter()
    meta = bench.api.call("POST", "/search", json={"query": question, "top_k": 10})["meta"]
    took = time.perf_counter() - began
    if meta["degraded"]:
        raise FatalError(f"a search was degraded: {meta['degraded']}")
    legs = {name: ms / 1000 for name, ms in meta["timings_ms"].items()}
    return took, legs["embed"] + legs["vectors"], legs["keywords"]


def _corpora(bench: Bench) -> Iterator[Iterator[Upload]]:
    for name in _COLLECTIONS:
        yield uploads(Collection.read(bench.data / name))
    yield iter(bench.handbook())
    yield _old_handbook(bench)
    yield _long_texts(bench)


def _old_handbook(bench: Bench) -> Iterator[Upload]:
    """Yield the handbook as it was before its edits: near duplicates, which every company has."""
    with (bench.data / "handbook-18f-history" / "base.jsonl").open() as lines:
        for line in map(json.loads, lines):
            yield page(line["path"], line["content"])


def _long_texts(bench: Bench) -> Iterator[Upload]:
    for path in sorted((bench.data / "chroma-chunking" / "corpora").glob("*.md")):
        text = path.read_text()
        for start in range(0, len(text), _SLICE_CHARS):
            yield page(f"{path.stem}-{start}", text[start : start + _SLICE_CHARS])


def _questions(bench: Bench) -> list[str]:
    """Return questions, as many of each collection, of the length that people type."""
    each = _QUESTIONS // 3
    collections = [Collection.read(bench.data / name, limit=each) for name in ("cranfield", "squad2-dev-half", "cisi")]
    return [question for collection in collections for question in collection.queries.values()]
