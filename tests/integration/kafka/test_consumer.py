"""Reading: committed records only, ends told, nothing lost by a cancelled read."""

import asyncio
import uuid

import pytest
from confluent_kafka import Producer

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import producer_config
from headwater.clients.kafka.consumer import RecordStream, from_beginning, next_offsets
from headwater.clients.kafka.errors import OffsetExpiredError, TopicMissingError
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Item, Outgoing, PartitionEnd, Record
from headwater.settings import Settings
from tests.integration.kafka.conftest import MakeTopic

pytestmark = pytest.mark.real


async def fill(settings: Settings, topic: str, values: range) -> None:
    async with EventProducer.open(settings, client_id="test") as producer:
        await producer.send_many(Outgoing(topic=topic, key=b"k", value=b"%d" % each) for each in values)


async def until_end(stream: RecordStream, *, partitions: int = 1) -> list[Item]:
    """Read until every partition has told its end."""
    items: list[Item] = []
    async with asyncio.timeout(30):
        while len({each.position.partition for each in items if isinstance(each, PartitionEnd)}) < partitions:
            items.extend(await stream.read())
    return items


def values(items: list[Item]) -> list[int]:
    return [int(each.value or b"") for each in items if isinstance(each, Record)]


def write_transactions(settings: Settings, topic: str) -> None:
    """Commit 0, abort 1, commit 2."""
    config = producer_config(settings.kafka, client_id="test", transactional_id=f"t-{uuid.uuid4().hex}")
    producer = Producer(config)
    producer.init_transactions(20)
    for number in range(3):
        producer.begin_transaction()
        producer.produce(topic, b"%d" % number, key=b"k")
        if number == 1:
            producer.flush(20)
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)


async def test_aborted_records_are_never_seen_and_the_end_lies_behind_markers(
    settings: Settings, make_topic: MakeTopic, admin: KafkaAdmin
) -> None:
    topic = await make_topic(partitions=1)
    await asyncio.to_thread(write_transactions, settings, topic)
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id="test") as stream:
        items = await until_end(stream)
    assert values(items) == [0, 2]
    assert isinstance(items[-1], PartitionEnd)
    # Three records and three markers: the end is behind them all, where a resumed reader must begin.
    assert items[-1].position.offset == 6
    assert await admin.end_offsets([topic]) == {topic: {0: 6}} == next_offsets(items)


async def test_an_end_is_told_again_after_new_records(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id="test") as stream:
        assert [type(item) for item in await until_end(stream)] == [PartitionEnd]
        await fill(settings, topic, range(3))
        items = await until_end(stream)
    assert values(items) == [0, 1, 2]
    assert isinstance(items[-1], PartitionEnd)


async def test_a_follower_resumes_at_its_checkpoint(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    await fill(settings, topic, range(10))
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id="test") as stream:
        async with asyncio.timeout(30):
            items: tuple[Item, ...] = ()
            while not items:
                items = await stream.read(max_records=4)
    checkpoint = next_offsets(items)
    async with RecordStream.assign_all(settings.kafka, checkpoint, client_id="test") as stream:
        rest = await until_end(stream)
    assert values([*items, *rest]) == list(range(10))


async def test_a_checkpoint_that_is_gone_is_an_error_and_no_silent_gap(
    settings: Settings, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)
    await fill(settings, topic, range(3))
    async with RecordStream.assign_all(settings.kafka, {topic: {0: 1_000}}, client_id="test") as stream:
        with pytest.raises(OffsetExpiredError, match="rebuild"):
            await until_end(stream)


async def test_a_cancelled_read_loses_nothing(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id="test") as stream:
        await until_end(stream)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.read(wait_s=30), timeout=0.05)
        await fill(settings, topic, range(5))
        assert values(await until_end(stream)) == list(range(5))


async def test_a_group_resumes_where_it_committed(settings: Settings, make_topic: MakeTopic, admin: KafkaAdmin) -> None:
    topic, group = await make_topic(partitions=1), f"g-{uuid.uuid4().hex}"
    await fill(settings, topic, range(6))
    async with RecordStream.subscribe(settings.kafka, [topic], group=group, client_id="test") as stream:
        assert values(await until_end(stream)) == list(range(6))
        assert stream.assigned == {(topic, 0)}
        await stream.commit({topic: {0: 4}})
    assert await admin.committed_offsets(group, [topic]) == {topic: {0: 4}}
    async with RecordStream.subscribe(settings.kafka, [topic], group=group, client_id="test") as stream:
        assert values(await until_end(stream)) == [4, 5]


async def test_seek_reads_again_and_pause_holds(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    await fill(settings, topic, range(4))
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id="test") as stream:
        await until_end(stream)
        await stream.pause(stream.assigned)
        await fill(settings, topic, range(4, 6))
        assert await stream.read(wait_s=0.3) == ()
        await stream.resume(stream.assigned)
        await stream.seek({topic: {0: 2}})
        assert values(await until_end(stream)) == [2, 3, 4, 5]


async def test_a_missing_topic_is_fatal(settings: Settings) -> None:
    missing = f"{settings.kafka.topic_prefix}nowhere"
    async with RecordStream.subscribe(settings.kafka, [missing], group="g", client_id="test") as stream:
        with pytest.raises(TopicMissingError, match="headwater topics apply"):
            await until_end(stream)
