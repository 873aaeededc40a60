"""Many seeds, on as many processors as there are."""

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import Outcome, simulate

_AT_A_TIME = 5


def _collect_seldom() -> None:
    """Leave out what was imported, and look for garbage once in a hundred times as many objects."""
    gc.freeze()
    gc.set_threshold(70_000, 10, 10)


def simulate_all(seeds: Iterable[int], *, processes: int) -> Iterator[Outcome]:
    """Yield the outcome of each seed, in order. Stop asking and the rest is not run."""
    wanted = list(seeds)
    if processes == 1:
        yield from map(simulate, wanted)
        return
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes to come: no set shall have another order in the next run
    # Forked from one that has imported everything: 2,700 modules, once, which no collection looks through again.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([simulate.__module__])
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_collect_seldom) as pool:
        try:
            yield from pool.map(simulate, wanted, chunksize=_AT_A_TIME)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
