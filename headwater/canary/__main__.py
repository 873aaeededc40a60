"""`python -m headwater.canary`: one for an installation."""

import asyncio
import signal
import sys

import structlog

from headwater.canary.api import ApiCaller, open_http
from headwater.canary.documents import probes
from headwater.canary.home import settle_in
from headwater.canary.rounds import Rounds, show_at_zero
from headwater.errors import FatalError, RetryableError
from headwater.freshness.objectives import targets
from headwater.retry import RetryPolicy, retry
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.tracing import configure_tracing
from schemas.ids import TenantId

log = structlog.get_logger(__name__)

_BEAT_S = 1.0
# An API that starts, or a log that does: after some minutes the supervisor tries anew, and says so.
_SETTLING_IN = RetryPolicy(attempts=60, first_delay_s=0.5, max_delay_s=5.0, budget_s=180.0)


def main() -> int:
    """Go round until SIGTERM or SIGINT; 1 with one clear sentence after a fatal error."""
    settings = Settings()
    configure_logging(settings.telemetry, process="canary")
    configure_tracing(settings.telemetry, process="canary")
    health = Health()
    health.unready("home", "no tenant and no keys yet")
    try:
        with ManagementServer(settings.management, health) as server:
            log.info("canary_started", port=server.port)
            asyncio.run(_until_stopped(settings, health))
    except (FatalError, RetryableError) as error:
        log.error("canary_failed", exc_info=error)  # noqa: TRY400 - one sentence is wanted, not a traceback
        return 1
    log.info("canary_stopped")
    return 0


async def _until_stopped(settings: Settings, health: Health) -> None:
    going = asyncio.create_task(_go(settings, health))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, going.cancel)
    while not going.done():
        health.beat()
        await asyncio.wait({going}, timeout=_BEAT_S)
    if not going.cancelled():
        going.result()


async def _go(settings: Settings, health: Health) -> None:
    each = probes(TenantId(settings.canary.tenant), settings.kafka.partitions)
    show_at_zero(each)
    async with open_http(settings) as http:
        keys = await retry(lambda: settle_in(http, settings), policy=_SETTLING_IN)
        health.ready("home")
        rounds = Rounds(
            caller=ApiCaller(http=http, keys=keys),
            settings=settings.canary,
            targets=dict(targets(settings.freshness)),
        )
        await asyncio.gather(*(rounds.go(probe, of=len(each)) for probe in each))


if __name__ == "__main__":
    sys.exit(main())
