"""A question's vector, also of a question longer than the model takes."""

from typing import Final

import numpy as np

from headwater.errors import PoisonError
from headwater.ports.models import Embedder
from headwater.ports.rows import Vector
from schemas.events.base import Lane

# A text this short is never too long, whatever its script: it was refused for another reason.
_SHORT: Final = 64


async def query_vector(embedder: Embedder, query: str) -> Vector:
    """Return the query's vector; for a long one the mean of its parts' vectors, of unit length again.

    The model refuses what it would have to cut off. A passage is cut before it comes to the model; a question is asked
    as one, so its parts must count alike. Only a long one costs more than one call. Raises as the embedder does.
    """
    try:
        [vector] = await embedder.embed([query], lane=Lane.LIVE)
    except PoisonError:
        if len(query) <= _SHORT:
            raise
    else:
        found: Vector = vector
        return found
    first, second = _halves(query)
    mean = (await query_vector(embedder, first)) + (await query_vector(embedder, second))
    unit: Vector = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit


def _halves(text: str) -> tuple[str, str]:
    """Cut in the middle, at the blank before it where there is one."""
    middle = len(text) // 2
    cut = text.rfind(" ", middle // 2, middle)
    return (text[:middle], text[middle:]) if cut < 0 else (text[:cut], text[cut + 1 :])
