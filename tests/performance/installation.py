"""A product of a benchmark's own on the stack's components: what is replaced, wiped or doubled in it is nobody's."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.local.stack import LocalStack
from tests.performance.bench import Bench, Components, of_product
from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack

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
