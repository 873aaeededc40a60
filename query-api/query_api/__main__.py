"""`python -m query_api`: one replica of the API, with its management server."""

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from headwater import event_loop
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import FatalError, RetryableError
from headwater.settings import ApiSettings, Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.tracing import configure_tracing
from query_api.app import create_app
from query_api.bootstrap import bootstrap
from query_api.health.probes import watch
from query_api.limits import MAX_HEADER_BYTES
from query_api.models import open_models
from query_api.opening import open_runtime
from query_api.runtime import Runtime

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 30
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
        with _listen(settings.api) as listener, ManagementServer(settings.management, health) as management:
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
    health.ready("bootstrap")


class _Server(uvicorn.Server):
    """Stops serving at a signal. The original then raises it again, which would leave our clients unclosed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _server(runtime: Runtime) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(runtime),
        http="h11",  # bounds the size of headers while they arrive, which httptools does not
        h11_max_incomplete_event_size=2 * MAX_HEADER_BYTES,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the audit trail names who connected, not who was claimed to
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return _Server(config)


def _listen(settings: ApiSettings) -> socket.socket:
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        raise FatalError(
            f"HEADWATER_API__HOST {settings.host}, HEADWATER_API__PORT {settings.port}: cannot listen there "
            f"({error.strerror}); stop what does, or choose another port"
        ) from error
    # asyncio turns Nagle's algorithm off only for sockets that name TCP as their protocol, which those accepted from
    # create_server's do not: a body would wait 40 ms for the acknowledgement of its headers. Connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    sys.exit(main())
