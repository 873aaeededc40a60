"""The directory's log, followed: what a connector or a worker hears of its sources."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

import structlog

from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import PartitionEnd, Record
from headwater.errors import RetryableError
from headwater.settings import Settings
from schemas.topics import Topic

log = structlog.get_logger(__name__)

_AGAIN_S: Final = 1.0  # after the broker did not answer; until it does, the last word holds


async def directory_log(
    settings: Settings, producer: EventProducer, *, on_wait: Callable[[RetryableError], None] | None = None
) -> AsyncGenerator[tuple[Sequence[Record], bool], None]:
    """Yield what comes, and whether all that was there at the beginning has come by now. Never ends by itself.

    Yields nothing new at least once a second, so that its reader sees that it lives. `on_wait` is told when the broker
    does not answer. Raises FatalError where the log cannot be read at all.
    """
    topic = topic_of(settings, Topic.DIRECTORY_CHANGED)
    start = from_beginning({topic: await producer.partition_count(topic)})
    current = False
    async with RecordStream.assign_all(settings.kafka, start, client_id="connector-directory") as stream:
        while True:
            try:
                items = await stream.read()
            except RetryableError as error:
                log.warning("directory_waiting", error=type(error).__name__, retry_in_s=_AGAIN_S)
                if on_wait is not None:
                    on_wait(error)
                await asyncio.sleep(_AGAIN_S)
                continue
            current = current or any(isinstance(item, PartitionEnd) for item in items)
            yield [item for item in items if isinstance(item, Record)], current
