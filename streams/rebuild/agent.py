"""Glue of `rebuild-keywords` and `rebuild-vectors`: from the log to one store."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from headwater.settings import Settings
from schemas.events import DocumentChanged
from schemas.topics import Topic
from streams.embed.agent import EMBED, EmbedStage
from streams.harness.dispatcher import Limits
from streams.harness.stage import Resources, Stage, StageSpec
from streams.indexing.stage import IndexStage
from streams.prepare.agent import PREPARE, PrepareStage
from streams.rebuild.stage import RebuildStage

S = TypeVar("S", PrepareStage, EmbedStage, IndexStage)


@asynccontextmanager
async def _open_keywords(resources: Resources) -> AsyncIterator[Stage]:
    from streams.index_keywords.agent import INDEX_KEYWORDS  # each worker loads its own store's client only

    async with AsyncExitStack() as stack:
        yield RebuildStage(
            prepare=await _enter(stack, PREPARE.open(resources), PrepareStage),
            embed=None,
            index=await _enter(stack, INDEX_KEYWORDS.open(resources), IndexStage),
            publisher=resources.publisher,
        )


@asynccontextmanager
async def _open_vectors(resources: Resources) -> AsyncIterator[Stage]:
    from streams.index_vectors.agent import INDEX_VECTORS

    async with AsyncExitStack() as stack:
        yield RebuildStage(
            prepare=await _enter(stack, PREPARE.open(resources), PrepareStage),
            embed=await _enter(stack, EMBED.open(resources), EmbedStage),
            index=await _enter(stack, INDEX_VECTORS.open(resources), IndexStage),
            publisher=resources.publisher,
        )


async def _enter(stack: AsyncExitStack, opening: AbstractAsyncContextManager[Stage], kind: type[S]) -> S:
    stage = await stack.enter_async_context(opening)
    if not isinstance(stage, kind):
        raise TypeError(f"{type(stage).__name__} is opened where {kind.__name__} is needed")
    return stage


def _limits(settings: Settings) -> Limits:
    # Most contents are in the cache and cost a store's round trip: many side by side share a bulk write.
    return Limits(live_keys=16, backfill_keys=16, buffer_bytes=settings.stages.buffer_bytes)


REBUILD_KEYWORDS = StageSpec(
    name="rebuild-keywords",
    topics={Topic.DOCUMENTS_CHANGED: DocumentChanged},
    open=_open_keywords,
    limits=_limits,
    keyed=frozenset({Topic.DOCUMENTS_CHANGED}),
)
REBUILD_VECTORS = StageSpec(
    name="rebuild-vectors",
    topics={Topic.DOCUMENTS_CHANGED: DocumentChanged},
    open=_open_vectors,
    limits=_limits,
    keyed=frozenset({Topic.DOCUMENTS_CHANGED}),
)
