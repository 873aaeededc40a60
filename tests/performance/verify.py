"""A clean audit of a hundred thousand chunks, and what it costs those who ask meanwhile. Synthetic rows, no models."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import numpy as np

from headwater.settings import AuditSettings
from tests.performance.audit_passes import Pass, passes_elsewhere
from tests.performance.bench import Components
from tests.performance.figures import Figure
from tests.performance.synthetic import PER_DOCUMENT, Synthetic
from tests.support.audited import audited_world
from tests.support.stack import RunningStack

CHUNKS: Final = 100_000  # what the goals are for
_ALONE_S: Final = 20.0  # before the passes, and again after them
_WARM_UP: Final = 100  # questions
_PAUSE_S: Final = 0.05  # between questions: what an office asks, not a load test
_LIMIT_S: Final = 600.0
_STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], np.floating[Any]]]] = {
    "mean": np.mean,
    "p50": np.median,
    "p95": partial(np.quantile, q=0.95),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to both stores."""

    at: datetime
    took_s: float


def measure_verify(components: Components) -> list[Figure]:
    """Fill indices, topics and a collection of its own; ask alone, beside two passes of another process, alone again.

    The audit rests between ranges as it does in a running installation (`HEADWATER_AUDIT__SHARE`).
    """
    return asyncio.run(_measured(components, chunks=components.chunks or CHUNKS))


async def _measured(components: Components, *, chunks: int) -> list[Figure]:
    stack = RunningStack(settings=components.settings, environment={})
    async with audited_world(
        stack, dimension=components.settings.milvus.dimension, share=AuditSettings().share
    ) as world:
        synthetic = Synthetic.of(world)
        documents = chunks // PER_DOCUMENT
        began = time.monotonic()
        await synthetic.fill(documents, components.say)
        components.say(f"filled after {time.monotonic() - began:.0f} s")
        for _ in range(_WARM_UP):
            await synthetic.ask()
        before = await _asked_while(synthetic, asyncio.create_task(asyncio.sleep(_ALONE_S)))
        passing = asyncio.create_task(
            asyncio.wait_for(passes_elsewhere(world.settings, chunks=documents * PER_DOCUMENT), _LIMIT_S)
        )
        beside = await _asked_while(synthetic, passing)
        passes = await passing
        after = await _asked_while(synthetic, asyncio.create_task(asyncio.sleep(_ALONE_S)))
    components.say(
        f"{len(before)} and {len(after)} questions alone, {len(list(during(passes, beside)))} beside the passes"
    )
    return figures_of(documents * PER_DOCUMENT, passes, alone=(*before, *after), beside=beside)


def figures_of(chunks: int, passes: Sequence[Pass], *, alone: Sequence[Asked], beside: Sequence[Asked]) -> list[Figure]:
    """Return how long the passes took, and how much longer questions took while one ran. Goals are for 100,000."""
    full = chunks >= CHUNKS
    first, following = passes
    limit_s, limit = (60.0, 1.1) if full else (None, None)
    return [
        Figure(name="chunks in each store", value=chunks, unit="chunks"),
        Figure(name="a clean pass, the log read from its beginning", value=first.took_s, unit="s", goal=limit_s),
        Figure(name="the next pass", value=following.took_s, unit="s", goal=limit_s),
        Figure(name="speed of the next pass", value=chunks / following.took_s, unit="chunks/s"),
        *_slowed([each.took_s for each in alone], [each.took_s for each in during(passes, beside)], goal=limit),
    ]


def _slowed(alone: Sequence[float], beside: Sequence[float], *, goal: float | None) -> Iterator[Figure]:
    """Yield each statistic of both, from seconds, and their ratio.

    The median alone would hide the questions that meet a working audit: it rests for more than half of the time.
    """
    for name, statistic in _STATISTICS.items():
        first, second = float(statistic(alone)), float(statistic(beside))
        yield Figure(name=f"question to both stores alone, {name}", value=first * 1e3, unit="ms")
        yield Figure(name=f"question to both stores beside a pass, {name}", value=second * 1e3, unit="ms")
        yield Figure(name=f"slowed down by, {name}", value=second / first, unit="x", goal=goal)


def during(passes: Sequence[Pass], asked: Sequence[Asked]) -> Iterator[Asked]:
    """Yield the questions that were asked while a pass ran, not while its process started or ended."""
    return (each for each in asked if any(one.began <= each.at <= one.ended for one in passes))


async def _asked_while(synthetic: Synthetic, running: "asyncio.Task[object]") -> list[Asked]:
    """Ask one question after another until a task has ended."""
    asked: list[Asked] = []
    while not running.done():
        at, began = datetime.now(UTC), time.perf_counter()
        await synthetic.ask()
        asked.append(Asked(at=at, took_s=time.perf_counter() - began))
        await asyncio.sleep(_PAUSE_S)
    return asked
