"""`headwater bench` that is ended from outside, at whatever moment: what it has started is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A stack whose start hangs, and a benchmark that does: each says that it has begun, waits to be ended, and takes a
# moment to clean up.
PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from headwater.cli import bench
from headwater.local.stack import LocalStack

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started to ignore it
where = sys.argv[1]
started = []

async def up(self, report, *, names=None):
    started.append("components")
    if where == "starting":
        # With this every signal wakes the loop: without, one that comes just before the loop waits is noticed never.
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)
        print("begun", flush=True)
        await asyncio.Event().wait()

async def down(self, report):
    if started:
        print("stopping", flush=True)
        await asyncio.to_thread(os.read, 0, 1)
        print("stopped", flush=True)

LocalStack.up, LocalStack.down = up, down
LocalStack.purge = lambda self: None
LocalStack.environment = lambda self: {}
bench.install = lambda places, report: None
bench.chosen_names = lambda stack, only, without: frozenset()
bench.CHECKOUT = Path(sys.argv[2])
bench.app(["ingest", *sys.argv[3:]], prog_name="bench")
"""
BENCHMARK = """
import asyncio, os, signal, sys

async def measure():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)  # as above
    print("begun", file=sys.stderr, flush=True)
    await asyncio.Event().wait()

try:
    asyncio.run(measure())
finally:
    print("cleaning up", file=sys.stderr, flush=True)
    os.read(0, 1)
    print("clean", file=sys.stderr, flush=True)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose benchmarks hang."""
    package = tmp_path / "tests" / "performance"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(BENCHMARK)
    return tmp_path


def interrupted(where: str, checkout: Path, *options: str, number: signal.Signals) -> list[str]:
    """End a bench by a signal to its whole group, as a terminal does, and again as soon as it cleans up."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, where, str(checkout), *options],
        env={**os.environ, "HEADWATER_LOCAL__STATE_FOLDER": str(checkout / "state")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        lines: list[str] = []
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            for line in running.stdout:
                lines.append(line.strip())
                if lines[-1] in {"begun", "cleaning up", "stopping"}:
                    os.killpg(running.pid, number)
                if lines[-1] in {"cleaning up", "stopping"}:  # not before it has been struck again
                    running.stdin.write(".")
                    running.stdin.flush()
            running.wait(30)
        finally:
            running.kill()
    assert running.returncode not in {0, None}
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_that_is_being_started_is_stopped(number: signal.Signals, checkout: Path) -> None:
    lines = interrupted("starting", checkout, number=number)
    assert [line for line in lines if line in {"begun", "stopping", "stopped"}] == ["begun", "stopping", "stopped"]


def test_a_benchmark_cleans_up_before_the_stack_is_stopped(checkout: Path) -> None:
    lines = interrupted("measuring", checkout, number=signal.SIGINT)
    told = {"begun", "cleaning up", "clean", "stopping", "stopped"}
    assert [line for line in lines if line in told] == ["begun", "cleaning up", "clean", "stopping", "stopped"]


def test_a_benchmark_on_the_running_stack_cleans_up(checkout: Path) -> None:
    lines = interrupted("measuring", checkout, "--running", number=signal.SIGTERM)
    assert [line for line in lines if line in {"begun", "cleaning up", "clean"}] == ["begun", "cleaning up", "clean"]
