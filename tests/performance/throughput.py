"""The pipeline without its model: fixed vectors, so that what is measured is everything else; one and two workers."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import mean
from typing import Final

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of
from headwater.demo.stage import wait_until
from headwater.local.lag import PER_GENERATION
from headwater.local.starting import stop_all
from headwater.settings import Settings
from tests.performance.bench import PATIENCE_S, Bench, Components
from tests.performance.figures import Figure
from tests.performance.ingest import Ingest, ingest
from tests.performance.installation import own_installation, worker
from tests.support.platform import Platform

_FIXED_EMBED: Final = ("-m", "tests.performance.fixed_embed")
_DOUBLED: Final = ("admit", "prepare", "index-vectors", "index-keywords", "status")  # and `embed`
_LABEL: Final = "fixed vectors, no model"


def measure_throughput(components: Components) -> list[Figure]:
    """Ingest the handbook as `ingest` does, through the API to both stores, with `embed` given fixed vectors.

    In an installation of its own with two partitions: with one worker a stage, with two, and with one again; two are
    set against the mean of the runs around them, because a machine's speed changes by the minute. The first ingest
    with each number of workers is not counted. The API, its heads and the stores are one process each throughout.
    """
    with own_installation(components) as (platform, own):
        asyncio.run(stop_all(platform.supervisor, ["embed"], _silent))
        with worker(platform, *_FIXED_EMBED, log="embed-fixed"):
            _until_members(own.settings, 1)
            ingest(own)
            before = _counted(own, workers=1)
            with _second_workers(platform):
                _until_members(own.settings, 2)
                ingest(own)
                two = _counted(own, workers=2)
            _until_members(own.settings, 1)
            after = _counted(own, workers=1)
    return figures_of(one=(before, after), two=two)


def figures_of(*, one: tuple[Ingest, ...], two: Ingest) -> list[Figure]:
    """Return both speeds in documents and in chunks a second, and what the second workers bring."""
    speed = mean(each.chunks_per_second for each in one)
    return [
        Figure(name="pages", value=two.documents, unit="documents"),
        Figure(name="chunks", value=two.chunks, unit="chunks"),
        Figure(name=f"1 worker a stage ({_LABEL})", value=mean(_documents(one)), unit="documents/s"),
        Figure(name=f"1 worker a stage ({_LABEL})", value=speed, unit="chunks/s"),
        Figure(name=f"2 workers a stage ({_LABEL})", value=two.documents_per_second, unit="documents/s"),
        Figure(name=f"2 workers a stage ({_LABEL})", value=two.chunks_per_second, unit="chunks/s"),
        Figure(name=f"2 workers / 1 worker ({_LABEL})", value=two.chunks_per_second / speed, unit="x"),
    ]


def _documents(rounds: tuple[Ingest, ...]) -> Iterator[float]:
    return (each.documents_per_second for each in rounds)


def _counted(bench: Bench, *, workers: int) -> Ingest:
    found = ingest(bench)
    bench.say(
        f"{workers} a stage, {_LABEL}: {found.documents_per_second:.1f} documents/s, "
        f"{found.chunks_per_second:.1f} chunks/s"
    )
    return found


@contextmanager
def _second_workers(platform: Platform) -> Iterator[None]:
    with ExitStack() as stack:
        for stage in _DOUBLED:
            arguments = ("-m", "streams", stage)
            stack.enter_context(worker(platform, *arguments, log=f"{stage}-second", HEADWATER_STAGES__SLOT="1"))
        stack.enter_context(worker(platform, *_FIXED_EMBED, log="embed-fixed-second"))
        yield


def _until_members(settings: Settings, workers: int) -> None:
    """Wait until each stage's group has as many members; the ingest that is not counted outlasts the rebalance."""
    admin = KafkaAdmin(settings.kafka)
    for stage in (*_DOUBLED, "embed"):
        group = group_of(settings, stage, generation=settings.generation if stage in PER_GENERATION else None)
        wait_until(f"{workers} workers in {group}", _has_members(admin, group, workers), patience_s=PATIENCE_S)


def _has_members(admin: KafkaAdmin, group: str, workers: int) -> Callable[[], bool]:
    return lambda: asyncio.run(admin.members(group)) == workers


def _silent(_name: str, _doing: str) -> None:
    """Say nothing: stopping is not what is measured."""
