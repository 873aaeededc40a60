"""The embedder port on Triton: `text_embedding` and `text_embedding_live`, or another pair that a generation names."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.clients.triton.connection import ModelMissingError, TritonConnection, string_column
from headwater.clients.triton.embedding_model import DIMENSION, MAX_TOKENS, NAME, SERVED_AS, recorded_name, served_name
from headwater.errors import FatalError
from headwater.gathering import all_of
from headwater.ports.models import EmbeddingModel, EmbeddingNeed
from headwater.settings import TritonSettings
from schemas.events.base import Lane

BUILT_IN: Final = EmbeddingNeed(model=NAME, dimension=DIMENSION, max_tokens=MAX_TOKENS)
# Small calls let an edit in between and are as fast as large ones; three in flight keep the server busy.
TEXTS_PER_CALL = 16
CALLS_IN_FLIGHT = 3
_PROBE: Final = "dimension"
_UNIT_TOLERANCE: Final = 1e-3


def model_of_lane(model: str) -> Mapping[Lane, str]:
    """Name the two instances of a model: questions and edits have one of their own, `NAME_live`."""
    return {Lane.LIVE: f"{model}_live", Lane.BACKFILL: model}


class TritonEmbedder:
    """Implements Embedder. Both lanes are the same model: their vectors are equal bit by bit."""

    def __init__(self, connection: TritonConnection, model: EmbeddingModel, lanes: Mapping[Lane, str]) -> None:
        self._connection, self._model, self._lanes = connection, model, lanes
        self._calls = asyncio.Semaphore(CALLS_IN_FLIGHT)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TritonSettings, need: EmbeddingNeed = BUILT_IN) -> AsyncIterator["TritonEmbedder"]:
        """Connect and check that the server has the model, and that it is what is needed.

        Raises RetryableError while Triton is away or loading, FatalError when the model is missing, has another
        dimension, takes shorter texts, or its lanes differ from each other. Another model than the built-in one may
        have a single instance, which then serves both lanes.
        """
        async with TritonConnection.open(settings) as connection:
            lanes = await _lanes(connection, served_name(need.model))
            live, bulk = [
                await _served(connection, lanes[lane], model=need.model) for lane in (Lane.LIVE, Lane.BACKFILL)
            ]
            if live != bulk:
                raise FatalError(
                    f"the lanes serve two models, {live.key} and {bulk.key}: build the model repository again"
                )
            require(live, need)
            yield cls(connection, live, lanes)

    @property
    def model(self) -> EmbeddingModel:
        """See the port."""
        return self._model

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        """See the port."""
        starts = range(0, len(texts), TEXTS_PER_CALL)
        pieces = [texts[start : start + TEXTS_PER_CALL] for start in starts]
        found = await all_of(self._call(piece, self._lanes[lane]) for piece in pieces)
        return np.concatenate([np.empty((0, self._model.dimension), np.float32), *found])

    async def _call(self, texts: Sequence[str], model: str) -> NDArray[np.float32]:
        async with self._calls:
            vectors = await self._connection.infer(model, {"TEXT": string_column(texts)}, "EMBEDDING")
        expected = (len(texts), self._model.dimension)
        if vectors.shape != expected:
            raise FatalError(f"model {model} returned the shape {vectors.shape}, not {expected}: build it again")
        return vectors


async def describe(settings: TritonSettings, model: str) -> EmbeddingModel:
    """Return what Triton serves under a name, having seen one vector of it.

    Raises as `TritonEmbedder.open` does, and FatalError where the vector is not what the configuration promises.
    """
    name = served_name(model)
    async with TritonConnection.open(settings) as connection:
        found = await _served(connection, name, model=recorded_name(model))
        [vector] = await TritonEmbedder(connection, found, dict.fromkeys(Lane, name)).embed([_PROBE], lane=Lane.LIVE)
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        raise FatalError(f"model {name} returns vectors of length {length:.3f}: let it return unit length")
    return found


def require(found: EmbeddingModel, need: EmbeddingNeed) -> None:
    """Raise FatalError where a model is not what a generation needs: its vectors would be of another space."""
    name = served_name(need.model)
    if found.dimension != need.dimension:
        raise FatalError(
            f"model {name} embeds into {found.dimension} dimensions, this generation was created for "
            f"{need.dimension}: serve the model it was created with, or build a new generation for the other one"
        )
    if found.max_tokens < need.max_tokens:
        raise FatalError(
            f"model {name} takes {found.max_tokens} tokens, the policy of this generation cuts chunks of "
            f"{need.max_tokens}: build a new generation with a lower max_tokens"
        )


async def _lanes(connection: TritonConnection, name: str) -> Mapping[Lane, str]:
    lanes = model_of_lane(name)
    if name == SERVED_AS:
        return lanes
    try:
        await connection.parameters(lanes[Lane.LIVE])
    except ModelMissingError:
        return dict.fromkeys(Lane, name)
    return lanes


async def _served(connection: TritonConnection, name: str, *, model: str) -> EmbeddingModel:
    parameters = await connection.parameters(name)
    try:
        return EmbeddingModel(
            name=model,
            revision=parameters["revision"],
            variant=parameters["variant"],
            dimension=int(parameters["dimension"]),
            max_tokens=int(parameters["max_tokens"]),
        )
    except (KeyError, ValueError) as error:
        raise FatalError(
            f"the configuration of model {name} lacks the parameter {error}: write `dimension`, `max_tokens`, "
            "`variant` and `revision` into its config.pbtxt"
        ) from error
