"""The receiver of webhooks as a process: follows the directory, serves, reads what buckets tell, ends on a signal."""

import asyncio
from typing import Final

import structlog

from connectors.webhooks.app import create_app
from connectors.webhooks.events import BucketEvents
from connectors.webhooks.receiver import Receiver
from connectors.worker.sources import FollowedSources
from connectors.worker.synclog import KafkaSyncLog
from headwater.clients.kafka.config import group_of
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.producer import EventProducer
from headwater.serving import Server, listen, server_config
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from schemas.ids import TenantId

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
            requests = await KafkaSyncLog.open(settings, producer)
            receiver = Receiver(settings=settings, sources=sources, requests=requests, ready=sources.current.is_set)
            app = create_app(receiver, settings.webhooks)
            server = Server(server_config(app, max_header_bytes=_MAX_HEADER_BYTES, grace_s=_GRACE_S))
            following = asyncio.create_task(sources.follow(settings, producer, health))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            tasks = {serving, following}
            if settings.webhooks.event_topics:
                tasks.add(asyncio.create_task(_read_events(settings, producer, sources, requests, health)))
            await _until_one_ends(tasks, health)
    log.info("receiver_stopped")


async def _read_events(
    settings: Settings, producer: EventProducer, sources: FollowedSources, requests: KafkaSyncLog, health: Health
) -> None:
    """Read the topics of buckets until cancelled. Raises TopicMissingError for one that is not there."""
    tenants = {topic: TenantId(tenant) for topic, tenant in settings.webhooks.event_topics.items()}
    for topic in tenants:
        await producer.partition_count(topic)
    await sources.current.wait()
    group = group_of(settings, "bucket-events")
    async with RecordStream.subscribe(settings.kafka, list(tenants), group=group, client_id=CLIENT) as stream:
        await BucketEvents(stream=stream, tenants=tenants, sources=sources, requests=requests, health=health).run()


async def _until_one_ends(tasks: "set[asyncio.Task[None]]", health: Health) -> None:
    """Return when a signal ended the server; raise what ended the others: without the directory nobody is believed."""
    try:
        while not any(task.done() for task in tasks):
            health.beat()
            await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
