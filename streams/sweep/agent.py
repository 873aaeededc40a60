"""The sweeper's process: opens both stores and the reports of a generation, and sweeps until it is told to stop."""

from headwater import event_loop
from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.milvus import MilvusVectorIndex
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.events.base import Store
from schemas.topics import Topic
from streams.background import run_until_stopped
from streams.sweep.step import Backlog
from streams.sweep.worker import STAGE, Sweeper


def run(settings: Settings) -> None:
    """Sweep until SIGTERM or SIGINT. Raises FatalError with one clear sentence when no removal can succeed.

    Stopping loses nothing: what was not committed is read, and removed, again.
    """
    event_loop.run(run_until_stopped(sweep, settings, stage=STAGE))


async def sweep(settings: Settings, health: Health) -> None:
    """Sweep until cancelled."""
    health.unready("partitions", "not assigned yet")
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
