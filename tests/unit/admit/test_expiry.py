"""What retention takes before admission has read it: found at the take-over and while it reads, and told as it is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headwater.clients.kafka.records import Headers
from headwater.errors import RetryableError
from headwater.settings import Settings
from schemas.codec import encode
from schemas.ids import SYSTEM_TENANT, GenerationName
from streams.admit.assignment import Intake
from streams.admit.backlog import Place
from streams.admit.expiry import Gap, SubmissionsExpiredError, audit_gap, expired_letter, gaps
from tests.unit.admit.test_worker import TOPICS

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIVE, BACKFILL, COMMANDS = (TOPICS.submitted, 0), (TOPICS.backfill, 0), (TOPICS.directory_submitted, 0)


def gap(committed: Place | None, oldest: int) -> tuple[Gap, ...]:
    return gaps({BACKFILL: committed}, {TOPICS.backfill: {0: oldest}})


@pytest.mark.parametrize(
    ("committed", "oldest"),
    [(Place(offset=7), 7), (Place(offset=7), 3), (Place(offset=0), 0), (None, 0)],
    ids=["read to the oldest", "read further", "empty", "new"],
)
def test_nothing_is_missing_while_the_position_is_there(committed: Place | None, oldest: int) -> None:
    assert gap(committed, oldest) == ()


def test_what_a_note_says_is_settled_is_not_lost() -> None:
    [found] = gap(Place(offset=10, note=f"{0b1011_0110:x}"), 14)
    assert (found.first, found.following, found.at_most) == (10, 14, 2)
    assert found.place == Place(offset=14, note=f"{0b1011:x}")


def test_nothing_settled_above_a_gap_leaves_no_note() -> None:
    [found] = gap(Place(offset=10, note="6"), 14)
    assert (found.at_most, found.place) == (2, Place(offset=14))


def test_the_letter_of_a_gap_is_the_same_each_time_and_names_what_to_do() -> None:
    [found] = gap(Place(offset=10), 14)
    letter = expired_letter(found, generation=GenerationName("g1"), now=NOON)
    assert (letter.origin.topic, letter.origin.partition, letter.origin.offset) == (*BACKFILL, 10)
    assert (letter.error, letter.tenant_id) == (SubmissionsExpiredError.__name__, None)
    assert "offsets 10 to 13 (at most 4 submissions)" in letter.reason
    assert "headwater sources sync NAME --mode full" in letter.reason
    encode(letter)
    event = audit_gap(found, now=NOON)
    assert (event.tenant_id, event.resource, event.outcome) == (SYSTEM_TENANT, "backfill/0", "expired")
    assert event.event_id == audit_gap(found, now=NOON).event_id


def test_without_positions_it_is_not_claimed_that_anything_was_unread() -> None:
    [found] = gap(None, 14)
    reason = expired_letter(found, generation=GenerationName("g1"), now=NOON).reason
    assert "offsets 0 to 13 are gone" in reason
    assert "cannot be told" in reason


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A record of an input."""

    where: tuple[str, int]
    at: int
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure

    def topic(self) -> str:
        return self.where[0]

    def partition(self) -> int:
        return self.where[1]

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def headers(self) -> Headers:
        return ()

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


@dataclass
class FakeConsumer:
    """A consumer that goes on at the oldest record there is without a word, as librdkafka does."""

    committed_at: Mapping[tuple[str, int], int]
    oldest: dict[tuple[str, int], int] = field(default_factory=dict)
    ready: list[FakeMessage] = field(default_factory=list)
    asked: int = 0
    away: bool = False
    sought: list[tuple[str, int, int]] = field(default_factory=list)

    def subscribe(self, _: list[str], *, on_assign: Callable[..., None], **__: object) -> None:
        on_assign(self, [TopicPartition(*each) for each in (LIVE, BACKFILL, COMMANDS)])

    def poll(self, _: float) -> FakeMessage | None:
        return self.ready.pop(0) if self.ready else None

    def consume(self, *_: object) -> list[FakeMessage]:
        taken, self.ready = self.ready, []
        return taken

    def committed(self, asked: list[TopicPartition], **_: object) -> list[TopicPartition]:
        found = [(each.topic, each.partition) for each in asked]
        return [TopicPartition(*each, self.committed_at.get(each, -1001)) for each in found]

    def get_watermark_offsets(self, partition: TopicPartition, **_: object) -> tuple[int, int]:
        self.asked += 1
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "away", retriable=True))
        return self.oldest.get((partition.topic, partition.partition), 0), 100

    def seek(self, partition: TopicPartition) -> None:
        self.sought.append((partition.topic, partition.partition, partition.offset))

    def deliver(self, *offsets: int, where: tuple[str, int] = LIVE) -> None:
        self.ready += [FakeMessage(where, each) for each in offsets]

    def end(self, offset: int, where: tuple[str, int] = LIVE) -> None:
        self.ready.append(FakeMessage(where, offset, KafkaError(KafkaError._PARTITION_EOF)))


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer(committed_at={LIVE: 10, BACKFILL: 4, COMMANDS: 0})


