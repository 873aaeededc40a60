"""What a connector yields, gathered while the batch before is submitted."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from connectors.protocol import CursorMoved, Observed


async def batches(changes: AsyncIterator[Observed], *, at_most: int) -> AsyncIterator[Sequence[Observed]]:
    """Yield what is there as soon as it is there, so much at once; the connector reads on meanwhile."""
    queue: asyncio.Queue[Observed | None] = asyncio.Queue(maxsize=at_most)

    async def read() -> None:
        async for change in changes:
            await queue.put(change)
        await queue.put(None)

    reader = asyncio.create_task(read())
    try:
        ended = False
        while not ended:
            batch: list[Observed] = []
            first = asyncio.create_task(queue.get())
            await asyncio.wait({first, reader}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done() and reader.exception() is not None and queue.empty():
                first.cancel()
                break  # what it raised is raised below, after all that it had yielded
            item = await first
            while item is not None:
                batch.append(item)
                if len(batch) == at_most or queue.empty() or isinstance(item, CursorMoved):
                    break  # a place is saved before what comes after it is submitted
                item = queue.get_nowait()
            ended = item is None
            if batch:
                yield batch
        await reader
    finally:
        reader.cancel()
