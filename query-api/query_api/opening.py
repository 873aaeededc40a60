"""Opens everything that the API holds, once, and closes it in reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.elasticsearch.consistency import ElasticsearchConsistency
from headwater.clients.elasticsearch.freshness import ElasticsearchFreshness
from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.originals import KafkaOriginals
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.quarantine import KafkaQuarantine
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.clients.kafka.syncs import KafkaSyncStates
from headwater.clients.redis_cache import RedisCache
from headwater.heads.view import LmdbHeads
from headwater.heads.waiting import AppliedPositions
from headwater.local.backlogs import KafkaBacklogs
from headwater.settings import Settings
from query_api.credentials import load_server_secret
from query_api.event_log import KafkaEventSink
from query_api.freshness.lags import KafkaLags
from query_api.generations import OpenedGenerations
from query_api.runtime import Models, Runtime


@asynccontextmanager
async def open_runtime(settings: Settings, models: Models) -> AsyncIterator[Runtime]:
    """Open every client once. What is away now may come later: no first call is made, but for the models' own check."""
    async with AsyncExitStack() as stack:
        heads = LmdbHeads(settings)
        stack.callback(heads.close)
        producer = await stack.enter_async_context(EventProducer.open(settings, client_id="headwater-api"))
        admin = KafkaAdmin(settings.kafka, client_id="headwater-api")
        yield Runtime(
            settings=settings,
            secret=load_server_secret(settings.api.secret_file),
            heads=heads,
            directory=heads,
            applied=AppliedPositions(settings, admin, heads),
            events=KafkaEventSink(producer),
            blobs=ObjectBlobStore(settings.blobs),
            cache=await stack.enter_async_context(RedisCache.open(settings.redis)),
            documents=await stack.enter_async_context(ElasticsearchDocuments.open(settings.elasticsearch)),
            originals=KafkaOriginals(settings.kafka),
            backlogs=KafkaBacklogs(settings, admin),
            freshness=await stack.enter_async_context(ElasticsearchFreshness.open(settings.elasticsearch)),
            lags=await stack.enter_async_context(KafkaLags.open(settings)),
            consistency=await stack.enter_async_context(ElasticsearchConsistency.open(settings.elasticsearch)),
            syncs=KafkaSyncStates(settings, admin),
            quarantine=KafkaQuarantine(settings, admin),
            history=KafkaSourceLog(settings, settle_wait_s=0),
            generations=await stack.enter_async_context(OpenedGenerations.open(settings)),
            models=models,
        )
