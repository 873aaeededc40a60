"""The admission process: owns partitions, restores their heads, then admits batch after batch."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import structlog

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.records import Record
from headwater.errors import RetryableError
from headwater.heads.ends import Ends, ask_ends
from headwater.heads.environment import WritableEnvironment
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.metrics import BACKFILL_PAUSED, SETTLE_SECONDS
from streams.admit.assignment import BATCH, Intake
from streams.admit.backlog import Backlog
from streams.admit.confirmations import Confirmations
from streams.admit.credits import BackfillCredits
from streams.admit.directory_log import DirectoryLog
from streams.admit.erasure import Erasures, erasure_age
from streams.admit.expiry import Gap
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.intake import STAGE, backfill_cost
from streams.admit.purge import Purges
from streams.admit.restore import restore_heads
from streams.admit.topics import AdmissionTopics, admission_topics
from streams.admit.transaction import TransactionalWriter
from streams.admit.worker import AdmissionWorker

log = structlog.get_logger(__name__)

_IDLE_WAIT_S = 1.0
_BUSY_WAIT_S = 0.05  # while a purge goes on, or backfill waits for credits
_RETRY_S = 0.5


def run(settings: Settings) -> None:
    """Admit until SIGTERM or SIGINT. Waits while Kafka is away; raises FatalError for what no waiting mends."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = Health()
    health.unready("partitions", "not assigned yet")
    with ManagementServer(settings.management, health) as server:
        log.info("stage_started", stage=STAGE, port=server.port)
        while not stop.is_set():
            _patiently(lambda: admit_until_stopped(settings, health, stop), health, stop)
        log.info("stage_stopped", stage=STAGE)


def heads_folder(settings: Settings) -> Path:
    """Return where the worker of this slot keeps its heads; deleting it costs a read of the log, nothing else."""
    return settings.heads.folder / f"admit-{settings.stages.slot}"


class Stop(Protocol):
    """The part of `threading.Event` that the loop needs."""

    def is_set(self) -> bool:
        """Say whether the process is to stop."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for that, at most this many seconds."""
        ...


def admit_until_stopped(settings: Settings, health: Health, stop: Stop) -> None:
    """Open everything and admit. Raises RetryableError when Kafka was away at the start, FatalError for the rest."""
    admin = KafkaAdmin(settings.kafka, client_id="headwater-admit")
    topics = asyncio.run(admission_topics(settings, admin))
    writer = TransactionalWriter(settings)
    writer.open()
    with ExitStack() as stack:
        environment = stack.enter_context(
            WritableEnvironment(heads_folder(settings), map_size_bytes=settings.heads.map_size_bytes, layout=LAYOUT)
        )
        loop = Admission(
            settings=settings,
            topics=topics,
            admin=admin,
            health=health,
            writer=writer,
            environment=environment,
            directory=stack.enter_context(DirectoryLog(settings, topics.directory_changed)),
            allowance=stack.enter_context(BackfillCredits(settings)),
        )
        stack.callback(loop.close)
        while not stop.is_set():
            _patiently(loop.step, health, stop)


def _patiently(call: Callable[[], None], health: Health, stop: Stop) -> None:
    try:
        call()
    except RetryableError as error:
        health.beat()
        health.unready("partitions", type(error).__name__)
        log.warning("admission_waiting", error=type(error).__name__, retry_in_s=_RETRY_S)
        stop.wait(_RETRY_S)


