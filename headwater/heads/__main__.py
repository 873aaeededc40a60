"""`python -m headwater.heads`: the follower process of a host."""

import asyncio
import signal
import sys

import structlog

from headwater import event_loop
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import FatalError
from headwater.heads.environment import WritableEnvironment
from headwater.heads.follower import Follower
from headwater.heads.replica import LAYOUT, replica_folder
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.tracing import configure_tracing

log = structlog.get_logger(__name__)


def main() -> int:
    """Follow the log until SIGTERM or SIGINT; 1 with one clear sentence after a fatal error."""
    settings = Settings()
    configure_logging(settings.telemetry, process="heads")
    configure_tracing(settings.telemetry, process="heads")
    configure_codec(settings.kafka)
    health = Health()
    health.unready("log", "not caught up with the log")
    try:
        with (
            WritableEnvironment(
                replica_folder(settings.heads), map_size_bytes=settings.heads.map_size_bytes, layout=LAYOUT
            ) as environment,
            ManagementServer(settings.management, health) as server,
        ):
            log.info("heads_started", port=server.port)
            event_loop.run(_follow(Follower(settings, environment, health)))
    except FatalError as error:
        log.error("heads_failed", exc_info=error)  # noqa: TRY400 - one sentence is wanted, not a traceback
        return 1
    log.info("heads_stopped")
    return 0


async def _follow(follower: Follower) -> None:
    following = asyncio.create_task(follower.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, following.cancel)
    await asyncio.gather(following, return_exceptions=True)
    if not following.cancelled():
        following.result()


if __name__ == "__main__":
    sys.exit(main())
