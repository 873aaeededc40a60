"""Glue of stage `index-keywords`: Elasticsearch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.ports.rows import ChunkRow
from headwater.rows import rows
from schemas.events import ChunkBatch, ChunksPrepared
from schemas.events.base import Lane, Store
from schemas.topics import Topic
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.stage import Resources, Stage, StageSpec
from streams.indexing.stage import IndexStage

STAGE: Final = "index-keywords"
# A bulk request with its refresh costs 23 ms, whether it carries one document or twenty: they share.
_ROWS_PER_BULK: Final = 1_000
# Each refresh makes a segment, and segments are merged: half a second's rows cost little more than those of 30 ms.
_BACKFILL_PATIENCE_S: Final = 0.5


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    async with ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation) as index:

        async def write_together(batches: Sequence[Sequence[ChunkRow]]) -> None:
            await index.upsert([row for batch in batches for row in batch])

        writes: Coalescer[Sequence[ChunkRow]] = Coalescer(
            write_together, max_weight=_ROWS_PER_BULK, patience_s=_BACKFILL_PATIENCE_S
        )

        async def write(batch: ChunkBatch) -> None:
            await writes.add(rows(batch), weight=len(batch.chunks), patient=batch.lane is Lane.BACKFILL)

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
    limits=lambda settings: Limits(live_keys=16, backfill_keys=64, buffer_bytes=settings.stages.buffer_bytes),
    keyed=frozenset({Topic.CHUNKS_PREPARED}),
    dense=frozenset({Topic.CHUNKS_PREPARED}),
)