@pytest.fixture
def intake(consumer: FakeConsumer) -> Iterator[Intake]:
    def opened(_: Any) -> FakeConsumer:
        return consumer

    with patch("streams.admit.assignment.Consumer", opened):
        yield Intake(Settings(), TOPICS)


def oldest(**of: int) -> dict[str, dict[int, int]]:
    return {TOPICS.submitted: {0: of.get("live", 0)}, TOPICS.backfill: {0: 0}, TOPICS.directory_submitted: {0: 0}}


def test_a_take_over_says_what_is_gone_and_goes_on_behind_it(intake: Intake, consumer: FakeConsumer) -> None:
    [found] = intake.settle_positions(oldest(live=14))
    assert (found.topic, found.first, found.following) == (TOPICS.submitted, 10, 14)
    intake.passed(found)
    assert intake.position(0) == (*LIVE, 14)
    consumer.deliver(14, 15)
    assert [each.position.offset for each in intake.read(0)] == [14, 15]
    assert consumer.asked == 0


def test_markers_of_transactions_are_no_loss(intake: Intake, consumer: FakeConsumer) -> None:
    assert intake.settle_positions(oldest()) == ()
    consumer.deliver(10, 12)  # 11 is a marker
    assert [each.position.offset for each in intake.read(0)] == [10, 12]
    assert consumer.asked == 1


@pytest.mark.parametrize("read_before", [(), (10, 11)])
def test_what_was_taken_while_it_reads_stops_it(
    intake: Intake, consumer: FakeConsumer, read_before: tuple[int, ...]
) -> None:
    intake.settle_positions(oldest())
    consumer.deliver(*read_before)
    intake.read(0)
    consumer.oldest[LIVE] = 20
    consumer.deliver(20)
    with pytest.raises(SubmissionsExpiredError, match=f"offsets {10 + len(read_before)} to 19"):
        intake.read(0)


def test_a_partition_of_which_nothing_is_left_stops_it_too(intake: Intake, consumer: FakeConsumer) -> None:
    intake.settle_positions(oldest())
    consumer.deliver(10)
    consumer.end(11)
    intake.read(0)
    assert consumer.asked == 0
    consumer.oldest[LIVE] = 20
    consumer.end(20)
    with pytest.raises(SubmissionsExpiredError, match="offsets 11 to 19"):
        intake.read(0)


def test_a_broker_that_does_not_tell_the_oldest_is_asked_again(intake: Intake, consumer: FakeConsumer) -> None:
    intake.settle_positions(oldest())
    consumer.away, consumer.oldest[LIVE] = True, 20
    consumer.deliver(20, 21)
    with pytest.raises(RetryableError):
        intake.read(0)
    assert consumer.sought == [(*LIVE, 20)]
    consumer.away = False
    consumer.deliver(20, 21)
    with pytest.raises(SubmissionsExpiredError):
        intake.read(0)


def test_what_is_read_again_after_an_abort_is_no_jump(intake: Intake, consumer: FakeConsumer) -> None:
    intake.settle_positions(oldest())
    consumer.deliver(10, 11)
    intake.go_back(intake.read(0))
    consumer.deliver(10, 11, 12)
    assert len(intake.read(0)) == 3
    assert consumer.asked == 0
