"""Memory over time, under a steady load: a process that leaks shows in the slope."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from headwater.cli.api_client import path_id
from headwater.evaluation.knowledge_base import EVERYONE
from tests.performance.bench import Bench, page
from tests.performance.figures import Figure
from tests.performance.memory import process_sizes, running_supervisor
from tests.support.pdf import pdf_of

_CANARY = "canary"
_MINUTES = 20
_LOOK_S = 15.0
_WARM_UP = 0.25  # of the time: caches and pools fill
_FLAT_SHARE, _FLAT_MIB = 0.05, 4.0  # what counts as flat: heaps breathe, and a small process has coarse pages
_PAGES = 40
_SEARCHES = 5  # after each edit
_DELETED_EVERY = 10  # edits: a page that was edited half a round before is deleted, and put again half a round later
_HEAVY_PAGES = 400  # of one document, at the beginning: it takes the heavy lane
_PAUSE_S = 0.5  # after each edit and its searches: the load of a normal day, not the most there can be


def measure_soak(bench: Bench) -> list[Figure]:
    """Edit, delete and search for a while; return each process's memory and how fast it grew after the warm-up.

    The canary, which other benchmarks leave out, goes round meanwhile. One heavy document comes first: what its pages
    need is part of the warm-up.
    """
    minutes = bench.minutes or _MINUTES
    looks: list[tuple[float, Mapping[str, float]]] = []
    pages = (page(f"page-{number}.md", _text(number, 0)) for number in range(_PAGES))
    with _canary(bench), bench.filled("soak", pages) as base:
        _put_heavy(bench, base.name)
        began = time.monotonic()
        turn = 0
        while (elapsed := time.monotonic() - began) < minutes * 60:
            turn += 1
            base.put([page(f"page-{turn % _PAGES}.md", _text(turn % _PAGES, turn))], lane="live")
            if turn % _DELETED_EVERY == 0:
                base.delete([f"page-{(turn + _PAGES // 2) % _PAGES}.md"])
            for number in range(_SEARCHES):
                bench.api.call("POST", "/search", json={"query": f"what does rule {turn + number} say"})
            if not looks or elapsed - looks[-1][0] >= _LOOK_S:
                looks.append((elapsed, process_sizes(bench)))
            time.sleep(_PAUSE_S)
    bench.say(f"{turn} edits, {turn // _DELETED_EVERY} deletions, {turn * _SEARCHES} searches, {len(looks)} looks")
    return figures_of(looks)


@contextmanager
def _canary(bench: Bench) -> Iterator[None]:
    """Have the canary run within the block, and afterwards if it ran before."""
    supervisor = running_supervisor(bench)
    if supervisor.states()[_CANARY].pid is not None:
        yield
        return
    supervisor.start(_CANARY)
    try:
        yield
    finally:
        supervisor.stop(_CANARY)


def _put_heavy(bench: Bench, source: str) -> None:
    content = pdf_of([f"Plate {number} shows sluice gate number {number}." for number in range(_HEAVY_PAGES)])
    metadata = json.dumps({"title": "Plates", "access": EVERYONE})
    files = {"document": (None, metadata, "application/json"), "content": ("plates.pdf", content)}
    bench.api.call("PUT", f"/documents/{source}/{path_id('plates')}", files=files)


def figures_of(looks: Sequence[tuple[float, Mapping[str, float]]]) -> list[Figure]:
    """Return two figures a process: its size at the last look, and what it grew by from the warm-up to then, in MiB."""
    settled = [look for look in looks if look[0] >= _WARM_UP * looks[-1][0]]
    figures: list[Figure] = []
    for name in sorted(looks[-1][1]):
        points = [(at_s, sizes[name]) for at_s, sizes in settled if name in sizes]
        figures.append(Figure(name=f"{name}, at the end", value=looks[-1][1][name], unit="MiB"))
        if len(points) > 1:
            grown = theil_sen(points) * (points[-1][0] - points[0][0])
            goal = _FLAT_MIB + _FLAT_SHARE * points[-1][1]
            figures.append(Figure(name=f"{name}, growth", value=grown, unit="MiB", goal=goal))
    return figures


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """Return the median slope between all pairs of points (Theil, 1950; Sen, 1968): a peak moves it little."""
    x, y = np.array(points).T
    first, second = np.triu_indices(len(points), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def _text(number: int, turn: int) -> str:
    return f"# Rule {number}\n\n" + f"In its version {turn} rule {number} says: keep the receipt for two years. " * 10
