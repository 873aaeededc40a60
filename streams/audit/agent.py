"""The auditor's process: the least urgent of all, so it yields to everything else on its machine."""

import asyncio
import os
import time
from typing import Final

from headwater import event_loop
from headwater.settings import Settings
from headwater.telemetry.management import Health
from streams.audit.worker import STAGE, Worker
from streams.background import run_until_stopped

_NICE: Final = 10
_TICK_S: Final = 1.0


def run(settings: Settings) -> None:
    """Audit until SIGTERM or SIGINT. Raises FatalError with one clear sentence when no pass can succeed.

    Stopping loses nothing: the next start reads the log again and begins with a pass.
    """
    os.nice(_NICE)
    event_loop.run(run_until_stopped(audit, settings, stage=STAGE))


async def audit(settings: Settings, health: Health) -> None:
    """Audit until cancelled. Ready at once: nobody needs a pass to have ended before they can work."""
    health.ready("pass")
    await _let_others_start(settings.audit.delay_s, health)
    # Imported now, not above: both stores' clients take seconds of CPU that starting processes want.
    from headwater.audit.opening import open_verification

    folder = settings.heads.folder / f"audit-{settings.generation}"
    async with open_verification(settings, folder) as verification:
        await Worker(
            verification=verification,
            health=health,
            interval_s=settings.audit.interval_s,
            repair=settings.audit.repair,
        ).run()


async def _let_others_start(delay_s: float, health: Health) -> None:
    ends = time.monotonic() + delay_s
    while (left_s := ends - time.monotonic()) > 0:
        health.beat()
        await asyncio.sleep(min(left_s, _TICK_S))
