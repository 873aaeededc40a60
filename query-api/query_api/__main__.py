"""`python -m query_api`: one replica of the API, with its management server."""

import asyncio
import socket
import sys

import structlog

from headwater import event_loop
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import FatalError, RetryableError
from headwater.serving import Server, listen, server_config
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.tracing import configure_tracing
from query_api.app import create_app
from query_api.bootstrap import bootstrap
from query_api.health.probes import watch
from query_api.limits import MAX_HEADER_BYTES
from query_api.models import check_embedder, open_models
from query_api.opening import open_runtime
from query_api.runtime import Runtime

log = structlog.get_logger(__name__)

# A request has its own deadline; what is still streaming after that is cut off.
GRACE_S = 35


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 with one clear sentence after a fatal error."""
    settings = Settings()
    configure_logging(settings.telemetry, process="api")
    configure_tracing(settings.telemetry, process="api")
    configure_codec(settings.kafka)
    health = Health()
    for dependency in ("bootstrap", "kafka", "log", "stores"):
        health.unready(dependency, "not looked at yet")
    try:
        with (
            listen(settings.api.host, settings.api.port, group="API") as listener,
            ManagementServer(settings.management, health) as management,
        ):
            log.info("api_started", port=listener.getsockname()[1], kind="public")
            log.info("api_started", port=management.port, kind="management")
            event_loop.run(_run(settings, health, listener))
    except (FatalError, RetryableError) as error:
        log.error("api_failed", exc_info=error)  # noqa: TRY400 - one sentence is wanted, not a traceback
        return 1
    log.info("api_stopped")
    return 0


async def _run(settings: Settings, health: Health, listener: socket.socket) -> None:
    async with open_models(settings) as models, open_runtime(settings, models) as runtime:
        admin = KafkaAdmin(settings.kafka, client_id="headwater-api-probe")
        tasks = [
            asyncio.create_task(_server(runtime).serve(sockets=[listener])),  # ends after a signal and the last request
            asyncio.create_task(watch(runtime, health, broker=admin.topic_names)),
            asyncio.create_task(_bootstrap(runtime, health)),
        ]
        try:
            await _first_end(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _first_end(tasks: list[asyncio.Task[None]]) -> None:
    """Return when the server has ended; raise what ended any of them before its time."""
    pending: set[asyncio.Task[None]] = set(tasks)
    while tasks[0] in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _bootstrap(runtime: Runtime, health: Health) -> None:
    await bootstrap(runtime)
    await check_embedder(runtime)
    health.ready("bootstrap")


def _server(runtime: Runtime) -> Server:
    return Server(server_config(create_app(runtime), max_header_bytes=MAX_HEADER_BYTES, grace_s=GRACE_S))


if __name__ == "__main__":
    sys.exit(main())
