"""A clean audit of a hundred thousand chunks, and what it costs those who ask meanwhile. Synthetic rows, no models."""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from headwater.audit.opening import open_verification
from headwater.errors import FatalError
from headwater.settings import AuditSettings, Settings
from schemas.events.documents import DocumentChanged
from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.support.audited import World, audited_world, never_behind, some_vectors, state_of
from tests.support.rows import scope_of
from tests.support.stack import RunningStack

CHUNKS = 100_000
_PER_DOCUMENT = 8
_USERS = 500  # one in ten documents is for one of them alone, the others for one of twenty groups
_GROUPS = 20
_BASELINE_S = 20.0
_PAUSE_S = 0.05  # between questions: what an office asks, not a load test


def measure_verify(bench: Bench) -> list[Figure]:
    """Fill an installation of its own, ask questions alone, then ask them while a pass runs."""
    return asyncio.run(measure_installation(bench.settings, bench.say))


async def measure_installation(settings: Settings, say: Callable[[str], None], *, chunks: int = CHUNKS) -> list[Figure]:
    """Measure in indices, topics and a collection of its own on the components that the settings name."""
    stack = RunningStack(settings=settings, environment={})
    async with audited_world(stack, dimension=settings.milvus.dimension, share=AuditSettings().share) as world:
        states = list(_states(chunks // _PER_DOCUMENT))
        began = time.monotonic()
        await world.log(states, chunks=_PER_DOCUMENT)
        await world.write(states, chunks=_PER_DOCUMENT)
        say(f"{chunks} rows in each store after {time.monotonic() - began:.0f} s")
        return await _measured(world, chunks, say)


async def _measured(world: World, chunks: int, say: Callable[[str], None]) -> list[Figure]:
    await asyncio.wait_for(_warm(world), timeout=120)
    alone = await _asked(world, until=asyncio.create_task(asyncio.sleep(_BASELINE_S)))
    with TemporaryDirectory() as folder:
        async with open_verification(world.settings, Path(folder)) as opened:
            verification = never_behind(opened)
            passing = asyncio.create_task(verification.run(repair=False))
            beside = await _asked(world, until=passing)
            result = (await passing).result
            if not result.clean:
                raise FatalError(f"the stores should agree: {result.counts}")
            again = (await verification.run(repair=False)).result
    took_s = (result.finished_at - result.started_at).total_seconds()
    next_s = (again.finished_at - again.started_at).total_seconds()
    say(f"{len(alone)} questions alone, {len(beside)} beside the pass")
    slowdown = float(np.median(beside) / np.median(alone))
    return [
        Figure(name="chunks in each store", value=chunks, unit="chunks"),
        Figure(name="a clean pass, the log read from its beginning", value=took_s, unit="s", goal=60),
        Figure(name="the next pass", value=next_s, unit="s", goal=60),
        Figure(name="speed of a pass", value=chunks / next_s, unit="chunks/s"),
        Figure(name="question to both stores alone, p50", value=float(np.median(alone)) * 1e3, unit="ms"),
        Figure(name="question to both stores beside a pass, p50", value=float(np.median(beside)) * 1e3, unit="ms"),
        Figure(name="slowed down by (p50)", value=slowdown, unit="x", goal=1.1),
        Figure(name="question alone, p95", value=float(np.quantile(alone, 0.95)) * 1e3, unit="ms"),
        Figure(name="question beside a pass, p95", value=float(np.quantile(beside, 0.95)) * 1e3, unit="ms"),
    ]


def _states(number: int) -> Iterator[DocumentChanged]:
    for nth in range(number):
        reader = f"user:{nth % _USERS}" if nth % 10 == 0 else f"group:wiki:{nth % _GROUPS}"
        yield state_of(f"document-{nth}.md", readers=(reader,))


async def _warm(world: World) -> None:
    for _ in range(10):
        await _ask(world, 0)


async def _asked(world: World, *, until: "asyncio.Task[object]") -> list[float]:
    """Ask one question after another until a task has ended; return the seconds of each."""
    took: list[float] = []
    for nth in count():
        if until.done():
            return took
        began = time.perf_counter()
        await _ask(world, nth)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(_PAUSE_S)
    return took


async def _ask(world: World, nth: int) -> None:
    vector = some_vectors(1 + nth % 7, world.settings.milvus.dimension)[0]
    scope = scope_of()
    await asyncio.gather(
        world.vectors.search(scope, vector, limit=50), world.keywords.search(scope, "ferries harbour", limit=50)
    )
