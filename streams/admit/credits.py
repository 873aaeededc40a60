"""How much backfill may be on its way through the stages, so that a full sync never buries live edits.

Bytes in flight are estimated from what Kafka knows: the records that `prepare` has not read, each as large as the
backfill's documents were on average, and what the slowest of the later stages has not read, each record as large as a
chunk batch. That is coarse by a factor of two; a bound is what matters, not the figure.
"""

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

import structlog

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.records import Offsets
from headwater.errors import HeadwaterError
from headwater.ports.heads import Positions
from headwater.settings import Settings
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.admit.intake import SMALLEST_DOCUMENT_BYTES

log = structlog.get_logger(__name__)

_INTERVAL_S = 1.0
# A page makes 8 chunks of about 1 KiB with their vectors; most documents are one batch.
_BATCH_BYTES = 16 * 1024
_SMOOTHING = 0.05  # of the mean size: the last 20 documents or so

_LATER_STAGES: Mapping[str, Topic] = {
    "embed": Topic.CHUNKS_PREPARED,
    "index-vectors": Topic.CHUNKS_EMBEDDED,
    "index-keywords": Topic.CHUNKS_PREPARED,
}
_STATUS_TOPICS: Sequence[Topic] = (Topic.DOCUMENTS_CHANGED, Topic.DOCUMENTS_PROGRESSED)


class KnowsOffsets(Protocol):
    """The part of `KafkaAdmin` that is needed here."""

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        """Return the next offset that a group will read, for each partition it has committed."""
        ...

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        """Return the oldest offset that is still there."""
        ...

    async def end_offsets(self, topics: Collection[str]) -> Offsets:
        """Return the next offset that a reader of committed records would get to."""
        ...


class BackfillCredits:
    """Says whether more backfill may be admitted. Asks Kafka from a thread, and only while backfill is admitted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._generation = settings.generation
        self._limit = settings.stages.backfill_in_flight_bytes
        self._in_flight = 0
        self._spent = 0  # since Kafka was asked
        self._mean = float(SMALLEST_DOCUMENT_BYTES)
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="backfill-credits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping.set()
        self._wanted.set()
        self._thread.join()

    @property
    def room_bytes(self) -> int:
        """How much more may be admitted; zero or less: nothing for now."""
        return self._limit - self._in_flight - self._spent

    def follow(self, generation: GenerationName) -> None:
        """Count what the stages of this generation have still to do: of the one that answers questions."""
        self._generation = generation

    def spend(self, content_bytes: int) -> None:
        """Note an admitted backfill document."""
        size = max(content_bytes, SMALLEST_DOCUMENT_BYTES)
        self._mean += _SMOOTHING * (size - self._mean)
        with self._lock:
            self._spent += size
        self._wanted.set()

    def _refresh(self) -> None:
        admin = KafkaAdmin(self._settings.kafka, client_id="headwater-admit-credits")
        while self._wanted.wait() and not self._stopping.is_set():
            spent = self._spent
            try:
                self._in_flight = asyncio.run(
                    bytes_in_flight(admin, self._settings, generation=self._generation, mean_bytes=self._mean)
                )
            except HeadwaterError as error:  # the last estimate holds; what is spent meanwhile counts on top
                log.warning("credits_unknown", error=type(error).__name__)
            else:
                with self._lock:
                    self._spent -= spent
            if self.room_bytes > 0 and not self._spent:
                self._wanted.clear()
            self._stopping.wait(_INTERVAL_S)


async def bytes_in_flight(
    admin: KnowsOffsets, settings: Settings, *, generation: GenerationName, mean_bytes: float
) -> int:
    """Return what of a generation's work is on its way, taking documents that wait for `prepare` to be of mean size."""

    async def waiting(stage: str, topic: Topic, *, of: GenerationName | None = None) -> int:
        name, group = topic_of(settings, topic, generation=of), group_of(settings, stage, generation=of)
        read = (await admin.committed_offsets(group, (name,)))[name]
        starts = (await admin.start_offsets((name,)))[name]
        ends = (await admin.end_offsets((name,)))[name]
        return lag({name: ends}, {name: starts | read})

    documents = await waiting("prepare", Topic.DOCUMENTS_CHANGED, of=generation)
    later = [await waiting(stage, topic, of=generation) for stage, topic in _LATER_STAGES.items()]
    later += [await waiting("status", topic) for topic in _STATUS_TOPICS]  # one for all generations
    return int(documents * mean_bytes) + max(later) * _BATCH_BYTES


def lag(ends: Positions, read: Positions) -> int:
    """Return how many offsets lie between what was read and the ends. Control records count: a few too many."""
    return sum(
        max(0, end - read.get(topic, {}).get(partition, 0))
        for topic, by_partition in ends.items()
        for partition, end in by_partition.items()
    )
