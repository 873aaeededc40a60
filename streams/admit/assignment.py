"""Which partitions this worker owns, and where it stands in them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.clients.kafka.config import consumer_config, group_of
from headwater.clients.kafka.errors import translate
from headwater.clients.kafka.records import Offsets, Record, position_of, record_of
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas.events.base import Position
from streams.admit.backlog import Place
from streams.admit.expiry import Gap, SubmissionsExpiredError, gaps
from streams.admit.topics import AdmissionTopics

# One batch is one transaction. 500 submissions take about 50 ms, which is what a live edit behind them waits.
BATCH = 500
# Read ahead per partition: live submissions wait in the same queue behind this much backfill.
_QUEUED_MESSAGES = 500
_PARTITION_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have underscored names


class Intake:
    """The group's consumer. Partitions change hands during `read` alone."""

    def __init__(self, settings: Settings, topics: AdmissionTopics) -> None:
        config = consumer_config(
            settings.kafka, client_id=f"headwater-admit-{settings.stages.slot}", group=group_of(settings, "admit")
        )
        self._consumer = Consumer(config | {"queued.min.messages": _QUEUED_MESSAGES})
        self._topics = topics
        self._timeout_s = settings.kafka.request_timeout_s
        self._assigned: set[tuple[str, int]] = set()
        self._positions: dict[tuple[str, int], int] = {}
        self._notes: dict[int, str] = {}  # of the backfill topic's partitions, as committed
        self._following: dict[tuple[str, int], int] = {}  # what is to be read next
        self._paused: frozenset[int] = frozenset()  # partitions of the backfill topic
        self._changes = 0
        self.changed = False  # partitions were gained or lost since this was last set to False
        self._consumer.subscribe(list(topics.inputs), on_assign=self._gained, on_revoke=self._lost, on_lost=self._lost)

    def close(self) -> None:
        """Leave the group, so that its other members take over at once."""
        self._consumer.close()

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions of the document topics that this worker owns. Raises FatalError unless it owns both lanes'."""
        live = {number for topic, number in self._assigned if topic == self._topics.submitted}
        backfill = {number for topic, number in self._assigned if topic == self._topics.backfill}
        if live != backfill:
            raise FatalError(
                "the group's members disagree on topics or assignor: stop all admission workers, then start"
            )
        return frozenset(live)

    @property
    def owns_directory(self) -> bool:
        """Say whether this worker is the directory's writer."""
        return (self._topics.directory_submitted, 0) in self._assigned

    @property
    def membership(self) -> Any:
        """What proves to the broker that the partitions are still ours."""
        return self._consumer.consumer_group_metadata()

    def position(self, partition: int) -> tuple[str, int, int]:
        """Return topic, partition and next offset of one of this worker's inputs, as committed."""
        return self._topics.submitted, partition, self._positions[self._topics.submitted, partition]

    def read(self, wait_s: float) -> list[Record]:
        """Wait for a record and return it with those that lie ready; empty after `wait_s`.

        Raises RetryableError, or FatalError: SubmissionsExpiredError where retention has taken what was to be read.
        """
        try:
            first = self._consumer.poll(wait_s)
            changes = self._changes
            # `consume(n, t)` waits out t even when records are there; with 0 it takes what lies ready.
            messages = [] if first is None else [first, *self._consumer.consume(BATCH - 1, 0)]
        except KafkaException as error:
            raise translate(error, "reading submissions") from error
        if changes != self._changes:  # the first was read before the change: whoever owns its partition reads it again
            del messages[:1]
        records = [record_of(message) for message in messages if message.error() is None]
        failures = [failure for message in messages if (failure := message.error()) is not None]
        for failure in failures:
            translated = None if failure.code() == _PARTITION_EOF else translate(failure, "reading submissions")
            # A passing failure is reported by the next read as well; what was read with it must not be lost.
            if isinstance(translated, FatalError) or (translated is not None and not records):
                raise translated
        owned = [record for record in records if self._owned(record)]
        ends = [position_of(message) for message in messages if _is_end(message)]
        self._check_order(owned, [end for end in ends if (end.topic, end.partition) in self._assigned])
        return owned

    def settle_positions(self, oldest: Offsets) -> tuple[Gap, ...]:
        """Learn the committed positions; waits until a predecessor's open transaction has ended, either way.

        `oldest` has the first offset that is there of every input. Return what is gone unread, to be told and then
        `passed`.
        """
        asked = [TopicPartition(topic, number) for topic, number in sorted(self._assigned)]
        if not asked:
            return ()
        try:
            found = self._consumer.committed(asked, timeout=self._timeout_s)
        except KafkaException as error:
            raise translate(error, "reading committed positions") from error
        committed = {
            (each.topic, each.partition): Place(offset=each.offset, note=each.metadata or "")
            if each.offset >= 0
            else None
            for each in found
        }
        for (topic, partition), place in committed.items():
            self._place(topic, partition, place or Place(offset=oldest[topic][partition]))
        return gaps(committed, oldest)

    def passed(self, gap: Gap) -> None:
        """Note that a gap was told, and the position behind it committed."""
        self._place(gap.topic, gap.partition, gap.place)

    def _place(self, topic: str, partition: int, place: Place) -> None:
        key = (topic, partition)
        self._positions[key] = place.offset
        self._following[key] = max(place.offset, self._following.get(key, 0))
        if topic == self._topics.backfill:
            self._notes[partition] = place.note

    @property
    def backfill(self) -> Mapping[int, Place]:
        """What was committed of this worker's backfill partitions when they were taken over."""
        return {
            number: Place(offset=self._positions[topic, number], note=self._notes.get(number, ""))
            for topic, number in self._assigned
            if topic == self._topics.backfill
        }

    def advance(self, records: Collection[Record]) -> None:
        """Note that these records' positions are committed."""
        for record in records:
            key = (record.position.topic, record.position.partition)
            self._positions[key] = max(self._positions.get(key, 0), record.position.offset + 1)

    def go_back(self, records: Collection[Record]) -> None:
        """Read those of these records again whose transaction came to nothing."""
        first: dict[tuple[str, int], int] = {}
        for record in records:
            key, offset = (record.position.topic, record.position.partition), record.position.offset
            if key in self._assigned and offset >= self._positions.get(key, 0):
                first[key] = min(first.get(key, offset), offset)
        for (topic, partition), offset in first.items():
            self._following[topic, partition] = min(offset, self._following.get((topic, partition), offset))
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                raise FatalError(f"cannot read {topic}/{partition} again: {error.args[0].name()}") from error

    def pause_backfill(self, full: frozenset[int]) -> None:
        """Leave the backfill of these partitions where it is, and read that of all others."""
        topic = self._topics.backfill
        owned = {number for name, number in self._assigned if name == topic}
        wanted = full & owned
        if stopped := wanted - self._paused:
            self._consumer.pause([TopicPartition(topic, number) for number in sorted(stopped)])
        if resumed := (self._paused & owned) - wanted:
            self._consumer.resume([TopicPartition(topic, number) for number in sorted(resumed)])
        self._paused = wanted

    def _check_order(self, records: Sequence[Record], ends: Sequence[Position]) -> None:
        """Raise SubmissionsExpiredError where the consumer was moved past what retention took.

        It moves silently. A jump alone proves nothing, since transactions of outside producers leave markers.
        """
        read = [(record.position, record.position.offset + 1) for record in records]
        try:
            for at, after in (*read, *((end, end.offset) for end in ends)):
                key, offset = (at.topic, at.partition), at.offset
                following = self._following.get(key, offset)
                if offset > following and (oldest := self._oldest(key)) > following:
                    raise SubmissionsExpiredError(
                        f"{key[0]}[{key[1]}]: offsets {following} to {min(oldest, offset) - 1} were removed before "
                        "admission had read them; it starts again, says so in a dead letter and goes on behind them"
                    )
                self._following[key] = max(following, after)
        except KafkaException as error:
            self.go_back(records)  # or the jump would not be seen again
            raise translate(error, "asking for the oldest submission") from error

    def _oldest(self, key: tuple[str, int]) -> int:
        marks = self._consumer.get_watermark_offsets(TopicPartition(*key), timeout=self._timeout_s, cached=False)
        return int(marks[0])

    def _owned(self, record: Record) -> bool:
        return (record.position.topic, record.position.partition) in self._assigned

    # Called by librdkafka within `poll`.
    def _gained(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned |= {(each.topic, each.partition) for each in partitions}
        self._paused = frozenset()  # librdkafka forgets it, too
        self._note_change()

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        lost = {(each.topic, each.partition) for each in partitions}
        self._assigned -= lost
        self._positions = {key: offset for key, offset in self._positions.items() if key not in lost}
        self._following = {key: offset for key, offset in self._following.items() if key not in lost}
        self._note_change()

    def _note_change(self) -> None:
        self._changes += 1
        self.changed = True


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == _PARTITION_EOF
