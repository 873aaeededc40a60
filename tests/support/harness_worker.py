"""A tiny stage for the harness's own tests, run as a process: `python -m tests.support.harness_worker`.

It reads rag.feedback.received, and what a comment says decides how its event ends. Each effect is one line in a file.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from schemas.events import FeedbackReceived
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.runner import run
from streams.harness.stage import Failure, Resources, StageSpec


class ProbeStage:
    """Appends `OFFSET QUERY_ID` to a file, or does what the comment asks for first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._effects = (folder / f"effects-{os.getpid()}.txt").open("a", buffering=1)

    async def handle(self, event: FeedbackReceived, delivery: Delivery) -> Outcome:
        await self._act(event.comment or "")
        self._effects.write(f"{delivery.origin.partition} {delivery.origin.offset} {event.query_id}\n")
        if (self._folder / "stall-after-effect").exists():
            await asyncio.Event().wait()
        return Outcome.DONE

    async def _act(self, wish: str) -> None:
        match wish:
            case "poison":
                raise PoisonError("asked to be poison")
            case "kill":
                (self._folder / f"kill-{os.urandom(4).hex()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "fatal":
                raise FatalError("asked to be fatal")
            case "bug":
                raise ZeroDivisionError
            case "outage" if (self._folder / "outage").exists():
                raise RetryableError("asked to be away")
            case "slow":
                await asyncio.sleep(0.2)
            case _:
                await asyncio.sleep(0.001)

    async def give_up(self, event: FeedbackReceived, _delivery: Delivery, failure: Failure) -> None:
        self._effects.write(f"gave-up {event.query_id} {failure.error}\n")


@asynccontextmanager
async def _open(_resources: Resources) -> AsyncIterator[ProbeStage]:
    yield ProbeStage(Path(os.environ["PROBE_FOLDER"]))


PROBE = StageSpec(
    name="probe",
    topics={Topic.FEEDBACK_RECEIVED: FeedbackReceived},
    open=_open,
    limits=lambda settings: Limits(live_keys=8, backfill_keys=4, buffer_bytes=settings.stages.buffer_bytes),
    keyed=frozenset({Topic.FEEDBACK_RECEIVED}),
    dense=frozenset({Topic.FEEDBACK_RECEIVED}) if os.environ.get("PROBE_DENSE") else frozenset(),
)

if __name__ == "__main__":
    configured = Settings()
    configure_logging(configured.telemetry, process="probe")
    sys.exit(run(PROBE, configured))
