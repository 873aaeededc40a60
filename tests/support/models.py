"""Models in memory."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headwater.errors import PoisonError
from headwater.ports.models import Embedder, EmbeddingModel, EmbeddingNeed
from schemas.events.base import Lane


class FakeEmbedder:
    """Implements Embedder: a text's vector is made of its hash. Texts that name `refused` are poison."""

    def __init__(self, *, dimension: int = 4) -> None:
        self.model = EmbeddingModel(name="fake", revision="1", variant="fp32", dimension=dimension, max_tokens=256)
        self.calls: list[tuple[tuple[str, ...], Lane]] = []

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        self.calls.append((tuple(texts), lane))
        if any("refused" in text for text in texts):
            raise PoisonError("text is longer than the model takes")
        dimension = self.model.dimension
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        raw = b"".join((each * (dimension // len(each) + 1))[:dimension] for each in hashes)
        vectors = np.frombuffer(raw, np.uint8).reshape(len(texts), dimension).astype(np.float32) + 1
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    @property
    def texts(self) -> list[str]:
        """Every text that was embedded, in order."""
        return [text for call, _ in self.calls for text in call]


class OneModel:
    """Implements Embedders: every generation has the same model."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def of(self, need: EmbeddingNeed) -> Embedder:
        return self._embedder
