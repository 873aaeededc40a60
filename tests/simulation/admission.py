"""One admission worker: the real process, from `_admit` on, as blocking code that takes turns with the loop."""

import asyncio

from headwater.settings import Settings
from headwater.telemetry.management import Health
from streams.admit.agent import admit_until_stopped
from tests.simulation.process import CURRENT, Blocking, ask


class _NeverStopped:
    """Stands for the event that a signal sets."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> bool:
        ask(lambda: asyncio.sleep(timeout))
        return False


async def admit(settings: Settings, slot: int, disk: int) -> None:
    """Admit until killed. Raises what made it end."""
    process = CURRENT.get()
    own = settings.model_copy(
        update={
            "stages": settings.stages.model_copy(update={"slot": slot}),
            "heads": settings.heads.model_copy(update={"folder": settings.heads.folder / f"disk-{disk}"}),
        }
    )
    await Blocking(process).run(lambda: admit_until_stopped(own, Health(), _NeverStopped()))
