"""The connector worker as a process: opens everything, follows the directory, ends in order on a signal."""

import asyncio
import signal
from contextlib import suppress
from typing import Final

import structlog

from connectors.registry import connect
from connectors.worker.jobs import ConnectorJobs
from connectors.worker.ports import Key
from connectors.worker.sources import FollowedSources
from connectors.worker.synclog import KafkaSyncLog
from connectors.worker.worker import Worker
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.egress.client import open_egress
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.producer import EventProducer
from headwater.errors import FatalError
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from schemas.topics import Topic

log = structlog.get_logger(__name__)

CLIENT: Final = "headwater-connectors"


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises FatalError for what no waiting mends."""
    health, stopping, sources = Health(), asyncio.Event(), FollowedSources()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    health.unready("directory", "not read yet")
    health.unready("kafka", "not in the group yet")
    with ManagementServer(settings.management, health) as management:
        log.info("worker_starting", port=management.port)
        async with EventProducer.open(settings, client_id=CLIENT) as producer:
            following = asyncio.create_task(sources.follow(settings, producer, health))
            try:
                if await _until(sources.current, following, stopping, health):
                    working = asyncio.create_task(_work(settings, producer, sources, health, stopping))
                    await asyncio.wait({working, following}, return_when=asyncio.FIRST_COMPLETED)
                    stopping.set()
                    await working
                if following.done():
                    await following  # raises: without the directory nobody knows which sources there are
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following


async def _until(
    current: asyncio.Event, following: "asyncio.Task[None]", stopping: asyncio.Event, health: Health
) -> bool:
    """Return whether the directory has been read; otherwise it cannot be, or nobody wants it any more."""
    while not current.is_set() and not following.done() and not stopping.is_set():
        health.beat()
        reading = asyncio.create_task(current.wait())
        await asyncio.wait({reading, following}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
    return current.is_set() and not stopping.is_set()


async def _work(
    settings: Settings, producer: EventProducer, sources: FollowedSources, health: Health, stopping: asyncio.Event
) -> None:
    syncs = await KafkaSyncLog.open(settings, producer)
    blobs = ObjectBlobStore(settings.blobs)
    topic = topic_of(settings, Topic.SYNCS_REQUESTED)
    group = group_of(settings, "connectors")
    async with (
        RecordStream.subscribe(settings.kafka, [topic], group=group, client_id=CLIENT) as requests,
        open_egress(settings.egress) as egress,
    ):
        jobs = ConnectorJobs(settings=settings, producer=producer, blobs=blobs, egress=egress)
        worker = Worker(settings=settings, requests=requests, syncs=syncs, sources=sources, jobs=jobs, health=health)
        await worker.run(stopping)


async def check_source(settings: Settings, key: Key) -> str:
    """Return that a source of the directory can be read from here; raise the error that says why it cannot."""
    sources = FollowedSources()
    async with EventProducer.open(settings, client_id=CLIENT) as producer:
        following = asyncio.create_task(sources.follow(settings, producer, Health()))
        try:
            await _until(sources.current, following, asyncio.Event(), Health())
            if following.done():
                await following
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    source = sources.get(key)
    if source is None:
        raise FatalError(f"source {key[1]}: the directory of {key[0]} has none; `headwater sources add` makes it")
    async with open_egress(settings.egress) as egress:
        await connect(key, source, settings.connectors, egress).connector.check()
    return f"{key[1]}: settings, credentials and rights are in order."
