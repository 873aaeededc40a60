"""A paused source is not read: neither begun nor gone on with. The directory says so, and a runner follows it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from connectors.directory import directory_log
from connectors.endings import Ending, SyncReport
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Record
from headwater.settings import Settings
from headwater.telemetry.metrics import SYNCS_ENDED
from schemas.codec import decode
from schemas.events.directory import DirectoryChanged, DirectoryKind, Source
from schemas.ids import SourceId, TenantId, directory_key


async def pauses(
    settings: Settings, producer: EventProducer, *, tenant: TenantId, source: SourceId
) -> AsyncGenerator[bool, None]:
    """Yield whether a source is paused: first as of now, then whenever it may have changed. Never ends by itself."""
    key = directory_key(tenant, DirectoryKind.SOURCE, source)
    paused, told = False, False
    async with aclosing(directory_log(settings, producer)) as changes:
        async for records, current in changes:
            before = paused
            for record in records:
                if record.key == key:
                    paused = _is_paused(record)
            if current and (not told or paused is not before):
                told = True
                yield paused


async def unless_paused(states: AsyncIterator[bool], work: Callable[[], Awaitable[SyncReport]]) -> SyncReport:
    """Return what the work reports, or that the source is paused: then the work is not begun, or is cancelled.

    What was submitted before stays, and the cursor knows of it: resumed, the next pass goes on from there.
    """
    if await anext(states):
        return _paused()
    working = asyncio.ensure_future(work())
    pausing = asyncio.create_task(_until_paused(states))
    try:
        await asyncio.wait({working, pausing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        pausing.result()  # raises where the directory can no longer be read: nobody knows then whether to go on
        return _paused()
    finally:
        for task in (working, pausing):
            task.cancel()
        await asyncio.gather(working, pausing, return_exceptions=True)


def _paused() -> SyncReport:
    SYNCS_ENDED.labels(ending=Ending.PAUSED.value).inc()
    return SyncReport(ending=Ending.PAUSED)


async def _until_paused(states: AsyncIterator[bool]) -> None:
    async for paused in states:
        if paused:
            return


def _is_paused(record: Record) -> bool:
    entry = None if record.value is None else decode(record.value, DirectoryChanged).record
    return isinstance(entry, Source) and entry.paused
