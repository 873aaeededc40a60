"""The sources of the directory in memory, followed."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

from connectors.directory import directory_log
from connectors.worker.ports import Key
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Record
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.codec import decode
from schemas.events.directory import DirectoryChanged, DirectoryKind, DirectoryOp, Source
from schemas.ids import Revision, SourceId

_INFIX = f"/{DirectoryKind.SOURCE}/".encode()


class FollowedSources:
    """Implements Sources; `follow` keeps it current."""

    def __init__(self) -> None:
        self._sources: dict[Key, Source] = {}
        self._created: dict[Key, Revision | None] = {}
        self.current = asyncio.Event()  # what was in the log when it was opened has been read

    def get(self, key: Key) -> Source | None:
        """See the port."""
        return self._sources.get(key)

    def created(self, key: Key) -> Revision | None:
        """See the port."""
        return self._created.get(key)

    def items(self) -> Iterable[tuple[Key, Source]]:
        """See the port."""
        return tuple(self._sources.items())

    async def follow(self, settings: Settings, producer: EventProducer, health: Health) -> None:
        """Read the directory until cancelled. Raises FatalError where it cannot be read at all."""
        async with aclosing(
            directory_log(settings, producer, on_wait=lambda error: health.unready("directory", type(error).__name__))
        ) as changes:
            async for records, current in changes:
                for record in records:
                    self.apply(record)
                if current:
                    self.current.set()
                    health.ready("directory")

    def apply(self, record: Record) -> None:
        """Take in the next record of the directory's log; those of other kinds are passed over undecoded."""
        if record.key is None or record.value is None or _INFIX not in record.key:
            return
        event = decode(record.value, DirectoryChanged)
        if event.kind is not DirectoryKind.SOURCE:
            return
        key = (event.tenant_id, SourceId(event.record_id))
        if event.op is DirectoryOp.PUT and isinstance(event.record, Source):
            self._sources[key], self._created[key] = event.record, event.created
        else:
            self._sources.pop(key, None)
