"""Which generation serves, for a process without a replica: known before anybody is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from unittest.mock import patch

from headwater.clients.kafka.records import Item, PartitionEnd, Record
from headwater.generations.following import ServingGeneration, follow_serving
from headwater.generations.records import new_generation
from headwater.settings import Settings
from schemas.codec import encode
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision, directory_key
from tests.support.heads import directory_record

G2 = GenerationName("g2")
MADE = new_generation(G2, policy="structure-1", created_at=datetime(2026, 3, 1, tzinfo=UTC))


def at(offset: int) -> Position:
    return Position(topic="rag.directory.changed", partition=0, offset=offset)


def switched() -> Record:
    event = directory_record(
        DirectoryKind.GENERATION,
        G2,
        replace(MADE, state=GenerationState.SERVING, switched=1),
        tenant=SYSTEM_TENANT,
        revision=Revision(1),
    )
    key = directory_key(SYSTEM_TENANT, DirectoryKind.GENERATION.value, G2)
    return Record(position=at(0), key=key, value=encode(event), headers=(), timestamp_ms=None)


@dataclass
class Directory:
    """A topic that is read when the test says so."""

    parts: asyncio.Queue[Sequence[Item]] = field(default_factory=asyncio.Queue)

    async def read(self, **_: object) -> Sequence[Item]:
        return await self.parts.get()

    @asynccontextmanager
    async def assign_all(self, *_: object, **__: object) -> AsyncIterator["Directory"]:
        yield self


async def test_nobody_is_told_before_the_directory_was_read_to_its_end() -> None:
    directory, told = Directory(), list[str]()

    async def start() -> None:
        async with follow_serving(Settings()) as serving:
            told.append(serving.name)

    with patch("headwater.generations.following.RecordStream", directory):
        starting = asyncio.create_task(start())
        directory.parts.put_nowait([switched()])
        for _ in range(10):
            await asyncio.sleep(0)
        assert told == []
        directory.parts.put_nowait([PartitionEnd(position=at(1))])
        await starting
    assert told == [G2]


def test_before_the_first_switch_the_own_one_serves() -> None:
    assert ServingGeneration(GenerationName("g1")).name == "g1"
