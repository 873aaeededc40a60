"""The step: an event's vectors as one array. Pure."""

import numpy as np
from numpy.typing import NDArray

from headwater.errors import PoisonError
from schemas.events import ChunksEmbedded


class VectorShapeError(PoisonError):
    """Vectors of an event do not fit its chunks or its dimension."""


def vectors_of(batch: ChunksEmbedded) -> NDArray[np.float32]:
    """Return the vectors, shape [chunks, dimension], in the chunks' order. Raises VectorShapeError."""
    size = batch.dimension * 4
    if len(batch.vectors) != len(batch.chunks) or any(len(vector) != size for vector in batch.vectors):
        raise VectorShapeError(
            f"{len(batch.chunks)} chunks come with {len(batch.vectors)} vectors, each should have {size} bytes: "
            "the event was not written by stage embed"
        )
    flat = np.frombuffer(b"".join(batch.vectors), dtype="<f4").astype(np.float32, copy=False)
    return flat.reshape(len(batch.vectors), batch.dimension)
