"""A compacted topic read whole, in virtual time: however large it is, and not for ever where nothing comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.records import Item, PartitionEnd, Record
from headwater.clients.kafka.whole import read_whole
from headwater.errors import RetryableError
from headwater.settings import KafkaSettings
from schemas.events.base import Position
from tests.simulation.loop import VirtualLoop, run_virtually

SETTINGS = KafkaSettings(transaction_timeout_s=10)
TOPIC = "rag.connectors.cursors"


def at(offset: int) -> Position:
    return Position(topic=TOPIC, partition=0, offset=offset)


def record(offset: int) -> Record:
    return Record(position=at(offset), key=b"key", value=b"value", timestamp_ms=0, headers=())


class SlowStream:
    """Yields one answer every twenty seconds, then nothing."""

    def __init__(self, answers: Sequence[Item]) -> None:
        self._answers = list(answers)

    async def read(self) -> tuple[Item, ...]:
        await asyncio.sleep(20)
        return (self._answers.pop(0),) if self._answers else ()


class Ends:
    async def log_ends(self, partitions: Any, *, committed: bool) -> dict[str, dict[int, int]]:
        assert not committed, "what an open transaction holds counts, too"
        return {TOPIC: {0: 5}}


def read(monkeypatch: pytest.MonkeyPatch, answers: Sequence[Item]) -> list[int]:
    @asynccontextmanager
    async def assigned(*_: object, **__: object) -> AsyncIterator[SlowStream]:
        yield SlowStream(answers)

    monkeypatch.setattr(RecordStream, "assign_all", assigned)
    seen: list[int] = []
    reading = read_whole(
        SETTINGS, cast("KafkaAdmin", Ends()), TOPIC, [0], lambda each: seen.append(each.position.offset), client_id="t"
    )
    run_virtually(VirtualLoop(), reading)
    return seen


def test_what_takes_long_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five times twenty seconds, which is more than three times the transaction timeout."""
    answers: list[Item] = [*map(record, range(5)), PartitionEnd(position=at(5))]
    assert read(monkeypatch, answers) == [0, 1, 2, 3, 4]


def test_an_end_before_what_was_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open transaction hides the rest for a while."""
    answers: list[Item] = [record(0), PartitionEnd(position=at(1)), record(3), PartitionEnd(position=at(5))]
    assert read(monkeypatch, answers) == [0, 3]


def test_where_nothing_comes_any_more_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RetryableError, match="nothing came for 30 s"):
        read(monkeypatch, [record(0), PartitionEnd(position=at(1))])
