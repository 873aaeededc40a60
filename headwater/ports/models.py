"""Models: what the pipeline and the API ask of them, whoever serves them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.events.base import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """What names a vector besides its text. Part of the cache key: two variants never share a vector."""

    name: str
    revision: str
    variant: str  # int8, bf16, fp32
    dimension: int
    max_tokens: int

    @property
    def key(self) -> str:
        """`name@revision/variant`: in cache keys, lineage and the generation's record."""
        return f"{self.name}@{self.revision}/{self.variant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingNeed:
    """What a generation needs of its embedding model; `model` as the generation's record names it."""

    model: str
    dimension: int
    max_tokens: int = 0  # the longest text that it will be given; 0 where whoever asks copes with a refusal


class Embedder(Protocol):
    """Turns texts into vectors: float32, unit length, shape [texts, dimension], in the same order.

    The same text gives the same vector in any batch. Raises RetryableError when the server is busy or away,
    PoisonError when a text is longer than the model takes (it is never truncated), FatalError when the model is
    missing or has another dimension.
    """

    @property
    def model(self) -> EmbeddingModel:
        """The model as it was found at start."""
        ...

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        """Embed; the live lane (edits, queries) has an instance of its own."""
        ...


class Reranker(Protocol):
    """Scores passages against a query: higher is better, between 0 and 1, one per passage in the same order."""

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Raise RetryableError when the server is busy or away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedAnswer:
    """An answer and the passages it rests on (0-based indices), or none where the passages do not answer."""

    text: str  # names its passages in square brackets, numbered from 1: [1]
    passages: tuple[int, ...]
    answerable: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDelta:
    """A piece of a streamed answer; the last one carries the whole."""

    text: str
    final: GeneratedAnswer | None


class Generator(Protocol):
    """Answers a question from passages alone, and says when they do not answer it."""

    @property
    def model(self) -> str:
        """Name and revision: part of the key of the generation cache."""
        ...

    @property
    def prompt_version(self) -> str:
        """Changes whenever the prompt does: part of the key of the generation cache."""
        ...

    async def generate(self, question: str, passages: Sequence[str]) -> GeneratedAnswer:
        """Raise RetryableError when the server is busy or away, FatalError when it refuses the credentials."""
        ...

    def stream(self, question: str, passages: Sequence[str]) -> AsyncIterator[AnswerDelta]:
        """Yield the answer as it is written."""
        ...
