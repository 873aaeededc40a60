"""Commands on generations as an operator runs them, and what a generation then holds."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.records import Offsets
from headwater.demo.stage import wait_until
from headwater.local.applications import PER_GENERATION
from schemas.topics import Topic
from tests.support.library import READER, Library
from tests.support.platform import Platform

# Replicas of this platform follow within milliseconds: a command need not wait out their whole budget.
QUICK = {"HEADWATER_HEADS__STALENESS_BUDGET_S": "1"}


def headwater(platform: Platform, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the product in the platform's installation."""
    return subprocess.run(
        [sys.executable, "-m", "headwater.cli.main", *arguments],
        env={**os.environ, **platform.environment, **QUICK, **variables},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def succeed(platform: Platform, *arguments: str, **variables: str) -> str:
    """Run a command that must succeed; return what it printed."""
    done = headwater(platform, *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(platform: Platform) -> dict[str, dict[str, Any]]:
    """Return what `generations list` says of each."""
    return {each["name"]: each for each in json.loads(succeed(platform, "generations", "list", "--json"))}


@contextmanager
def feeding(platform: Platform, generation: str, **variables: str) -> Iterator[None]:
    """Run a generation's workers as an operator does: the same program with another setting."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                platform.child(
                    "-m", "streams", stage, log=f"{stage}-{generation}", HEADWATER_GENERATION=generation, **variables
                )
            )
            for stage in PER_GENERATION
        ]
        yield
        for worker in workers:
            assert worker.poll() is None, "a worker has ended"
            worker.terminate()


def vectors_of(library: Library, document: str, generation: str) -> tuple[int, int, int]:
    """Return how many vectors a generation has of a document, how many it computed and how many were known.

    The lineage is a projection of its own: it has a step a moment after the log has the report.
    """

    def reported() -> list[dict[str, Any]]:
        steps = library.platform.acting_as(READER).call("GET", f"/documents/{document}/lineage")["steps"]
        return [each for each in steps if each["generation"] == generation and each["step"] == "vectors"]

    (step,), _ = wait_until("the lineage of the vectors", reported)
    return step["rows"], step["embedded"], step["reused"]


def ends(platform: Platform, topics: Collection[Topic]) -> Offsets:
    """Return where topics end now; where each generation has its own, those of the platform's first one."""
    names = [topic_of(platform.settings, topic) for topic in topics]
    return asyncio.run(KafkaAdmin(platform.settings.kafka).end_offsets(names))


def wait_until_built(platform: Platform, generation: str) -> None:
    """Wait until a generation that is being built has all documents in both stores.

    Each look is a process of its own, which takes its time from the workers that build: one a second.
    """

    def built() -> bool:
        row = listed(platform)[generation]
        return bool(row["state"] == "building" and row["by_words"] == row["by_meaning"] == row["documents"])

    wait_until("the generation to be built", built, every_s=1.0)


def states(platform: Platform) -> dict[str, str]:
    """Return the state of each generation that was not dropped: another test's may have been."""
    rows = listed(platform)
    return {name: row["state"] for name, row in rows.items() if row["state"] != "retired"}
