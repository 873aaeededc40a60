"""A process without the harness ends as it is told to, and tells why where it was not."""

import asyncio
import signal

import pytest

from headwater.errors import FatalError
from headwater.settings import ManagementSettings, Settings
from headwater.telemetry.management import Health
from streams.background import run_until_stopped

SETTINGS = Settings(management=ManagementSettings(port=0))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_work_cleanly(number: signal.Signals) -> None:
    ended: list[str] = []

    async def work(_: Settings, health: Health) -> None:
        health.ready("partitions")
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with asyncio.timeout(10):
        await run_until_stopped(work, SETTINGS, stage="sweep")
    assert ended == ["cancelled"]


async def test_what_ends_the_work_is_raised() -> None:
    async def work(_: Settings, health: Health) -> None:
        raise FatalError("no index")

    with pytest.raises(FatalError, match="no index"):
        await run_until_stopped(work, SETTINGS, stage="sweep")
