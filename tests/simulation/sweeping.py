"""The sweeper's process: the real `Sweeper` on simulated stores and reports."""

from headwater.clients.kafka.config import group_of, topic_of
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.events.base import Store
from schemas.topics import Topic
from streams.sweep.step import Backlog
from streams.sweep.worker import STAGE, Sweeper
from tests.simulation.kafka_clients import SimRecordStream
from tests.simulation.process import WORLD
from tests.simulation.stores import SimKeywordIndex, SimVectorIndex


async def sweep(settings: Settings) -> None:
    """Sweep until killed."""
    world = WORLD.get()
    build = world.builds[settings.generation]
    group = group_of(settings, STAGE, generation=settings.generation)
    topics = [topic_of(settings, Topic.DOCUMENTS_PROGRESSED)]
    async with SimRecordStream.subscribe(settings.kafka, topics, group=group, client_id=group) as reports:
        await Sweeper(
            reports=reports,
            indices={
                Store.VECTORS: SimVectorIndex(world.service("milvus"), build.vectors),
                Store.KEYWORDS: SimKeywordIndex(world.service("elasticsearch"), build.keywords),
            },
            generation=settings.generation,
            backlog=Backlog(grace_ms=round(settings.stages.removal_grace_s * 1_000)),
            health=Health(),
            now_ms=lambda: int(world.loop.time() * 1_000),
        ).run()
