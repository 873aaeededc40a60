"""kill -9 of every stage in turn, while a real handbook is ingested and while its real edits arrive."""

import asyncio
import os
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.topics import Topic
from tests.support.corpora import corpus
from tests.support.history import read_history, replay, write_pages
from tests.support.platform import CONNECT, Platform
from tests.support.truth import Truth

# 66 pages have 200 edits. Set HEADWATER_CHAOS_PAGES to 400 for the whole handbook and all 524.
PAGES = int(os.environ.get("HEADWATER_CHAOS_PAGES", "66"))
AUDITOR = "audit"
VICTIMS = ("prepare", "embed", "index-vectors", "index-keywords", "status", "sweep", AUDITOR, "admit", "heads")
AUDIT = ("-m", "streams", AUDITOR)
# The platform's own audit sleeps, for the other tests' sake. This one makes one pass after the other.
HURRIED = {
    "HEADWATER_AUDIT__DELAY_S": "0",
    "HEADWATER_AUDIT__INTERVAL_S": "1",
    "HEADWATER_AUDIT__SWEEP_LEEWAY_S": "0.1",
}
SETTLE_S = 120.0 + 3 * PAGES  # on a machine that many share

pytestmark = [
    pytest.mark.real,
    pytest.mark.data,
    # Nineteen kills, each followed by a start, some by a session that must run out first.
    pytest.mark.timeout(120 + 2 * SETTLE_S),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How far a topic has been written."""

    settings: Settings
    topic: Topic

    def read(self) -> int:
        """Return how many offsets are taken."""
        name = topic_of(self.settings, self.topic)
        ends = asyncio.run(KafkaAdmin(self.settings.kafka).end_offsets([name]))
        return sum(ends[name].values())

    def grown(self, *, since: int) -> None:
        """Wait for another record."""
        wait_until(f"{self.topic} to be written", lambda: self.read() > since, patience_s=SETTLE_S)


@dataclass(slots=True, kw_only=True)
class Auditor:
    """An audit of the test's own, which repairs what it finds."""

    platform: Platform
    children: ExitStack
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = self.children.enter_context(self.platform.child(*AUDIT, log="kills-audit", **HURRIED))

    def kill(self) -> None:
        """Kill it, and start another one."""
        assert self.process is not None
        assert self.process.poll() is None, "the auditor has ended by itself"
        self.process.kill()
        self.start()


def kill(platform: Platform, process: str, auditor: Auditor) -> None:
    if process == AUDITOR:
        auditor.kill()
    else:
        os.kill(platform.pid(process), signal.SIGKILL)


def test_nothing_is_lost_left_over_or_parked_when_each_stage_is_killed(platform: Platform, tmp_path: Path) -> None:
    history = read_history(corpus("handbook-18f-history"), pages=PAGES)
    name, root = f"kills-{uuid4().hex[:10]}", tmp_path / "tree"
    write_pages(root, {".headwater.yaml": "readers: [everyone]", **history.base})
    arguments = (*CONNECT, "filesystem", str(root), "--source", name, "--knowledge-base", name, "--watch")
    with ExitStack() as children:
        progressed = Ends(settings=platform.settings, topic=Topic.DOCUMENTS_PROGRESSED)
        before = progressed.read()
        complete = before + len(Store) * len(history.base)  # then nothing more comes, and the rest is killed idle
        connector = children.enter_context(platform.child(*arguments, log="kills"))
        auditor = Auditor(platform=platform, children=children)
        auditor.start()
        for victim in VICTIMS:
            progressed.grown(since=min(before, complete - 1))
            kill(platform, victim, auditor)
            before = progressed.read()
        log = Ends(settings=platform.settings, topic=Topic.DOCUMENTS_CHANGED)
        step = -(-len(history.edits) // (len(VICTIMS) + 1))
        for number, victim in enumerate((*VICTIMS, "connector")):
            before = log.read()
            replay(root, history.edits[number * step : (number + 1) * step])
            log.grown(since=before)
            if victim == "connector":
                connector.kill()
                children.enter_context(platform.child(*arguments, log="kills"))
            else:
                kill(platform, victim, auditor)
        head = history.head()
        truth = Truth(platform=platform, source=name, content={path: head.get(path) for path in history.paths()})
        truth.await_settled(patience_s=SETTLE_S)
