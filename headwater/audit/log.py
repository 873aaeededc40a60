"""Reads the log into the audit's table: everything once, then what came since."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from headwater.audit.table import LAYOUT, DocumentTable, TableWriter
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, next_offsets
from headwater.clients.kafka.errors import OffsetExpiredError
from headwater.clients.kafka.records import Item, Offsets, Record
from headwater.errors import FatalError
from headwater.heads.ends import Ends
from headwater.heads.environment import WritableEnvironment
from headwater.heads.follower import MAX_CHECKPOINT_AGE_S
from headwater.settings import Settings
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.documents import DocumentChanged, DocumentProgressed
from schemas.ids import DocumentId, GenerationName
from schemas.topics import Topic

log = structlog.get_logger(__name__)

CLIENT_ID: Final = "headwater-audit"
_MAX_RECORDS: Final = 1_000
_READ_WAIT_S: Final = 0.25


class LogReader:
    """Keeps a table of documents up to the log's end. Use `LogReader.open`; belongs to one task."""

    def __init__(self, settings: Settings, table: DocumentTable, *, clock: Callable[[], float]) -> None:
        self.table = table
        self._settings, self._clock = settings, clock
        self._generation: GenerationName = settings.generation
        self._changed = topic_of(settings, Topic.DOCUMENTS_CHANGED)
        self._progressed = topic_of(settings, Topic.DOCUMENTS_PROGRESSED)
        self._admin = KafkaAdmin(settings.kafka, client_id=CLIENT_ID)
        self._positions: Offsets = {}
        self._topic_ids: dict[str, str] = {}
        self._current_at = 0.0  # of the clock, when the ends were last reached

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, folder: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> AsyncIterator["LogReader"]:
        """Open an empty table in a folder of its own. Raises FatalError when another process uses the folder."""
        with WritableEnvironment(folder, map_size_bytes=settings.heads.map_size_bytes, layout=LAYOUT) as environment:
            table = DocumentTable(environment.lmdb)
            # Positions are kept in memory: a process that begins reads the log anew, and owes nothing to the last one.
            table.clear()
            yield cls(settings, table, clock=clock)

    async def catch_up(self) -> Offsets:
        """Apply all that is in the log as of the call; return the next offsets to read.

        Raises RetryableError when the broker is away, FatalError for a record of the log that this build cannot read.
        """
        ends = await self._ends()
        if await self._must_begin_again():
            await self._begin_again()
        try:
            await self._read_to(ends)
        except OffsetExpiredError:
            log.warning("audit_begins_again", reason="the position is older than what the log kept")
            await self._begin_again()
            await self._read_to(ends)
        self._current_at = self._clock()
        return {topic: dict(offsets) for topic, offsets in self._positions.items()}

    async def _ends(self) -> Ends:
        """Ask for the end of the reports first: what a store reported has been in the log for longer."""
        found: Offsets = {}
        for topic in (self._progressed, self._changed):
            found |= await self._admin.log_ends({topic: range(await self._admin.partition_count(topic))})
        return Ends(offsets=found)

    async def _must_begin_again(self) -> bool:
        ids = await self._admin.topic_ids((self._changed, self._progressed))
        known, self._topic_ids = self._topic_ids, ids
        # Compaction may have removed a tombstone that was not read: as in the follower of the API's heads.
        return known != ids or self._clock() - self._current_at > MAX_CHECKPOINT_AGE_S

    async def _begin_again(self) -> None:
        self.table.clear()
        self._positions = await self._admin.start_offsets((self._changed, self._progressed))

    async def _read_to(self, ends: Ends) -> None:
        if ends.reached(self._positions):
            return
        async with RecordStream.assign_all(self._settings.kafka, self._positions, client_id=CLIENT_ID) as stream:
            while not ends.reached(self._positions):
                self._apply(await stream.read(max_records=_MAX_RECORDS, wait_s=_READ_WAIT_S))

    def _apply(self, items: Sequence[Item]) -> None:
        if not items:
            return
        with self.table.writing() as writer:
            for item in items:
                if isinstance(item, Record):
                    self._apply_record(writer, item)
        for topic, offsets in next_offsets(items).items():
            self._positions.setdefault(topic, {}).update(offsets)

    def _apply_record(self, writer: TableWriter, record: Record) -> None:
        try:
            if record.position.topic == self._changed:
                _apply_document(writer, record)
            elif record.value is not None:
                progressed = decode(record.value, DocumentProgressed)
                if progressed.generation == self._generation:
                    writer.report(progressed, written_ms=record.timestamp_ms or 0)
        except (ContractError, ValueError) as error:
            if record.position.topic == self._changed:
                raise FatalError(f"{record.position}: this build cannot read it; roll out readers first") from error
            log.warning("progress_unreadable", topic=self._progressed, partition=record.position.partition)


def _apply_document(writer: TableWriter, record: Record) -> None:
    if record.value is None:
        writer.forget(DocumentId((record.key or b"").decode().rpartition("/")[2]))
    else:
        writer.put(decode(record.value, DocumentChanged))
