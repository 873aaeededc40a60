"""The step: which texts need a vector, and how a batch looks with all of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from headwater.ports.models import EmbeddingModel
from schemas.events.chunks import Chunk, ChunkBatch, ChunksEmbedded, ChunksPrepared, embedding_text

STAGE: Final = "embed"
_NAMESPACE = UUID("0d5f4c1e-6b4e-4c0a-8a43-1d6f2c7d9a55")
_VECTOR = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A text without a known vector."""

    text_hash: str
    text: str


def cache_key(model: EmbeddingModel, text_hash: str) -> str:
    """Name a vector: the same text and model, the same vector, for whichever document."""
    return f"vector:{model.key}:{text_hash}"


def missing_texts(batch: ChunksPrepared, known: Mapping[str, bytes]) -> tuple[Missing, ...]:
    """Return each text that must be embedded, once, in the batch's order."""
    wanted = {chunk.text_hash: chunk for chunk in batch.chunks if chunk.text_hash not in known}
    return tuple(
        Missing(text_hash=text_hash, text=embedding_text(batch.content_title, chunk.section, chunk.text))
        for text_hash, chunk in wanted.items()
    )


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """Return a vector as events and caches carry it: little-endian float32."""
    return vector.astype(_VECTOR, copy=False).tobytes()


def is_vector(value: bytes | None, model: EmbeddingModel) -> bool:
    """Say whether a cache entry has the size of this model's vectors."""
    return value is not None and len(value) == model.dimension * _VECTOR.itemsize


def embedded_batch(
    batch: ChunksPrepared,
    vectors: Mapping[str, bytes],
    model: EmbeddingModel,
    *,
    computed: int,
    embedded_at: datetime,
) -> ChunksEmbedded:
    """Return the batch with one vector a chunk. `vectors` holds all of its texts."""
    return replace(
        _carried(batch, model, embedded_at=embedded_at),
        chunks=batch.chunks,
        vectors=tuple(vectors[chunk.text_hash] for chunk in batch.chunks),
        embedded=computed,
        reused=_distinct(batch.chunks) - computed,
    )


def carried_batch(batch: ChunksPrepared, model: EmbeddingModel, *, embedded_at: datetime) -> ChunksEmbedded:
    """Return a deletion, a failure or an empty document as it came: only the type changes."""
    return _carried(batch, model, embedded_at=embedded_at)


def failed_batch(
    batch: ChunksPrepared, model: EmbeddingModel, *, error: str, reason: str, embedded_at: datetime
) -> ChunksEmbedded:
    """Return the batch without chunks, saying why its revision has no vectors."""
    return replace(
        _carried(batch, model, embedded_at=embedded_at), failed_stage=STAGE, failed_error=error, failed_reason=reason
    )


def _carried(batch: ChunksPrepared, model: EmbeddingModel, *, embedded_at: datetime) -> ChunksEmbedded:
    same = {field.name: getattr(batch, field.name) for field in fields(ChunkBatch)}
    return ChunksEmbedded(
        **same
        | {
            "event_id": uuid5(_NAMESPACE, str(batch.event_id)),
            "trail": replace(batch.trail, embedded_at=embedded_at, model=model.key),
            "chunks": (),
        },
        vectors=(),
        dimension=model.dimension,
        embedded=0,
        reused=0,
    )


def _distinct(chunks: Sequence[Chunk]) -> int:
    return len({chunk.text_hash for chunk in chunks})
