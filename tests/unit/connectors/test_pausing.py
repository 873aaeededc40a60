"""A paused source's work is not begun, or is cancelled."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.endings import Ending, SyncReport
from connectors.pausing import unless_paused
from headwater.errors import FatalError

DONE = SyncReport(ending=Ending.COMPLETED, upserted=3)


class Switch:
    """What the directory says, by hand; `begun` and `cancelled` are what became of the work."""

    def __init__(self, *, paused: bool) -> None:
        self._states: asyncio.Queue[bool | Exception] = asyncio.Queue()
        self.say(paused)
        self.may_end, self.begun = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    def say(self, state: bool | Exception) -> None:
        self._states.put_nowait(state)

    async def states(self) -> AsyncIterator[bool]:
        while True:
            state = await self._states.get()
            if isinstance(state, Exception):
                raise state
            yield state

    async def work(self) -> SyncReport:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return DONE


async def test_a_paused_source_is_not_begun_with() -> None:
    switch = Switch(paused=True)
    report = await unless_paused(switch.states(), switch.work)
    assert (report.ending, switch.begun.is_set()) == (Ending.PAUSED, False)
    assert "paused: false" in report.message


async def test_a_source_that_is_not_paused_is_read_to_its_end() -> None:
    switch = Switch(paused=False)
    switch.say(False)  # another change of the record
    switch.may_end.set()
    assert await unless_paused(switch.states(), switch.work) == DONE


async def test_a_pause_ends_what_runs() -> None:
    switch = Switch(paused=False)
    running = asyncio.create_task(unless_paused(switch.states(), switch.work))
    await switch.begun.wait()
    switch.say(True)
    report = await running
    assert (report.ending, switch.cancelled) == (Ending.PAUSED, True)


async def test_what_the_work_raises_comes_through() -> None:
    async def fail() -> SyncReport:
        raise FatalError("no")

    with pytest.raises(FatalError):
        await unless_paused(Switch(paused=False).states(), fail)


async def test_a_directory_that_cannot_be_read_ends_the_work() -> None:
    switch = Switch(paused=False)
    switch.say(FatalError("credentials"))
    with pytest.raises(FatalError, match="credentials"):
        await unless_paused(switch.states(), switch.work)
    assert switch.cancelled


async def test_stopping_stops_the_work_too() -> None:
    switch = Switch(paused=False)
    running = asyncio.create_task(unless_paused(switch.states(), switch.work))
    await switch.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert switch.cancelled
