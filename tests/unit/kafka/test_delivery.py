"""What a delivery report says, when it says less than where a record lies."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message

from headwater.clients.kafka import producer as module
from headwater.clients.kafka.errors import UnconfirmedError
from headwater.clients.kafka.producer import EventProducer
from headwater.settings import Settings
from schemas.events import Position

INVALID_OFFSET = -1001  # librdkafka's word for none


class Reporting:
    """Stands for librdkafka: reports each record as stored at the next of these offsets."""

    offsets: tuple[int, ...] = ()

    def __init__(self, config: object) -> None:
        self._left = [*self.offsets]

    def produce(
        self, topic: str, *_: Any, on_delivery: Callable[[KafkaError | None, Message], None], **__: Any
    ) -> None:
        on_delivery(None, Message(topic=topic, partition=1, offset=self._left.pop(0)))

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 0


async def test_a_record_that_the_broker_did_not_confirm_itself_is_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is reported without an error and without an offset, and may be lost (ADR 0205)."""
    monkeypatch.setattr(Reporting, "offsets", (INVALID_OFFSET, 7))
    monkeypatch.setattr(module, "Producer", Reporting)
    async with asyncio.timeout(20), EventProducer.open(Settings(), client_id="test") as producer:
        with pytest.raises(UnconfirmedError, match=r"rag\.test: the broker never said where"):
            await producer.send("rag.test", b"v", key=b"k")
        assert await producer.send("rag.test", b"v", key=b"k") == Position(topic="rag.test", partition=1, offset=7)
