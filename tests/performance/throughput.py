"""The pipeline without its model: fixed vectors, so that what is measured is everything else; one and two workers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import mean
from typing import Final

from tests.performance.bench import Bench, Components
from tests.performance.figures import Figure
from tests.performance.ingest import Ingest, ingest
from tests.performance.installation import (
    FIXED_EMBED,
    NO_MODEL,
    fixed_vectors,
    own_installation,
    until_members,
    worker,
)
from tests.support.platform import Platform

_DOUBLED: Final = ("admit", "prepare", "index-vectors", "index-keywords", "status")  # and `embed`
_STAGES: Final = (*_DOUBLED, "embed")


def measure_throughput(components: Components) -> list[Figure]:
    """Ingest the handbook as `ingest` does, through the API to both stores, with `embed` given fixed vectors.

    In an installation of its own with two partitions: with one worker a stage, with two, and with one again; two are
    set against the mean of the runs around them, because a machine's speed changes by the minute. The first ingest
    with each number of workers is not counted. The API, its heads and the stores are one process each throughout.
    """
    with own_installation(components) as (platform, own), fixed_vectors(platform):
        ingest(own)
        before = _counted(own, workers=1)
        with _second_workers(platform):
            until_members(own.settings, _STAGES, workers=2)  # the ingest that is not counted outlasts the rebalance
            ingest(own)
            two = _counted(own, workers=2)
        until_members(own.settings, _STAGES, workers=1)
        after = _counted(own, workers=1)
    return figures_of(one=(before, after), two=two)


def figures_of(*, one: tuple[Ingest, ...], two: Ingest) -> list[Figure]:
    """Return both speeds in documents and in chunks a second, and what the second workers bring."""
    speed = mean(each.chunks_per_second for each in one)
    return [
        Figure(name="pages", value=two.documents, unit="documents"),
        Figure(name="chunks", value=two.chunks, unit="chunks"),
        Figure(name=f"1 worker a stage ({NO_MODEL})", value=mean(_documents(one)), unit="documents/s"),
        Figure(name=f"1 worker a stage ({NO_MODEL})", value=speed, unit="chunks/s"),
        Figure(name=f"2 workers a stage ({NO_MODEL})", value=two.documents_per_second, unit="documents/s"),
        Figure(name=f"2 workers a stage ({NO_MODEL})", value=two.chunks_per_second, unit="chunks/s"),
        Figure(name=f"2 workers / 1 worker ({NO_MODEL})", value=two.chunks_per_second / speed, unit="x"),
    ]


def _documents(rounds: tuple[Ingest, ...]) -> Iterator[float]:
    return (each.documents_per_second for each in rounds)


def _counted(bench: Bench, *, workers: int) -> Ingest:
    found = ingest(bench)
    bench.say(
        f"{workers} a stage, {NO_MODEL}: {found.documents_per_second:.1f} documents/s, "
        f"{found.chunks_per_second:.1f} chunks/s"
    )
    return found


@contextmanager
def _second_workers(platform: Platform) -> Iterator[None]:
    with ExitStack() as stack:
        for stage in _DOUBLED:
            arguments = ("-m", "streams", stage)
            stack.enter_context(worker(platform, *arguments, log=f"{stage}-second", HEADWATER_STAGES__SLOT="1"))
        stack.enter_context(worker(platform, *FIXED_EMBED, log="embed-fixed-second"))
        yield
