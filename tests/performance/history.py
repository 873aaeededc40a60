"""A year and more of real edits: how much of an edited page is embedded again."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.performance.bench import Bench, page
from tests.performance.figures import Figure


def measure_history(bench: Bench) -> list[Figure]:
    """Replay the handbook's edits, each a revision of its own, and count what the model was asked for.

    Only the pages as they were before the first edit have been embedded when it begins.
    """
    folder = bench.data / "handbook-18f-history"
    pages = [page(line["path"], line["content"]) for line in _lines(folder / "base.jsonl")]
    bench.forget_caches()
    edits = 0
    with bench.filled("history", pages) as base:
        revisions = {(batch.document_id, batch.revision) for batch in bench.embedded(base)}
        for wave in waves(_lines(folder / "events.jsonl")):
            base.put((page(event["path"], event["content"]) for event in wave if event["op"] != "D"), lane="live")
            base.delete(event["from"] if event["op"] == "R" else event["path"] for event in wave if event["op"] in "RD")
            bench.wait(base)
            edits += len(wave)
        batches = [batch for batch in bench.embedded(base) if (batch.document_id, batch.revision) not in revisions]
    chunks, embedded = sum(len(batch.chunks) for batch in batches), sum(batch.embedded for batch in batches)
    return [
        Figure(name="edits replayed", value=edits, unit="edits"),
        Figure(name="chunks of the edited pages", value=chunks, unit="chunks"),
        Figure(name="chunks embedded", value=embedded, unit="chunks"),
        Figure(name="chunks embedded, share", value=100 * embedded / chunks, unit="%", goal=15),
    ]


def waves(events: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Group edits, in order, so that no two of a group are about the same page: then no revision is skipped."""
    wave: list[Mapping[str, Any]] = []
    touched: set[str] = set()
    for event in events:
        paths = {event["path"], event.get("from", event["path"])}
        if touched & paths:
            yield wave
            wave, touched = [], set()
        wave.append(event)
        touched |= paths
    if wave:
        yield wave


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open() as lines:
        yield from map(json.loads, lines)
