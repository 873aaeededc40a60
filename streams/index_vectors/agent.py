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
from schemas.events.base import Lane, Store
from schemas.topics import Topic
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.stage import Resources, Stage, StageSpec
from streams.index_vectors.step import VectorShapeError, vectors_of
from streams.indexing.stage import IndexStage

STAGE: Final = "index-vectors"
_ROWS_PER_CALL: Final = 512  # 0.8 MB of vectors and about as much text: well below what one gRPC message takes
_BACKFILL_PATIENCE_S: Final = 0.25  # a call costs much the same with one document or with ten
_Part: TypeAlias = tuple[Sequence[ChunkRow], NDArray[np.float32]]


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    async with MilvusVectorIndex.open(settings.milvus, settings.generation) as index:

        async def write_together(parts: Sequence[_Part]) -> None:
            await index.upsert([row for part, _ in parts for row in part], np.concatenate([each for _, each in parts]))

        writes: Coalescer[_Part] = Coalescer(write_together, max_weight=_ROWS_PER_CALL, patience_s=_BACKFILL_PATIENCE_S)

        async def write(batch: ChunkBatch) -> None:
            if not isinstance(batch, ChunksEmbedded):
                raise VectorShapeError(f"{type(batch).__name__} carries no vectors: this stage reads ChunksEmbedded")
            await writes.add(
                (rows(batch), vectors_of(batch)), weight=len(batch.chunks), patient=batch.lane is Lane.BACKFILL
            )

        try:
            yield IndexStage(
                store=Store.VECTORS,
                name=STAGE,
                index=index,
                write=write,
                publisher=resources.publisher,
                generation=settings.generation,
            )
        finally:
            await writes.close()


INDEX_VECTORS = StageSpec(
    name=STAGE,
    topics={Topic.CHUNKS_EMBEDDED: ChunksEmbedded},
    open=_open,
    limits=lambda settings: Limits(live_keys=16, backfill_keys=64, buffer_bytes=settings.stages.buffer_bytes),
    keyed=frozenset({Topic.CHUNKS_EMBEDDED}),
    dense=frozenset({Topic.CHUNKS_EMBEDDED}),
)
