"""Reading and writing generation records straight in the log, for commands and for workers that start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Self
from uuid import uuid4

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning, next_offsets
from headwater.clients.kafka.errors import KafkaUnavailableError
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Offsets, Record
from headwater.errors import FatalError
from headwater.generations.records import (
    GenerationRefusedError,
    Generations,
    Known,
    first_generation,
    known_generations,
)
from headwater.heads.directory_table import DirectoryTable
from headwater.heads.ends import ask_ends
from headwater.retry import RetryPolicy, retry
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events import DirectoryChanged, DirectorySubmitted
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, DirectoryOp, Generation, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision, directory_key
from schemas.topics import Topic

_CLIENT: Final = "headwater-generations"
_ADMISSION_S: Final = 30.0
_ASK_AGAIN_S: Final = 0.05
_STARTING: Final = RetryPolicy(attempts=60, first_delay_s=0.2, max_delay_s=5.0, budget_s=120.0)


async def read_directory(settings: Settings) -> DirectoryTable:
    """Return the directory as of now, read from its topic. Raises RetryableError when the broker does not answer."""
    topic = topic_of(settings, Topic.DIRECTORY_CHANGED)
    admin = KafkaAdmin(settings.kafka, client_id=_CLIENT)
    ends = await ask_ends(admin, {topic: (0,)}, transactional=(topic,), open_too=True)
    table = DirectoryTable()
    read: Offsets = {}
    async with RecordStream.assign_all(settings.kafka, from_beginning({topic: 1}), client_id=_CLIENT) as stream:
        try:
            async with asyncio.timeout(settings.kafka.request_timeout_s):
                while not ends.reached(read):
                    items = await stream.read()
                    read |= next_offsets(items)
                    for item in items:
                        if isinstance(item, Record) and item.value is not None:
                            table.apply(decode(item.value, DirectoryChanged))
        except TimeoutError as error:
            limit_s = settings.kafka.request_timeout_s
            raise KafkaUnavailableError(f"{topic} could not be read to its end in {limit_s:g} s") from error
    return table


async def own_generation(settings: Settings) -> Generation:
    """Return the record that this process works by, for a worker that starts; wait some minutes for the broker.

    An installation without any record has one generation, with the built-in policy. Raises FatalError where others
    have records and this one has none: its worker would build what nobody described.
    """
    known = known_generations(await retry(lambda: read_directory(settings), policy=_STARTING))
    if not known:
        return first_generation(settings.generation)
    for each in known:
        if each.record.name == settings.generation and each.record.state is not GenerationState.RETIRED:
            return each.record
    raise FatalError(
        f"HEADWATER_GENERATION {settings.generation}: the directory has no such generation, or it was dropped; "
        "`headwater generations create` makes one, `headwater generations list` shows those there are"
    )


async def serving(settings: Settings) -> GenerationName:
    """Return the generation that answers questions; the settings' own where nothing was ever switched.

    Raises RetryableError when the broker does not answer.
    """
    return Generations.of(await read_directory(settings), default=settings.generation).serving


class GenerationsDirectory:
    """Changes records through admission, like every other writer. Use `open`."""

    def __init__(self, settings: Settings, producer: EventProducer) -> None:
        self._settings, self._producer = settings, producer
        self._admin = KafkaAdmin(settings.kafka, client_id=_CLIENT)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Open a producer."""
        async with EventProducer.open(settings, client_id=_CLIENT) as producer:
            yield cls(settings, producer)

    async def read(self) -> Generations:
        """Return all generations as of now."""
        return Generations.of(await read_directory(self._settings), default=self._settings.generation)

    async def put(self, record: Generation, *, over: Revision) -> Known:
        """Write a record over the revision that was read (0: there was none) and return it as admitted.

        Raises GenerationRefusedError when somebody else was quicker, RetryableError when admission does not answer.
        """
        await self._submit(record.name, DirectoryOp.PUT, record, over=over)
        written = next((each for each in (await self.read()).all if each.record.name == record.name), None)
        if written is None or written.record != record or written.revision == over:
            raise GenerationRefusedError(f"generation {record.name} was changed meanwhile: look at it and try again")
        return written

    async def delete(self, name: GenerationName, *, over: Revision) -> None:
        """Delete a record."""
        await self._submit(name, DirectoryOp.DELETE, None, over=over)

    async def _submit(
        self, name: GenerationName, op: DirectoryOp, record: Generation | None, *, over: Revision
    ) -> None:
        now = datetime.now(UTC)
        wish = DirectorySubmitted(
            event_id=uuid4(),
            tenant_id=SYSTEM_TENANT,
            occurred_at=now,
            observed_at=now,
            kind=DirectoryKind.GENERATION,
            record_id=name,
            op=op,
            record=record,
            expected_revision=over,
            actor=None,
        )
        key = directory_key(SYSTEM_TENANT, DirectoryKind.GENERATION.value, name)
        await self._until_settled(await self._producer.send(Topic.DIRECTORY_SUBMITTED, wish, key=key))

    async def _until_settled(self, position: Position) -> None:
        group = group_of(self._settings, "admit")
        try:
            async with asyncio.timeout(_ADMISSION_S):
                while await self._committed(group, position) <= position.offset:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError as error:
            raise KafkaUnavailableError(
                f"admission did not answer within {_ADMISSION_S:g} s: is `python -m streams admit` running?"
            ) from error

    async def _committed(self, group: str, position: Position) -> int:
        committed = await self._admin.committed_offsets(group, (position.topic,))
        return committed[position.topic].get(position.partition, 0)
