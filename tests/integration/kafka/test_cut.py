"""What a client of ours does once its connections to the broker have ended and could not be opened for a while."""

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import client_config
from headwater.settings import KafkaSettings, Settings
from tests.integration.kafka.conftest import MakeTopic
from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

AWAY_S = 3.0  # librdkafka has tried to connect again, and waits between two attempts


@pytest.fixture
def relay(settings: Settings) -> Iterator[Proxy]:
    port = int(settings.kafka.bootstrap_servers.rpartition(":")[2])
    with Proxy(target=port, broker=True).relaying() as proxy:
        yield proxy


@pytest.fixture
def behind(settings: Settings, relay: Proxy) -> KafkaSettings:
    """The settings of clients whose connections can be cut."""
    return settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{relay.port}"})


def commit(settings: KafkaSettings, group: str, topic: str, offset: int) -> None:
    consumer = Consumer(client_config(settings, client_id="test") | {"group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


async def test_positions_of_a_group_are_known_again_after_a_cut(
    settings: Settings, behind: KafkaSettings, relay: Proxy, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)
    group = f"{settings.kafka.topic_prefix}group"
    commit(settings.kafka, group, topic, 3)
    admin = KafkaAdmin(behind)
    assert await admin.committed_offsets(group, [topic]) == {topic: {0: 3}}
    with relay.cut():
        await asyncio.sleep(AWAY_S)
    assert relay.ended
    commit(settings.kafka, group, topic, 7)
    async with asyncio.timeout(settings.kafka.request_timeout_s):
        assert await admin.committed_offsets(group, [topic]) == {topic: {0: 7}}
