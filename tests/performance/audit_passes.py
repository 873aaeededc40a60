"""Passes of the audit in a process of their own, as urgent as the audit itself: questions feel it as it is."""

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.audit.opening import open_verification
from headwater.audit.passes import PassResult
from headwater.errors import FatalError
from headwater.ports.consistency import Projection
from headwater.settings import Settings
from streams.audit.agent import NICE
from tests.performance.bench import configure_benchmarks
from tests.support.audited import never_behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One clean pass over everything."""

    began: datetime
    ended: datetime

    @property
    def took_s(self) -> float:
        """What `headwater_consistency_pass_seconds` says of it."""
        return (self.ended - self.began).total_seconds()


async def passes_elsewhere(settings: Settings, *, chunks: int) -> tuple[Pass, ...]:
    """Run two passes in another process, importing not counted: one that reads the log first, and the next.

    Raises FatalError where a pass finds anything, or did not compare all `chunks` in both stores.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return await asyncio.get_running_loop().run_in_executor(processes, _run, settings, chunks)


def _run(settings: Settings, chunks: int) -> tuple[Pass, ...]:
    os.nice(NICE)
    configure_benchmarks(settings)
    return asyncio.run(_passes(settings, chunks))


async def _passes(settings: Settings, chunks: int) -> tuple[Pass, ...]:
    passes: list[Pass] = []
    with TemporaryDirectory(prefix="headwater-bench-") as folder:
        async with open_verification(settings, Path(folder)) as opened:
            verification = never_behind(opened)
            for _ in range(2):
                result = (await verification.run(repair=False)).result
                require_clean(result, chunks=chunks)
                passes.append(Pass(began=result.started_at, ended=result.finished_at))
    return tuple(passes)


def require_clean(result: PassResult, *, chunks: int) -> None:
    """Raise FatalError for a pass that found a difference, and for one that compared less than there is."""
    if not result.clean:
        raise FatalError(f"the stores should agree: {result.counts}")
    for store in (Projection.VECTORS, Projection.KEYWORDS):
        compared = sum(sums.rows for (_, projection), sums in result.sums.items() if projection is store)
        if compared != chunks:
            raise FatalError(f"the pass compared {compared} rows of {store}, not {chunks}: it says nothing")
