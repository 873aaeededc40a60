"""The sources of the directory in memory, followed."""

import asyncio
from collections.abc import Iterable

import structlog

from connectors.worker.ports import Key
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import PartitionEnd, Record
from headwater.errors import RetryableError
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.codec import decode
from schemas.events.directory import DirectoryChanged, DirectoryKind, DirectoryOp, Source
from schemas.ids import SourceId
from schemas.topics import Topic

log = structlog.get_logger(__name__)

_AGAIN_S = 1.0  # after the broker did not answer; until it does, the last word holds
_INFIX = f"/{DirectoryKind.SOURCE}/".encode()


class FollowedSources:
    """Implements Sources; `follow` keeps it current."""

    def __init__(self) -> None:
        self._sources: dict[Key, Source] = {}
        self.current = asyncio.Event()  # what was in the log when it was opened has been read

    def get(self, key: Key) -> Source | None:
        """See the port."""
        return self._sources.get(key)

    def items(self) -> Iterable[tuple[Key, Source]]:
        """See the port."""
        return tuple(self._sources.items())

    async def follow(self, settings: Settings, producer: EventProducer, health: Health) -> None:
        """Read the directory until cancelled. Raises FatalError where it cannot be read at all."""
        topic = topic_of(settings, Topic.DIRECTORY_CHANGED)
        start = from_beginning({topic: await producer.partition_count(topic)})
        async with RecordStream.assign_all(settings.kafka, start, client_id="connector-directory") as stream:
            while True:
                try:
                    items = await stream.read()
                except RetryableError as error:
                    health.unready("directory", type(error).__name__)
                    log.warning("directory_waiting", error=type(error).__name__, retry_in_s=_AGAIN_S)
                    await asyncio.sleep(_AGAIN_S)
                    continue
                for item in items:
                    if isinstance(item, Record):
                        self.apply(item)
                if any(isinstance(item, PartitionEnd) for item in items):
                    self.current.set()
                if self.current.is_set():
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
            self._sources[key] = event.record
        else:
            self._sources.pop(key, None)
