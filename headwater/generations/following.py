"""Which generation serves, for a process that has no replica of the directory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.records import Item, PartitionEnd
from headwater.errors import HeadwaterError
from headwater.heads.directory_table import DirectoryTable
from headwater.settings import Settings
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events import DirectoryChanged
from schemas.events.directory import DirectoryKind
from schemas.ids import SYSTEM_TENANT, GenerationName, directory_key
from schemas.topics import Topic

log = structlog.get_logger(__name__)

_CLIENT: Final = "headwater-serving"
_WAIT_S: Final = 1.0  # a stop waits for a read that has begun
_AGAIN_S: Final = 5.0
_GENERATIONS: Final = directory_key(SYSTEM_TENANT, DirectoryKind.GENERATION.value, "")


class ServingGeneration:
    """The generation that was switched to last, of the records that were read; `default` before the first switch."""

    def __init__(self, default: GenerationName) -> None:
        self._default = default
        self._table = DirectoryTable()
        self.is_known = asyncio.Event()  # set once the directory was read to its end

    @property
    def name(self) -> GenerationName:
        """Return it as of what has been read."""
        return self._table.serving_generation() or self._default

    def apply(self, items: Sequence[Item]) -> None:
        """Take in the next records of the directory. Raises ContractError for a generation that cannot be read."""
        for item in items:
            if isinstance(item, PartitionEnd):
                self.is_known.set()
            elif item.value is not None and (item.key or b"").startswith(_GENERATIONS):
                self._table.apply(decode(item.value, DirectoryChanged))


@asynccontextmanager
async def follow_serving(settings: Settings) -> AsyncIterator[ServingGeneration]:
    """Follow the directory in the background. While the broker is away, what was read last holds.

    Begins once the directory was read to its end: until then nobody knows whether another generation was switched to.
    """
    serving = ServingGeneration(settings.generation)
    following = asyncio.create_task(_follow(settings, serving))
    try:
        await serving.is_known.wait()
        yield serving
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(settings: Settings, serving: ServingGeneration) -> None:
    beginning = from_beginning({topic_of(settings, Topic.DIRECTORY_CHANGED): 1})
    while True:
        try:
            async with RecordStream.assign_all(settings.kafka, beginning, client_id=_CLIENT) as stream:
                while True:
                    serving.apply(await stream.read(wait_s=_WAIT_S))
        except (HeadwaterError, ContractError) as error:  # read again from the beginning: there are few records
            log.warning("directory_not_followed", error=type(error).__name__, retry_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
