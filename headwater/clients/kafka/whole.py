"""Reads compacted topics whole: what they held when the reading began."""

import asyncio
from collections.abc import Callable, Collection

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import BEGINNING, RecordStream
from headwater.clients.kafka.records import Record
from headwater.errors import RetryableError
from headwater.settings import KafkaSettings


async def read_whole(
    settings: KafkaSettings,
    admin: KafkaAdmin,
    topic: str,
    partitions: Collection[int],
    apply: Callable[[Record], None],
    *,
    client_id: str,
) -> None:
    """Apply every record that lies in these partitions by now, in order.

    A transaction that a killed writer left open hides what comes after it, but no longer than the broker lets it: it is
    waited for. However long it takes to read: raises RetryableError only where nothing comes any more.
    """
    patience_s = 3 * settings.transaction_timeout_s
    try:
        async with asyncio.timeout(patience_s) as limit:
            ends = (await admin.log_ends({topic: partitions}, committed=False))[topic]
            left = {partition for partition in partitions if ends[partition] > 0}
            start = {topic: dict.fromkeys(left, BEGINNING)}
            async with RecordStream.assign_all(settings, start, client_id=client_id) as stream:
                while left:
                    items = await stream.read()
                    if items:
                        limit.reschedule(asyncio.get_running_loop().time() + patience_s)
                    for item in items:
                        if isinstance(item, Record):
                            apply(item)
                        elif item.position.offset >= ends[item.position.partition]:
                            left.discard(item.position.partition)
    except TimeoutError as error:
        raise RetryableError(
            f"{topic}: nothing came for {patience_s} s, and its end is not reached; does a transaction hang?"
        ) from error
