"""A product of a benchmark's own on the stack's components: what is replaced, wiped or doubled in it is nobody's."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of
from headwater.demo.stage import wait_until
from headwater.local.lag import PER_GENERATION
from headwater.local.stack import LocalStack
from headwater.local.starting import stop_all
from headwater.settings import Settings
from tests.performance.bench import PATIENCE_S, Bench, Components, of_product
from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack

FIXED_EMBED: Final = ("-m", "tests.performance.fixed_embed")
NO_MODEL: Final = "fixed vectors, no model"  # what every figure says that was taken so
_STOP_S = 40.0
_UNUSED = ("feedback", "audit")  # nobody rates, and nothing is to be repaired; they would only be load beside it


@contextmanager
def own_installation(components: Components) -> Iterator[tuple[Platform, Bench]]:
    """Start our processes that documents pass through, in an installation of their own; remove it at the end.

    Topics, indices, collections and blobs are its own, and the bench that is yielded points at them.
    """
    components.say("starting an installation of its own")
    stack = RunningStack(settings=components.settings, environment=components.stack.environment())
    with running_platform(stack, without=_UNUSED) as platform:
        local = LocalStack.of(platform.settings)
        yield platform, of_product(components, settings=platform.settings, stack=local, api=platform.admin)
    shutil.rmtree(platform.settings.local.state_folder)  # after a failure its logs stay


@contextmanager
def worker(platform: Platform, *arguments: str, log: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one more worker, then let it leave its group: a killed one's partitions would wait until its session ends."""
    with platform.child(*arguments, log=log, **environment) as process:
        yield process
        process.terminate()
        process.wait(_STOP_S)


@contextmanager
def fixed_vectors(platform: Platform) -> Iterator[None]:
    """Replace stage `embed` by one that gives fixed vectors instead of a model's; begin when it is in its group."""
    asyncio.run(stop_all(platform.supervisor, ["embed"], _silent))
    with worker(platform, *FIXED_EMBED, log="embed-fixed"):
        until_members(platform.settings, ("embed",), workers=1)
        yield


def until_members(settings: Settings, stages: Collection[str], *, workers: int) -> None:
    """Wait until each stage's group has as many members."""
    admin = KafkaAdmin(settings.kafka)
    for stage in stages:
        group = group_of(settings, stage, generation=settings.generation if stage in PER_GENERATION else None)
        wait_until(f"{workers} workers in {group}", _has_members(admin, group, workers), patience_s=PATIENCE_S)


def _has_members(admin: KafkaAdmin, group: str, workers: int) -> Callable[[], bool]:
    return lambda: asyncio.run(admin.members(group)) == workers


def _silent(_name: str, _doing: str) -> None:
    """Say nothing: stopping is not what is measured."""
