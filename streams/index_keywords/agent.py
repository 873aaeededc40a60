"""Glue of stage `index-keywords`: Elasticsearch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.ports.rows import ChunkRow
from headwater.rows import rows
from schemas.events import ChunksPrepared
from schemas.events.base import Store
from schemas.topics import Topic
from streams.harness.stage import Resources, Stage
from streams.indexing.opening import SharedWrites, index_spec, index_stage

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

        writes = SharedWrites(
            part_of=rows,
            write_together=write_together,
            rows_per_call=_ROWS_PER_BULK,
            patience_s=_BACKFILL_PATIENCE_S,
        )
        async with index_stage(resources, name=STAGE, store=Store.KEYWORDS, index=index, writes=writes) as stage:
            yield stage


INDEX_KEYWORDS = index_spec(STAGE, topic=Topic.CHUNKS_PREPARED, event=ChunksPrepared, opened=_open)
