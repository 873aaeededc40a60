"""The sweeper's process: opens both stores and the reports of a generation, and sweeps until it is told to stop."""

import asyncio
import signal

import structlog

from headwater import event_loop
from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.milvus import MilvusVectorIndex
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from schemas.events.base import Store
from schemas.topics import Topic
from streams.sweep.step import Backlog
from streams.sweep.worker import STAGE, Sweeper

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Sweep until SIGTERM or SIGINT. Raises FatalError with one clear sentence when no removal can succeed.

    Stopping loses nothing: what was not committed is read, and removed, again.
    """
    event_loop.run(_until_stopped(settings))


async def _until_stopped(settings: Settings) -> None:
    health = Health()
    health.unready("partitions", "not assigned yet")
    sweeping = asyncio.create_task(sweep(settings, health))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, sweeping.cancel)
    with ManagementServer(settings.management, health) as server:
        log.info("stage_started", stage=STAGE, generation=settings.generation, port=server.port)
        await asyncio.gather(sweeping, return_exceptions=True)
    if not sweeping.cancelled():
        sweeping.result()
    log.info("stage_stopped", stage=STAGE)


async def sweep(settings: Settings, health: Health) -> None:
    """Sweep until cancelled."""
    generation = settings.generation
    group = group_of(settings, STAGE, generation=generation)
    async with (
        MilvusVectorIndex.open(settings.milvus, generation) as vectors,
        ElasticsearchKeywordIndex.open(settings.elasticsearch, generation) as keywords,
        RecordStream.subscribe(
            settings.kafka, [topic_of(settings, Topic.DOCUMENTS_PROGRESSED)], group=group, client_id=group
        ) as reports,
    ):
        await Sweeper(
            reports=reports,
            indices={Store.VECTORS: vectors, Store.KEYWORDS: keywords},
            generation=generation,
            backlog=Backlog(grace_ms=round(settings.stages.removal_grace_s * 1_000)),
            health=health,
        ).run()
