"""The auditor's process: the least urgent of all, so it yields to everything else on its machine."""

import asyncio
import os
import signal
from typing import Final

import structlog

from headwater.audit.opening import open_verification
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from streams.audit.worker import STAGE, Worker

log = structlog.get_logger(__name__)

_NICE: Final = 10


def run(settings: Settings) -> None:
    """Audit until SIGTERM or SIGINT. Raises FatalError with one clear sentence when no pass can succeed.

    Stopping loses nothing: the next start reads the log again and begins with a pass.
    """
    os.nice(_NICE)
    asyncio.run(_until_stopped(settings))


async def _until_stopped(settings: Settings) -> None:
    health = Health()
    auditing = asyncio.create_task(audit(settings, health))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, auditing.cancel)
    with ManagementServer(settings.management, health) as server:
        log.info("stage_started", stage=STAGE, generation=settings.generation, port=server.port)
        await asyncio.gather(auditing, return_exceptions=True)
    if not auditing.cancelled():
        auditing.result()
    log.info("stage_stopped", stage=STAGE)


async def audit(settings: Settings, health: Health) -> None:
    """Audit until cancelled."""
    folder = settings.heads.folder / f"audit-{settings.generation}"
    async with open_verification(settings, folder) as verification:
        await Worker(
            verification=verification,
            health=health,
            interval_s=settings.audit.interval_s,
            repair=settings.audit.repair,
        ).run()
