"""Lag on a real broker, where the control records of transactions have offsets too."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from headwater.clients.kafka.config import consumer_config, group_of, producer_config, topic_of
from headwater.local.lag import LagReader
from headwater.ports.freshness import StageLag
from headwater.settings import Settings
from schemas.topics import Topic
from tests.support.stack import RunningStack

pytestmark = pytest.mark.real


@pytest.fixture
def settings(stack: RunningStack) -> Iterator[Settings]:
    kafka = stack.settings.kafka.model_copy(update={"topic_prefix": f"lag{uuid4().hex[:8]}."})
    settings = stack.settings.model_copy(update={"kafka": kafka})
    names = [topic_of(settings, topic) for topic in (Topic.DOCUMENTS_CHANGED, Topic.EVENTS_PARKED)]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for created in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        created.result(30)
    yield settings
    for deleted in admin.delete_topics(names).values():
        deleted.result(30)


def prepare_stage(settings: Settings) -> StageLag:
    reader = LagReader(settings)
    try:
        [lag] = [lag for lag in reader.stages() if lag.stage == "prepare"]
    finally:
        reader.close()
    return lag


def append(settings: Settings, count: int) -> None:
    """Append records in one transaction: its marker takes one more offset."""
    producer = Producer(producer_config(settings.kafka, client_id="t", transactional_id=uuid4().hex))
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic_of(settings, Topic.DOCUMENTS_CHANGED), key=str(number), value=b"x")
    producer.commit_transaction(30)


def commit(settings: Settings, offset: int) -> None:
    group = group_of(settings, "prepare", generation=settings.generation)
    consumer = Consumer(consumer_config(settings.kafka, client_id="t", group=group))
    position = TopicPartition(topic_of(settings, Topic.DOCUMENTS_CHANGED), 0, offset)
    consumer.commit(offsets=[position], asynchronous=False)
    consumer.close()


def test_a_group_that_never_committed_has_everything_before_it(settings: Settings) -> None:
    append(settings, 3)
    lag = prepare_stage(settings)
    assert lag.events >= 3
    assert lag.oldest is not None
    assert datetime.now(tz=UTC) - lag.oldest < timedelta(minutes=5)


def test_a_marker_at_the_end_is_no_lag(settings: Settings) -> None:
    append(settings, 3)
    commit(settings, 3)  # the last record is 2; offset 3 is the marker
    assert (prepare_stage(settings).events, prepare_stage(settings).oldest) == (0, None)


def test_one_waiting_event_is_seen_behind_a_marker(settings: Settings) -> None:
    append(settings, 3)
    commit(settings, 3)
    append(settings, 1)
    lag = prepare_stage(settings)
    assert lag.events >= 1
    assert lag.oldest is not None


def test_what_retention_took_unread_is_counted_until_the_group_goes_on(settings: Settings) -> None:
    append(settings, 5)
    commit(settings, 1)
    delete_before(settings, 4)
    assert prepare_stage(settings).expired == 3
    commit(settings, 4)
    assert prepare_stage(settings).expired == 0


@pytest.mark.parametrize(
    ("cleanup", "age_days", "expires_in_days"),
    [("delete", 6.0, None), ("delete", 8.0, 6.0), ("compact", 8.0, None)],
    ids=["young", "half its time over", "kept whatever its age"],
)
def test_when_retention_takes_what_waits_is_told_once_half_of_its_time_is_over(
    settings: Settings, cleanup: str, age_days: float, expires_in_days: float | None
) -> None:
    topic, now = topic_of(settings, Topic.DOCUMENTS_DEFERRED, generation=settings.generation), datetime.now(tz=UTC)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    kept = {"cleanup.policy": cleanup, "retention.ms": str(14 * 86_400_000)}
    for created in admin.create_topics([NewTopic(topic, 1, 1, config=kept)]).values():
        created.result(30)
    try:
        producer = Producer(producer_config(settings.kafka, client_id="t"))
        at = now - timedelta(days=age_days)
        producer.produce(topic, key=b"k", value=b"v", timestamp=int(at.timestamp() * 1_000))
        assert producer.flush(30) == 0
        lag = prepare_stage(settings)
    finally:
        for deleted in admin.delete_topics([topic]).values():
            deleted.result(30)
    assert lag.oldest is not None
    wanted = None if expires_in_days is None else lag.oldest + timedelta(days=14)
    assert lag.expires == wanted
    assert wanted is None or abs(wanted - now - timedelta(days=expires_in_days or 0)) < timedelta(seconds=1)


def delete_before(settings: Settings, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    position = TopicPartition(topic_of(settings, Topic.DOCUMENTS_CHANGED), 0, offset)
    for removed in admin.delete_records([position]).values():
        removed.result(30)


def test_dead_letters_are_counted(settings: Settings) -> None:
    producer = Producer(producer_config(settings.kafka, client_id="t"))
    for _ in range(2):
        producer.produce(topic_of(settings, Topic.EVENTS_PARKED), key=b"k", value=b"v")
    assert producer.flush(30) == 0
    reader = LagReader(settings)
    assert reader.parked() == 2
    reader.close()
