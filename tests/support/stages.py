"""Fakes and builders for tests of stages and their harness."""

import time
from collections.abc import Sequence
from typing import Any

from headwater.telemetry.tracing import Headers
from schemas.codec import encode
from schemas.errors import ContractError
from schemas.events.base import Lane, Position
from schemas.topics import Topic
from streams.harness.delivery import Delivery
from streams.harness.publishing import Emission


class FakePublisher:
    """Implements Publisher in memory. `errors` are raised first, one a call."""

    def __init__(self, *, partitions: int = 4, errors: Sequence[Exception] = ()) -> None:
        self.emissions: list[Emission] = []
        self._partitions, self._errors = partitions, list(errors)

    async def publish(self, emissions: Sequence[Emission]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        for each in emissions:
            encode(each.event)  # what does not fit the contract cannot be sent
        self.emissions.extend(emissions)

    async def partition_count(self, topic: Topic) -> int:
        return self._partitions

    def events(self, topic: Topic) -> list[Any]:
        """Return what was sent to a topic, in order."""
        return [each.event for each in self.emissions if each.topic is topic]


class FakeDelivery:
    """Makes deliveries and remembers what became of them."""

    def __init__(self) -> None:
        self.settled: list[int] = []
        self.abandoned: list[int] = []
        self._offset = 0

    def make(
        self,
        event: Any = None,
        *,
        key: bytes | None = b"acme/doc",
        value: bytes | None = b"value",
        lane: Lane = Lane.LIVE,
        size_bytes: int = 100,
        topic: Topic = Topic.DOCUMENTS_CHANGED,
        broken: ContractError | None = None,
        headers: Headers = (),
    ) -> Delivery:
        offset, self._offset = self._offset, self._offset + 1
        return Delivery(
            origin=Position(topic=topic.value, partition=0, offset=offset),
            topic=topic,
            key=key,
            order=(topic, key),
            value=value,
            headers=headers,
            event=event,
            broken=broken,
            lane=lane,
            size_bytes=size_bytes,
            received_s=time.monotonic(),
            settle=lambda: self.settled.append(offset),
            abandon=lambda: self.abandoned.append(offset),
        )
