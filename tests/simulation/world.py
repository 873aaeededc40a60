"""The simulated installation: hosts, broker, stores, and every worker of the platform under a supervisor."""

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from tempfile import gettempdir
from typing import Any
from unittest.mock import patch

from headwater.clients.kafka.config import group_of, topic_of
from headwater.settings import Settings
from schemas.ids import GenerationName
from schemas.topics import PER_GENERATION, Topic
from streams.embed.agent import EMBED
from streams.harness.stage import StageSpec
from streams.index_keywords.agent import INDEX_KEYWORDS
from streams.index_vectors.agent import INDEX_VECTORS
from streams.prepare.agent import PREPARE
from streams.status.agent import STATUS
from tests.simulation.admission import admit
from tests.simulation.broker import Broker
from tests.simulation.builds import USUAL, Build
from tests.simulation.loop import START_MS, VirtualLoop
from tests.simulation.memory_lmdb import MemoryEnvironment
from tests.simulation.operating import Operator, Wish, operate, worker_of
from tests.simulation.process import Host, Process
from tests.simulation.replica import QueryApi, follow
from tests.simulation.stores import Service
from tests.simulation.supervising import Worker
from tests.simulation.sweeping import sweep
from tests.simulation.workers import run_stage
from tests.support.blobs import FakeBlobStore
from tests.support.cache import FakeCache
from tests.support.models import FakeEmbedder
from tests.support.read_model import FakeDocuments

PARTITIONS = 2
STALENESS_BUDGET_S = 4.0
REMOVAL_GRACE_S = 15.0  # above the budget plus the longest request
SERVICES = ("milvus", "elasticsearch", "triton", "blobs", "cache")
STAGES: tuple[StageSpec, ...] = (PREPARE, EMBED, INDEX_VECTORS, INDEX_KEYWORDS, STATUS)
REPLICAS = ("east", "west")
OPERATOR = "operator-0"


def simulated_settings() -> Settings:
    """Return settings with shorter times, whatever the environment says."""
    with patch.dict(
        os.environ, {name: value for name, value in os.environ.items() if "HEADWATER" not in name}, clear=True
    ):
        base = Settings()
    return base.model_copy(
        update={
            "kafka": base.kafka.model_copy(
                update={"partitions": PARTITIONS, "session_timeout_s": 6, "transaction_timeout_s": 5}
            ),
            "heads": base.heads.model_copy(update={"staleness_budget_s": STALENESS_BUDGET_S}),
            "stages": base.stages.model_copy(
                update={
                    "removal_grace_s": REMOVAL_GRACE_S,
                    "datadir": Path(gettempdir()),
                    "buffer_bytes": 64 * 1024,
                    "heavy_bytes": 2_000,  # a page of twelve paragraphs
                    "heavy_pages": 4,
                    "heavy_pages_at_once": 2,
                }
            ),
            "api": base.api.model_copy(update={"request_timeout_s": 20.0}),
        }
    )


