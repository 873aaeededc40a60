"""Opens what an audit of one generation needs, and closes it in reverse order."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headwater.audit.backlog import Backlog
from headwater.audit.log import LogReader
from headwater.audit.passes import Auditor
from headwater.clients.elasticsearch.holdings import DocumentHoldings, KeywordHoldings
from headwater.clients.milvus.holdings import VectorHoldings
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
async def open_auditor(
    settings: Settings, folder: Path, *, on_progress: Callable[[], None] = lambda: None
) -> AsyncIterator[Auditor]:
    """Open an auditor that keeps the log's documents in `folder`, which no other process uses."""
    async with AsyncExitStack() as stack:
        yield Auditor(
            log=await stack.enter_async_context(LogReader.open(settings, folder)),
            projections=await stack.enter_async_context(open_projections(settings)),
            generation=settings.generation,
            settings=settings.audit,
            removal_grace_s=settings.stages.removal_grace_s,
            behind=(await stack.enter_async_context(Backlog.open(settings))).is_old,
            on_progress=on_progress,
        )