class Admission:
    """The loop of one worker; `step` is one turn of it."""

    def __init__(
        self,
        *,
        settings: Settings,
        topics: AdmissionTopics,
        admin: KafkaAdmin,
        health: Health,
        writer: TransactionalWriter,
        environment: WritableEnvironment,
        directory: DirectoryLog,
        allowance: BackfillCredits,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._admin = admin
        self._health = health
        self._directory = directory
        self._credits = allowance
        self._heads = AdmissionHeads(environment.lmdb, changed=topics.changed, directory=topics.directory_changed)
        self._purges = Purges(self._heads, topics.directory_changed)
        self._erasures = Erasures(
            self._heads, Confirmations(settings, directory.table), age=lambda: erasure_age(settings.backup)
        )
        self._planned_for: tuple[int, frozenset[int]] = (0, frozenset())
        self._intake = Intake(settings, topics)
        self._backlog = Backlog(backfill_cost)
        self._worker = AdmissionWorker(
            settings,
            topics,
            self._heads,
            writer,
            directory,
            now_ms=_now_ms,
            refresh_directory=self._refresh_directory,
            on_backfill=allowance.spend,
        )

    def close(self) -> None:
        """Leave the group."""
        self._intake.close()

    def step(self) -> None:
        """Read what is there and settle it in one transaction, two where directory commands are among it.

        Raises RetryableError when nothing came of it; the next step reads the same again.
        """
        self._health.beat()
        self._credits.follow(self._directory.table.serving_generation() or self._settings.generation)
        records = self._intake.read(self._wait_s())
        try:
            self._take_over()
        except RetryableError:
            self._intake.go_back(records)
            raise
        urgent = self._hold_backfill(records)
        backfill = self._backlog.take(at_most=BATCH, room_bytes=self._credits.room_bytes)
        try:
            self._directory.read_ready()
            self._plan_purges()
            if urgent or backfill:
                self._settle(urgent, backfill)
            self._purge()
            self._erase()
        except RetryableError:
            self._intake.go_back(urgent)
            self._backlog.put_back(backfill)
            raise
        self._health.ready("partitions")

    def _wait_s(self) -> float:
        room = self._credits.room_bytes > 0
        BACKFILL_PAUSED.set(0 if room else 1)
        if self._backlog and room:
            return 0.0
        return _BUSY_WAIT_S if self._backlog or self._purges.due(_now_ms()) is not None else _IDLE_WAIT_S

    def _hold_backfill(self, records: Sequence[Record]) -> list[Record]:
        """Put backfill to what waits for its turn; return the rest."""
        self._backlog.add(each for each in records if each.position.topic == self._topics.backfill)
        self._intake.pause_backfill(self._backlog.full)
        return [each for each in records if each.position.topic != self._topics.backfill]

    def _plan_purges(self) -> None:
        known = (self._directory.position, self._intake.partitions)
        if known != self._planned_for:
            self._purges.plan(self._directory.deletions, self._intake.partitions)
            self._planned_for = known

    def _settle(self, urgent: Sequence[Record], backfill: Sequence[Record]) -> None:
        began = time.monotonic()
        self._settle_commands([each for each in urgent if each.position.topic == self._topics.directory_submitted])
        live = [each for each in urgent if each.position.topic == self._topics.submitted]
        if live or backfill:
            self._settle_documents(live, backfill)
        SETTLE_SECONDS.labels(STAGE).observe(time.monotonic() - began)

    def _settle_commands(self, commands: Sequence[Record]) -> None:
        if not commands:
            return
        written = self._worker.admit_directory(commands, self._intake.membership)
        self._intake.advance(commands)
        ours = written.get(self._topics.directory_changed, {})
        self._directory.read_to(Ends(offsets={self._topics.directory_changed: ours}))

    def _settle_documents(self, live: Sequence[Record], backfill: Sequence[Record]) -> None:
        if not self._intake.owns_directory:
            # A document must not be judged by older rights than a reader may have seen already.
            self._refresh_directory()
        places = self._backlog.places(backfill)
        self._worker.admit_documents([*live, *backfill], self._intake.membership, backfill=places)
        self._intake.advance(live)
        self._backlog.settle(backfill)

    def _purge(self) -> None:
        purge = self._purges.due(_now_ms())
        if purge is not None and purge.partition in self._intake.partitions:
            position = self._intake.position(purge.partition)
            self._worker.purge(self._purges, purge, position, self._intake.membership)

    def _erase(self) -> None:
        due = self._erasures.due(now_ms=_now_ms())
        if due is not None:
            partition, erasures = due
            for first in range(0, len(erasures), BATCH):
                part = erasures[first : first + BATCH]
                self._worker.erase(partition, part, self._intake.position(partition), self._intake.membership)

    def _take_over(self) -> None:
        """After a change of hands: know the committed positions, the log and the directory to their ends."""
        if not self._intake.changed:
            return
        self._purges.forget()
        self._planned_for = (0, frozenset())
        partitions = self._intake.partitions
        self._erasures.own(partitions, now_ms=_now_ms())
        self._tell_expired(self._intake.settle_positions(asyncio.run(self._admin.start_offsets(self._topics.inputs))))
        self._backlog.begin(self._intake.backfill)
        if partitions:
            asyncio.run(
                restore_heads(
                    self._settings.kafka,
                    self._admin,
                    self._heads,
                    changed=self._topics.changed,
                    quarantined=self._topics.quarantined,
                    partitions=sorted(partitions),
                    beat=self._health.beat,
                )
            )
        self._refresh_directory(open_too=True)
        self._intake.changed = False
        log.info("partitions_taken", stage=STAGE, partitions=len(partitions))

    def _tell_expired(self, gaps: Sequence[Gap]) -> None:
        if gaps:
            self._worker.tell_expired(gaps, self._intake.membership)
            for gap in gaps:
                self._intake.passed(gap)

    def _refresh_directory(self, *, open_too: bool = False) -> None:
        topic = self._topics.directory_changed
        asking = ask_ends(self._admin, {topic: (0,)}, transactional={topic}, open_too=open_too)
        self._directory.read_to(asyncio.run(asking))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
