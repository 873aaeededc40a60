"""A lost store filled again from the log: keywords and vectors, with the caches and without them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headwater.errors import FatalError
from headwater.generations.positions import Way
from headwater.generations.rebuilding import Rebuild
from schemas.events.base import Store
from tests.performance.bench import Components
from tests.performance.figures import Figure
from tests.performance.installation import own_installation, worker
from tests.support.platform import Platform
from tests.support.stored_rows import stored_ids


def measure_rebuild(components: Components) -> list[Figure]:
    """Ingest the handbook into an installation of its own; wipe one store at a time and let one worker rebuild it.

    Timed from the worker's start, which is part of it, until the rebuild is over as `headwater rebuild` sees it: it
    looks twice a second, and proves that nothing but transaction markers is left. Stopping the index stage, emptying
    the store and the replicas' wait are not. Without caches every page is parsed and cut again and, for vectors,
    embedded again. Raises FatalError where the store does not hold the same rows afterwards.
    """
    with own_installation(components) as (platform, own), own.filled("rebuild", own.handbook()) as base:
        own.settle()
        chunks = sum(len(batch.chunks) for batch in own.embedded(base))
        figures = [Figure(name="chunks in each store", value=chunks, unit="chunks")]
        for caches in ("from the caches", "caches lost"):
            for store in Store:
                if caches == "caches lost":
                    own.forget_caches()
                took_s = _rebuilt(platform, store, base.name)
                own.say(f"{store}, {caches}: {chunks / took_s:.1f} chunks/s in {took_s:.1f} s")
                figures.append(Figure(name=f"{store}, {caches}", value=chunks / took_s, unit="chunks/s"))
    return figures


def _rebuilt(platform: Platform, store: Store, source: str) -> float:
    """Wipe and rebuild a store; return the seconds that the worker took."""
    before = asyncio.run(stored_ids(platform.settings, store, source))
    workers = TimedWorkers(platform=platform)
    rebuild = Rebuild(settings=platform.settings, store=store, workers=workers, report=_quiet)
    asyncio.run(rebuild.afresh(wipe=True))
    after = asyncio.run(stored_ids(platform.settings, store, source))
    if before != after:
        raise FatalError(f"{store} held {len(before)} rows before and {len(after)} after; the same ones are needed")
    return workers.took_s


@dataclass(slots=True, kw_only=True)
class TimedWorkers:
    """Implements Workers on a platform, and takes the time of the last one."""

    platform: Platform
    clock: Callable[[], float] = time.perf_counter
    took_s: float = 0.0

    @contextmanager
    def without_index_stage(self, store: Store) -> Iterator[None]:
        """See Workers."""
        stage = f"index-{store}"
        self.platform.supervisor.stop(stage)
        try:
            yield
        finally:
            self.platform.supervisor.start(stage)

    @contextmanager
    def rebuilding(self, store: Store) -> Iterator[Callable[[], None]]:
        """See Workers."""
        name = f"rebuild-{store}"
        began = self.clock()
        with worker(self.platform, "-m", "streams", name, log=name) as process:

            def require_alive() -> None:
                if process.poll() is not None:
                    raise FatalError(
                        f"{name} ended with {process.returncode}: see its log in {self.platform.places.logs}"
                    )

            yield require_alive
            self.took_s = self.clock() - began


def _quiet(_what: str, _way: Way) -> None:
    """Only the whole is measured."""
