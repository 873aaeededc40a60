"""What a process that runs no stage of the harness has around its work: health, signals, a clean end."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

import structlog

from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer

log = structlog.get_logger(__name__)


async def run_until_stopped(
    work: Callable[[Settings, Health], Coroutine[None, None, None]], settings: Settings, *, stage: str
) -> None:
    """Run `work` until SIGTERM or SIGINT cancels it; raise what ends it otherwise.

    It answers for its health under its own names, and is not ready before it names the first.
    """
    health = Health()
    working = asyncio.create_task(work(settings, health))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    with ManagementServer(settings.management, health) as server:
        log.info("stage_started", stage=stage, generation=settings.generation, port=server.port)
        await asyncio.gather(working, return_exceptions=True)
    if not working.cancelled():
        working.result()
    log.info("stage_stopped", stage=stage)
