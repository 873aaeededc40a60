"""Glue of stage `index-keywords`: Elasticsearch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.ports.rows import ChunkRow
from headwater.rows import rows
from schemas.events import ChunkBatch, ChunksPrepared
from schemas.events.base import Store
from schemas.topics import Topic
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.stage import Resources, Stage, StageSpec
from streams.indexing.stage import IndexStage

STAGE: Final = "index-keywords"
# A bulk request with its refresh costs 23 ms, whether it carries one document or twenty: they share.
_ROWS_PER_BULK: Final = 1_000


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    async with ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation) as index:

        async def write_together(batches: Sequence[Sequence[ChunkRow]]) -> None:
            await index.upsert([row for batch in batches for row in batch])

        writes: Coalescer[Sequence[ChunkRow]] = Coalescer(write_together, max_weight=_ROWS_PER_BULK)

        async def write(batch: ChunkBatch) -> None:
            await writes.add(rows(batch), weight=len(batch.chunks))

        try:
            yield IndexStage(
                store=Store.KEYWORDS,
                name=STAGE,
                index=index,
                write=write,
                publisher=resources.publisher,
                generation=settings.generation,
            )
        finally:
            await writes.close()


INDEX_KEYWORDS = StageSpec(
    name=STAGE,
    topics={Topic.CHUNKS_PREPARED: ChunksPrepared},
    open=_open,
    limits=lambda settings: Limits(live_keys=16, backfill_keys=16, buffer_bytes=settings.stages.buffer_bytes),
    keyed=frozenset({Topic.CHUNKS_PREPARED}),
    dense=frozenset({Topic.CHUNKS_PREPARED}),
)
