"""`python -m tests.performance.fixed_embed`: stage `embed` as it is, with fixed vectors in place of a model."""

import sys
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headwater.clients.kafka.schema_ids import configure_codec
from headwater.clients.redis_cache import RedisCache
from headwater.ports.models import EmbeddingModel
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from schemas.events.base import Lane
from streams.embed.agent import EMBED, EmbedStage
from streams.harness.runner import run
from streams.harness.stage import Resources, Stage

_VECTORS = 1024
_SEED = 20_240_229


class FixedEmbedder:
    """Implements Embedder: each text has one of 1,024 random unit vectors, chosen by its CRC-32. No text is refused."""

    def __init__(self, dimension: int) -> None:
        self.model = EmbeddingModel(name="fixed", revision="1", variant="none", dimension=dimension, max_tokens=256)
        drawn = np.random.default_rng(_SEED).standard_normal((_VECTORS, dimension), np.float32)
        self._vectors: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        """See the port."""
        return self._vectors[[zlib.crc32(text.encode()) % _VECTORS for text in texts]]


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    async with RedisCache.open(settings.redis) as cache:
        yield EmbedStage(
            embedder=FixedEmbedder(settings.milvus.dimension),
            cache=cache,
            publisher=resources.publisher,
            generation=settings.generation,
        )


def main() -> int:
    """Run the stage and return the exit code."""
    settings = Settings()
    configure_logging(settings.telemetry, process=EMBED.name)
    configure_codec(settings.kafka)
    return run(replace(EMBED, open=_open), settings)


if __name__ == "__main__":
    sys.exit(main())
