"""The receiver of webhooks as a process: follows the directory, serves, ends in order on a signal."""

import asyncio
from typing import Final

import structlog

from connectors.webhooks.app import create_app
from connectors.webhooks.receiver import Receiver
from connectors.worker.sources import FollowedSources
from connectors.worker.synclog import KafkaSyncLog
from headwater.clients.kafka.producer import EventProducer
from headwater.serving import Server, listen, server_config
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer

log = structlog.get_logger(__name__)

CLIENT: Final = "headwater-webhooks"
_MAX_HEADER_BYTES: Final = 32 * 1024
_GRACE_S: Final = 10  # a delivery takes milliseconds; what still drips in is cut off


async def run_receiver(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises FatalError for what no waiting mends."""
    health, sources = Health(), FollowedSources()
    health.unready("directory", "not read yet")
    with (
        listen(settings.webhooks.host, settings.webhooks.port, group="WEBHOOKS") as listener,
        ManagementServer(settings.management, health) as management,
    ):
        log.info("receiver_started", port=listener.getsockname()[1], kind="public")
        log.info("receiver_started", port=management.port, kind="management")
        async with EventProducer.open(settings, client_id=CLIENT) as producer:
            receiver = Receiver(
                settings=settings,
                sources=sources,
                requests=await KafkaSyncLog.open(settings, producer),
                ready=sources.current.is_set,
            )
            app = create_app(receiver, settings.webhooks)
            server = Server(server_config(app, max_header_bytes=_MAX_HEADER_BYTES, grace_s=_GRACE_S))
            following = asyncio.create_task(sources.follow(settings, producer, health))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await _until_either_ends(serving, following, health)
    log.info("receiver_stopped")


async def _until_either_ends(serving: "asyncio.Task[None]", following: "asyncio.Task[None]", health: Health) -> None:
    """Return when a signal ended the server; raise what ended the directory: without it nobody is believed."""
    tasks = {serving, following}
    try:
        while not (serving.done() or following.done()):
            health.beat()
            await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
