"""Opens what an audit of one generation needs, and closes it in reverse order."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headwater.audit.backlog import Backlog, is_unfinished
from headwater.audit.log import CLIENT_ID, LogReader
from headwater.audit.passes import Auditor
from headwater.audit.recording import Verification
from headwater.audit.repairing import Repairer
from headwater.audit.sending import Sender
from headwater.clients.elasticsearch.consistency import ElasticsearchConsistency
from headwater.clients.elasticsearch.holdings import DocumentHoldings, KeywordHoldings
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.milvus.holdings import VectorHoldings
from headwater.generations.directory import own_generation
from headwater.ports.consistency import Holdings, Projection
from headwater.settings import Settings


@asynccontextmanager
async def open_projections(settings: Settings) -> AsyncIterator[Mapping[Projection, Holdings]]:
    """Open the projections of the settings' generation. No first call is made."""
    async with (
        VectorHoldings.open(settings.milvus, settings.generation) as vectors,
        KeywordHoldings.open(settings.elasticsearch, settings.generation) as keywords,
        DocumentHoldings.open(settings.elasticsearch) as documents,
    ):
        yield {
            Projection.VECTORS: vectors,
            Projection.KEYWORDS: keywords,
            Projection.DOCUMENTS: documents,
        }


@asynccontextmanager
async def open_verification(settings: Settings, folder: Path) -> AsyncIterator[Verification]:
    """Open an audit that keeps the log's documents in `folder`, which no other process uses."""

    async def rebuilding() -> Collection[Projection]:
        return {Projection(store) for store in (await own_generation(settings)).rebuilding}

    async with AsyncExitStack() as stack:
        projections = await stack.enter_async_context(open_projections(settings))
        backlog = await stack.enter_async_context(Backlog.open(settings))

        async def behind() -> bool:
            return is_unfinished(await own_generation(settings)) or await backlog.is_old()

        send = Sender(await stack.enter_async_context(EventProducer.open(settings, client_id=CLIENT_ID))).send
        yield Verification(
            auditor=Auditor(
                log=await stack.enter_async_context(LogReader.open(settings, folder)),
                projections=projections,
                generation=settings.generation,
                settings=settings.audit,
                removal_grace_s=settings.stages.removal_grace_s,
                rebuilding=rebuilding,
                behind=behind,
            ),
            repairer=Repairer(projections=projections, send=send, settings=settings.audit),
            kept=await stack.enter_async_context(ElasticsearchConsistency.open(settings.elasticsearch)),
            send=send,
        )