class World:
    """All of it, for one run."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.random = Random(seed)
        self.settings = simulated_settings()
        self.hosts = {name: self._host(name) for name in ("kafka", "stages", *REPLICAS)}
        self.broker = Broker(loop, self.random, self.hosts["kafka"], partitions=PARTITIONS)
        self.broker_away = False
        self.credits_are_scarce = False
        self.services = {name: Service(name=name) for name in SERVICES}
        self.chances: dict[str, float] = {}  # of small mishaps, by name
        self.builds = {self.settings.generation: Build(settings=self.settings, policy=USUAL)}
        self.operator = Operator(settings=self.settings)
        self.documents, self.blobs = FakeDocuments(), FakeBlobStore()
        self.cache, self.embedder = FakeCache(), FakeEmbedder()
        self.workers: dict[str, Worker] = {}
        self.apis: dict[str, QueryApi] = {}
        self.deliveries = 0
        self.faults = 0
        self.ranges_read: list[tuple[int, int]] = []  # of documents with pages: by which process, from which page on
        self.processes: list[Process] = []
        self._withheld: dict[tuple[str, str], int] = {}  # a process's name and a topic, how often at once
        self._held: dict[str, None] = {}  # stages that nobody starts, in order
        self._environments: dict[str, MemoryEnvironment] = {}
        self._create_topics()

    def start(self) -> None:
        """Start every worker and every replica."""
        for slot in range(2):
            self._employ(f"admit-{slot}", "stages", self._admission(slot))
        for spec in STAGES:
            for number in range(1 if spec is STATUS else 2):
                self._employ(f"{spec.name}-{number}", "stages", self._stage(spec, self.settings))
        self._employ("sweep-0", "stages", lambda _: sweep(self.settings))
        for name in REPLICAS:
            self._employ(f"heads-{name}", name, lambda worker: follow(self.settings, worker.host))
            self.apis[name] = QueryApi(self.settings, self.hosts[name])

    def feed(self, generation: GenerationName) -> None:
        """Start one worker for each stage of a generation, unless they run."""
        settings = self.builds[generation].settings
        for spec in STAGES:
            if spec.per_generation and worker_of(spec.name, generation) not in self.workers:
                self._employ(worker_of(spec.name, generation), "stages", self._stage(spec, settings))
        if worker_of("sweep", generation) not in self.workers:
            self._employ(worker_of("sweep", generation), "stages", lambda _: sweep(settings))

    def make_topics(self, generation: GenerationName) -> None:
        """Create the topics of a generation, where they are missing."""
        for topic in PER_GENERATION:
            name = topic_of(self.settings, topic, generation=generation)
            if not self.broker.count(name):
                self.broker.create(name, expire=True)

    def make_stores(self, generation: GenerationName) -> None:
        """Create a generation's index and collection, where they are missing."""
        settings = self.settings.model_copy(update={"generation": generation})
        policy = self.operator.policies[generation]
        self.builds.setdefault(generation, Build(settings=settings, policy=policy))

    def wish(self, wish: Wish) -> None:
        """Have the operator do something; there is none before it has something to do."""
        self.operator.take(wish)
        if OPERATOR not in self.workers:
            self._employ(OPERATOR, REPLICAS[0], lambda _: operate(self.operator))

    def happens(self, mishap: str) -> bool:
        """Say whether a small mishap happens now."""
        chance = self.chances.get(mishap, 0.0)
        return chance > 0 and self.random.random() < chance

    def service(self, name: str) -> Service:
        """Return how a dependency behaves."""
        return self.services[name]

    def environment(self, folder: Path) -> MemoryEnvironment:
        """Return what lies in a folder: it outlives processes."""
        return self._environments.setdefault(str(folder), MemoryEnvironment())

    def heal(self) -> None:
        """End all faults. Clocks stay wrong, and what was lost stays lost until it is rebuilt."""
        self.broker_away = False
        self.chances.clear()
        for service in self.services.values():
            service.away, service.slowness, service.hides_s = False, 1.0, 0.0
            if not service.whole and not service.rebuilding:
                self.rebuild(service.name)
        for process in self.processes:
            process.thaw()
            process.cut_off = False
        for place in list(self._held):
            self.release(place)

    def empty(self, folder: Path) -> None:
        """Lose all that lies in a folder."""
        self.environment(folder).empty()

    def hold(self, stage: str) -> None:
        """Kill a stage's workers and start none, those of a generation to come included."""
        self._held[stage] = None
        for worker in self._workers_of(stage):
            worker.hold()

    def release(self, stage: str) -> None:
        """Start a stage's workers again."""
        if stage in self._held:
            del self._held[stage]
            for worker in self._workers_of(stage):
                worker.release()

    def withhold(self, process: str, topic: str, by: int) -> None:
        """Let a process get nothing more of one topic (1), as from a leader that is slow, or again (-1)."""
        self._withheld[process, topic] = self._withheld.get((process, topic), 0) + by

    def is_withheld(self, process: Process, topic: str) -> bool:
        """Say whether a process gets nothing of a topic now."""
        return bool(self._withheld) and self._withheld.get((process.name, topic), 0) > 0

    def wipe(self, service: str) -> None:
        """Take everything from a store."""
        self.services[service].wiped += 1
        self.services[service].whole = False
        for build in self.builds.values():
            build.lose(service)

    def rebuild(self, service: str) -> None:
        """Do what an operator does after a store has lost everything: read the log from its beginning."""
        for generation in self.builds:
            self.rewind("prepare", generation)
        self.services[service].rebuilding = True

    def rewind(self, stage: str, generation: GenerationName | None = None) -> None:
        """Set a stage's group back to the beginning of its topics, as Kafka allows while it has no members."""
        of = None if stage in {"admit", "status"} else generation or self.settings.generation
        group = self.broker.group(group_of(self.settings, stage, generation=of))
        place = stage if of in {None, self.settings.generation} else f"{stage}-{of}"
        for worker in self._workers_of(place):
            if worker.process is not None:
                worker.process.kill()
        for member in list(group.members.values()):
            member.process.kill()
            group.leave(member)
        group.committed = {partition: self.broker.logs[partition].start for partition in group.committed}

    def topic(self, topic: Topic) -> str:
        """Return a topic's name."""
        return topic_of(self.settings, topic)

    @property
    def events(self) -> int:
        """Records appended, deliveries made, faults injected."""
        return self.broker.records + self.deliveries + self.faults

    def _admission(self, slot: int) -> Callable[[Worker], Coroutine[Any, Any, None]]:
        def start(worker: Worker) -> Coroutine[Any, Any, None]:
            return admit(self.settings, slot, worker.fresh_disk)

        return start

    def _stage(self, spec: StageSpec, settings: Settings) -> Callable[[Worker], Coroutine[Any, Any, None]]:
        def start(worker: Worker) -> Coroutine[Any, Any, None]:
            journal = self.environment(Path(f"attempts/{spec.group(settings)}"))
            return run_stage(spec, settings, journal)

        return start

    def _employ(self, name: str, host: str, start: Callable[[Worker], Coroutine[Any, Any, None]]) -> None:
        worker = self.workers[name] = Worker(name=name, host=self.hosts[host], start=start, random=self.random)
        worker.held = worker.stage in self._held
        if not worker.held:
            worker.launch()

    def _workers_of(self, stage: str) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.stage == stage]

    def _host(self, name: str) -> Host:
        return Host(name=name, monotonic_s=self.loop.time, start_ms=START_MS)

    def _create_topics(self) -> None:
        one = {Topic.DIRECTORY_SUBMITTED, Topic.DIRECTORY_CHANGED}
        compacted = {
            Topic.DELETIONS_QUARANTINED,
            Topic.DOCUMENTS_CHANGED,
            Topic.DIRECTORY_CHANGED,
            Topic.DOCUMENTS_PROGRESSED,
        }
        for topic in Topic:
            self.broker.create(
                self.topic(topic),
                partitions=1 if topic in one else None,
                compact=topic in compacted,
                expire=topic in PER_GENERATION,
            )
