"""The benchmarks of rebuilds and of the pipeline without its model, as far as they need no stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from headwater.errors import FatalError
from schemas.events.base import Lane, Store
from tests.performance.fixed_embed import FixedEmbedder
from tests.performance.ingest import Ingest
from tests.performance.rebuild import TimedWorkers
from tests.performance.throughput import figures_of
from tests.support.events import embedded, prepared
from tests.support.platform import Platform


def ingested(*, took_s: float) -> Ingest:
    """Four documents of five chunks each."""
    return Ingest(documents=4, batches=[embedded(prepared(chunks=5)) for _ in range(4)], took_s=took_s)


def test_speeds_are_of_documents_and_of_chunks() -> None:
    found = ingested(took_s=2.0)
    assert (found.chunks, found.chunks_per_second, found.documents_per_second) == (20, 10.0, 2.0)


def test_two_workers_are_set_against_the_mean_of_the_runs_around_them() -> None:
    figures = figures_of(one=(ingested(took_s=1.0), ingested(took_s=2.0)), two=ingested(took_s=1.0))
    assert [(each.value, each.unit) for each in figures] == [
        (4, "documents"),
        (20, "chunks"),
        (3.0, "documents/s"),
        (15.0, "chunks/s"),
        (4.0, "documents/s"),
        (20.0, "chunks/s"),
        (pytest.approx(4 / 3), "x"),
    ]


def test_every_speed_says_that_there_was_no_model() -> None:
    figures = figures_of(one=(ingested(took_s=1.0),), two=ingested(took_s=1.0))
    assert all(
        "fixed vectors, no model" in each.name for each in figures if each.unit in {"documents/s", "chunks/s", "x"}
    )


async def test_a_text_has_one_unit_vector_in_any_batch_and_lane_and_process() -> None:
    ferries, tides = "The ferries leave at noon.", "The tides turn at six."
    both = await FixedEmbedder(384).embed([ferries, tides], lane=Lane.BACKFILL)
    (alone,) = await FixedEmbedder(384).embed([tides], lane=Lane.LIVE)
    assert both.shape == (2, 384)
    assert both.dtype == np.dtype(np.float32)
    assert np.linalg.norm(both, axis=1) == pytest.approx(1.0)
    assert np.array_equal(both[1], alone)
    assert not np.array_equal(both[0], both[1])


async def test_no_texts_have_no_vectors() -> None:
    assert (await FixedEmbedder(384).embed([], lane=Lane.LIVE)).shape == (0, 384)


@dataclass(slots=True, kw_only=True)
class FakePlatform:
    """Notes what is asked of it; its child ends with `returncode`, or runs until it is told to end."""

    returncode: int | None = None
    places: Any = field(default_factory=lambda: SimpleNamespace(logs=Path("logs")))
    said: list[str] = field(default_factory=list)

    @property
    def supervisor(self) -> Any:
        return SimpleNamespace(
            stop=lambda name: self.said.append(f"stop {name}"), start=lambda name: self.said.append(f"start {name}")
        )

    @contextmanager
    def child(self, *arguments: str, log: str) -> Iterator[Any]:
        self.said.append(" ".join(arguments))
        yield SimpleNamespace(
            poll=lambda: self.returncode,
            returncode=self.returncode,
            terminate=lambda: self.said.append("terminate"),
            wait=lambda _timeout_s: self.said.append("wait"),
        )


def workers_of(platform: FakePlatform, *times: float) -> TimedWorkers:
    ticks = iter(times)
    return TimedWorkers(platform=cast("Platform", platform), clock=lambda: next(ticks))


def test_a_rebuild_is_timed_while_its_worker_runs_and_the_index_stage_does_not() -> None:
    platform = FakePlatform()
    workers = workers_of(platform, 10.0, 14.5)
    with workers.without_index_stage(Store.VECTORS), workers.rebuilding(Store.VECTORS) as require_alive:
        require_alive()
    assert workers.took_s == 4.5
    assert platform.said == [
        "stop index-vectors",
        "-m streams rebuild-vectors",
        "terminate",
        "wait",
        "start index-vectors",
    ]


def test_a_rebuild_whose_worker_has_died_is_no_figure() -> None:
    workers = workers_of(FakePlatform(returncode=1), 10.0, 14.5)
    with (
        pytest.raises(FatalError, match=r"rebuild-keywords ended with 1: see its log in logs"),
        workers.rebuilding(Store.KEYWORDS) as require_alive,
    ):
        require_alive()
    assert workers.took_s == 0.0
