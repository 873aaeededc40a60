"""The embedder port on Triton's `text_embedding` and `text_embedding_live`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from headwater.clients.triton.connection import TritonConnection, string_column
from headwater.clients.triton.embedding_model import DIMENSION, MAX_TOKENS, NAME
from headwater.errors import FatalError
from headwater.ports.models import EmbeddingModel
from headwater.settings import TritonSettings
from schemas.events.base import Lane

MODEL_OF_LANE = {Lane.LIVE: "text_embedding_live", Lane.BACKFILL: "text_embedding"}
# Small calls let an edit in between and are as fast as large ones; three in flight keep the server busy.
TEXTS_PER_CALL = 16
CALLS_IN_FLIGHT = 3


class TritonEmbedder:
    """Implements Embedder. Both lanes are the same model: their vectors are equal bit by bit."""

    def __init__(self, connection: TritonConnection, model: EmbeddingModel) -> None:
        self._connection, self._model = connection, model
        self._calls = asyncio.Semaphore(CALLS_IN_FLIGHT)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TritonSettings) -> AsyncIterator["TritonEmbedder"]:
        """Connect and check what the server serves.

        Raises RetryableError while Triton is away or loading, FatalError when its models are missing, differ from each
        other, or are not the ones that this client was written for.
        """
        async with TritonConnection.open(settings) as connection:
            live, bulk = [await _served(connection, name) for name in MODEL_OF_LANE.values()]
            if live != bulk:
                raise FatalError(
                    f"the lanes serve two models, {live.key} and {bulk.key}: build the model repository again"
                )
            if (live.dimension, live.max_tokens) != (DIMENSION, MAX_TOKENS):
                raise FatalError(
                    f"the server embeds {live.max_tokens} tokens into {live.dimension} dimensions, this generation "
                    f"needs {MAX_TOKENS} and {DIMENSION}: serve {NAME}, or build a new generation for the other model"
                )
            yield cls(connection, live)

    @property
    def model(self) -> EmbeddingModel:
        """See the port."""
        return self._model

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        """See the port."""
        starts = range(0, len(texts), TEXTS_PER_CALL)
        try:
            async with asyncio.TaskGroup() as group:
                pieces = [texts[start : start + TEXTS_PER_CALL] for start in starts]
                calls = [group.create_task(self._call(piece, MODEL_OF_LANE[lane])) for piece in pieces]
        except ExceptionGroup as failures:  # the first one ended the others: it is the reason
            raise failures.exceptions[0] from None
        empty = np.empty((0, self._model.dimension), np.float32)
        return np.concatenate([empty, *(call.result() for call in calls)])

    async def _call(self, texts: Sequence[str], model: str) -> NDArray[np.float32]:
        async with self._calls:
            vectors = await self._connection.infer(model, {"TEXT": string_column(texts)}, "EMBEDDING")
        expected = (len(texts), self._model.dimension)
        if vectors.shape != expected:
            raise FatalError(f"model {model} returned the shape {vectors.shape}, not {expected}: build it again")
        return vectors


async def _served(connection: TritonConnection, name: str) -> EmbeddingModel:
    parameters = await connection.parameters(name)
    try:
        return EmbeddingModel(
            name=NAME,
            revision=parameters["revision"],
            variant=parameters["variant"],
            dimension=int(parameters["dimension"]),
            max_tokens=int(parameters["max_tokens"]),
        )
    except (KeyError, ValueError) as error:
        raise FatalError(
            f"the configuration of model {name} lacks {error}: build the model repository again"
        ) from error
