"""A single record is read again from where it lies, or said to be there no more."""

from dataclasses import replace

import pytest

from headwater.clients.kafka.originals import KafkaOriginals
from headwater.clients.kafka.producer import EventProducer
from headwater.settings import Settings
from tests.integration.kafka.conftest import MakeTopic

pytestmark = pytest.mark.real


async def test_a_record_is_read_where_it_lies(settings: Settings, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=2)
    async with EventProducer.open(settings, client_id="test") as producer:
        positions = [await producer.send(topic, value, key=b"k") for value in (b"one", b"two", None)]
    originals = KafkaOriginals(settings.kafka)
    assert [await originals.read(position) for position in positions] == [b"one", b"two", None]
    end = replace(positions[-1], offset=positions[-1].offset + 1)
    for elsewhere in (end, replace(end, offset=end.offset + 100)):
        assert await originals.read(elsewhere) is None
