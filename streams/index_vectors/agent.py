"""Glue of stage `index-vectors`: Milvus."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headwater.clients.milvus.index import MilvusVectorIndex
from headwater.ports.rows import ChunkRow
from headwater.rows import rows
from schemas.events import ChunkBatch, ChunksEmbedded
from schemas.events.base import Store
from schemas.topics import Topic
from streams.harness.stage import Resources, Stage
from streams.index_vectors.step import VectorShapeError, vectors_of
from streams.indexing.opening import SharedWrites, index_spec, index_stage

STAGE: Final = "index-vectors"
_ROWS_PER_CALL: Final = 512  # 0.8 MB of vectors and about as much text: well below what one gRPC message takes
_BACKFILL_PATIENCE_S: Final = 0.5  # a call costs much the same with one document or with ten
_Part: TypeAlias = tuple[Sequence[ChunkRow], NDArray[np.float32]]


def _part_of(batch: ChunkBatch) -> _Part:
    if not isinstance(batch, ChunksEmbedded):
        raise VectorShapeError(f"{type(batch).__name__} carries no vectors: this stage reads ChunksEmbedded")
    return rows(batch), vectors_of(batch)


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    async with MilvusVectorIndex.open(settings.milvus, settings.generation) as index:

        async def write_together(parts: Sequence[_Part]) -> None:
            await index.upsert([row for part, _ in parts for row in part], np.concatenate([each for _, each in parts]))

        writes = SharedWrites(
            part_of=_part_of,
            write_together=write_together,
            rows_per_call=_ROWS_PER_CALL,
            patience_s=_BACKFILL_PATIENCE_S,
        )
        async with index_stage(resources, name=STAGE, store=Store.VECTORS, index=index, writes=writes) as stage:
            yield stage


INDEX_VECTORS = index_spec(STAGE, topic=Topic.CHUNKS_EMBEDDED, event=ChunksEmbedded, opened=_open)
