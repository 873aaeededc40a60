"""A send returns what the broker holds, or says what to do."""

import asyncio
import time
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer
from opentelemetry.sdk.trace import TracerProvider

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.errors import (
    KafkaUnavailableError,
    RecordRefusedError,
    TopicMissingError,
    UnconfirmedError,
)
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing, Record
from headwater.clients.kafka.topics import create_topics
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events import AuditRecorded, Position
from schemas.examples import load_examples
from schemas.ids import DocumentId, GenerationName, TenantId, document_key, progress_key
from schemas.topics import Topic
from tests.integration.kafka.conftest import MakeTopic

pytestmark = pytest.mark.real

EVENT: AuditRecorded = next(each.event for each in load_examples() if each.name == "audit_recorded/accepted")


async def read_all(settings: Settings, topic: str, partitions: int) -> list[Record]:
    """Everything that is in a topic now, partition after partition."""
    found: list[Record] = []
    ended: set[int] = set()
    start = from_beginning({topic: partitions})
    async with RecordStream.assign_all(settings.kafka, start, client_id="test") as stream, asyncio.timeout(20):
        while len(ended) < partitions:
            for item in await stream.read():
                if isinstance(item, Record):
                    found.append(item)
                else:
                    ended.add(item.position.partition)
    return sorted(found, key=lambda record: record.position)


async def test_an_event_lies_where_the_send_says(settings: Settings, admin: KafkaAdmin) -> None:
    await create_topics(settings)
    async with EventProducer.open(settings, client_id="test") as producer:
        position = await producer.send(Topic.AUDIT_RECORDED, EVENT, key=b"acme/ada", headers=(("origin", b"here"),))
    assert position.topic == f"{settings.kafka.topic_prefix}rag.audit.recorded"
    records = await read_all(settings, position.topic, 4)
    assert [record.position for record in records] == [position]
    assert records[0].key == b"acme/ada"
    assert records[0].headers == (("origin", b"here"),)
    assert decode(records[0].value or b"", AuditRecorded) == EVENT


async def test_every_producer_of_ours_agrees_with_our_partitioner(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=12)
    keys = [f"acme/{number:032x}".encode()[: 1 + number % 40] or b"x" for number in range(400)]
    async with EventProducer.open(settings, client_id="test") as producer:
        sent = await producer.send_many(Outgoing(topic=topic, key=key, value=b"v") for key in keys)
    assert [position.partition for position in sent] == [partition_of(key, 12) for key in keys]
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers) as fausts:
        by_faust = [await (await fausts.send(topic, b"v", key=key)) for key in keys]
    assert [found.partition for found in by_faust] == [partition_of(key, 12) for key in keys]


async def test_many_are_stored_in_their_order(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=2)
    async with EventProducer.open(settings, client_id="test") as producer:
        sent = await producer.send_many(
            Outgoing(topic=topic, key=f"k{number}".encode(), value=b"%d" % number, partition_key=b"%d" % (number % 7))
            for number in range(2_000)
        )
    records = await read_all(settings, topic, 2)
    assert [record.position for record in records] == sorted(sent)
    for partition in (0, 1):
        values = [int(record.value or b"") for record in records if record.position.partition == partition]
        assert values == sorted(values)


async def test_progress_lies_with_its_document(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=12)
    tenant, generation = TenantId("acme"), GenerationName("g1")
    async with EventProducer.open(settings, client_id="test") as producer:
        for number in range(20):
            document = DocumentId(f"{number:032x}")
            position = await producer.send(
                topic,
                b"v",
                key=progress_key(tenant, document, generation, "vectors"),
                partition_key=document_key(tenant, document),
            )
            assert position.partition == partition_of(document_key(tenant, document), 12)


async def test_a_tombstone_has_no_value(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    async with EventProducer.open(settings, client_id="test") as producer:
        await producer.send(topic, None, key=b"gone")
    assert [record.value for record in await read_all(settings, topic, 1)] == [None]


async def test_the_trace_travels_in_headers(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    tracer = TracerProvider().get_tracer("test")
    async with EventProducer.open(settings, client_id="test") as producer:
        with tracer.start_as_current_span("upload") as span:
            await producer.send(topic, b"v", key=b"k")
    (record,) = await read_all(settings, topic, 1)
    assert f"{span.get_span_context().trace_id:032x}" in dict(record.headers)["traceparent"].decode()


async def test_a_missing_topic_is_named_with_the_remedy(settings: Settings, admin: KafkaAdmin) -> None:
    missing = f"{settings.kafka.topic_prefix}nowhere"
    async with EventProducer.open(settings, client_id="test") as producer:
        with pytest.raises(TopicMissingError, match=f"{missing}; run `headwater topics apply`"):
            await producer.send(missing, b"v", key=b"k")
    assert missing not in await admin.topic_names()


@pytest.mark.parametrize("size", [1_200_000, 3_000_000])
async def test_a_record_too_large_is_poison(settings: Settings, make_topic: MakeTopic, size: int) -> None:
    topic = await make_topic(partitions=1)
    async with EventProducer.open(settings, client_id="test") as producer:
        with pytest.raises(RecordRefusedError):
            await producer.send(topic, noise(size), key=b"k")


async def test_more_than_the_buffer_is_sent_without_a_refusal(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    value = noise(900_000)
    async with EventProducer.open(settings, client_id="test") as producer:
        sent: tuple[Position, ...] = ()
        while not sent:
            with suppress(UnconfirmedError):  # the partitions are new: what it is for is to be sent again
                records = (Outgoing(topic=topic, key=b"%d" % each, value=value) for each in range(45))
                sent = await producer.send_many(records)
    assert len(set(sent)) == 45


async def test_an_absent_broker_may_be_tried_again(settings: Settings) -> None:
    absent = settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "request_timeout_s": 1.0})
    producer = EventProducer(settings.model_copy(update={"kafka": absent}), client_id="test")
    began = time.monotonic()
    with pytest.raises(KafkaUnavailableError):
        await producer.send("anything", b"v", key=b"k")
    await producer.close()
    assert time.monotonic() - began < 5


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    import random

    return random.Random(7).randbytes(size)
