"""Runs the harness's probe stage against the real broker, and looks at what it left there."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from headwater.clients.kafka.errors import translate
from headwater.errors import RetryableError
from schemas.codec import decode, encode
from schemas.events import EventParked, FeedbackReceived
from schemas.events.queries import FeedbackType
from schemas.ids import Principal, TenantId
from schemas.topics import Topic
from tests.support.stack import RunningStack
from tests.support.waiting import reached

DEADLINE_S = 150.0  # workers start within seconds, but not on a machine that is busy with other tests


@dataclass(slots=True, kw_only=True)
class Probe:
    """One test's topics, folder and workers."""

    bootstrap: str
    prefix: str
    folder: Path
    partitions: int
    environment: Mapping[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return f"{self.prefix}{Topic.FEEDBACK_RECEIVED}"

    @property
    def group(self) -> str:
        return f"{self.prefix}headwater-probe-g1"

    def produce(self, count: int, *, comments: Mapping[int, str] | None = None, keys: int = 20, first: int = 0) -> None:
        """Append events q0, q1, ... spread over the keys; `comments` says what some of them ask of the worker."""
        producer = self.producer()
        for number in range(first, first + count):
            producer.produce(
                self.topic,
                key=f"t{number % keys % 3}/k{number % keys}".encode(),
                value=encode(feedback(number, (comments or {}).get(number))),
            )
        assert producer.flush(20) == 0

    def producer(self, **options: object) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                **options,
            }
        )

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker process. Its log lies in the folder."""
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.support.harness_worker"],
                env={**os.environ, **self.environment, **environment},
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def log(self, worker: subprocess.Popen[bytes]) -> str:
        return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text()

    def effects(self) -> list[tuple[int, int, str]]:
        """Return partition, offset and query id of every effect, in the order that each worker made them.

        Repeats are included; earlier workers come first.
        """
        return [(int(line[0]), int(line[1]), line[2]) for line in self._lines() if line[0] != "gave-up"]

    def done(self) -> set[str]:
        return {query for _, _, query in self.effects()}

    def gave_up(self) -> list[str]:
        return [line[1] for line in self._lines() if line[0] == "gave-up"]

    def _lines(self) -> list[list[str]]:
        files = sorted(self.folder.glob("effects-*.txt"), key=lambda each: each.stat().st_ctime)
        return [line.split() for file in files for line in file.read_text().splitlines()]

    def committed(self) -> dict[int, int]:
        """Return the group's committed offset by partition; -1001 where there is none. Raises RetryableError."""
        consumer = self._consumer(self.group)
        try:
            wanted = [TopicPartition(self.topic, each) for each in range(self.partitions)]
            return {each.partition: each.offset for each in consumer.committed(wanted, 10)}
        except KafkaException as error:
            raise translate(error, f"reading the positions of {self.group}") from error
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        consumer = self._consumer(self.group)
        try:
            return {
                each: consumer.get_watermark_offsets(TopicPartition(self.topic, each), 10)[1]
                for each in range(self.partitions)
            }
        finally:
            consumer.close()

    def delete_before(self, offset: int) -> None:
        """Remove the first records of every partition, as retention does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [TopicPartition(self.topic, each, offset) for each in range(self.partitions)]
        for removed in admin.delete_records(wanted).values():
            removed.result(20)

    def letters(self) -> list[EventParked]:
        """Return all dead letters."""
        consumer = self._consumer(f"{self.prefix}reader-{uuid4().hex[:6]}")
        consumer.subscribe([f"{self.prefix}{Topic.EVENTS_PARKED}"])
        found, at_end = [], 0
        try:
            while at_end < self.partitions:
                message = consumer.poll(10)
                assert message is not None
                error = message.error()
                if error is None:
                    found.append(decode(message.value() or b"", EventParked))
                else:
                    assert error.code() == KafkaError._PARTITION_EOF
                    at_end += 1
        finally:
            consumer.close()
        return found

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )


@contextmanager
def open_probe(stack: RunningStack, folder: Path, *, partitions: int = 2) -> Iterator[Probe]:
    """Create the topics of one test; stop its workers and remove the topics afterwards."""
    bootstrap = stack.settings.kafka.bootstrap_servers
    prefix = f"t{uuid4().hex[:10]}."
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [f"{prefix}{each}" for each in (Topic.FEEDBACK_RECEIVED, Topic.EVENTS_PARKED)]
    for created in admin.create_topics([NewTopic(each, partitions, 1) for each in topics]).values():
        created.result(20)
    probe = Probe(
        bootstrap=bootstrap,
        prefix=prefix,
        folder=folder,
        partitions=partitions,
        environment={
            **stack.environment,
            "PROBE_FOLDER": str(folder),
            "HEADWATER_KAFKA__TOPIC_PREFIX": prefix,
            "HEADWATER_KAFKA__SESSION_TIMEOUT_S": "6",  # the broker's minimum: a killed worker is replaced soonest
            "HEADWATER_STAGES__DATADIR": str(folder / "data"),
        },
    )
    try:
        yield probe
    finally:
        for worker in probe.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait(20)
        for removed in admin.delete_topics(topics).values():
            removed.result(20)


async def until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Await a condition that files or the broker tell of. One that has only just started elects its coordinators."""

    def holds() -> bool:
        try:
            return condition()
        except RetryableError:
            return False

    await reached(holds, deadline_s=deadline_s, every_s=0.05)


def feedback(number: int, comment: str | None = None) -> FeedbackReceived:
    """Build event number N."""
    now = datetime.now(UTC)
    return FeedbackReceived(
        event_id=uuid4(),
        tenant_id=TenantId(f"t{number % 3}"),
        occurred_at=now,
        observed_at=now,
        query_id=f"q{number}",
        user=Principal("user:a"),
        rating=5,
        type=FeedbackType.HELPFUL,
        comment=comment,
    )
