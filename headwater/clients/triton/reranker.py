"""The reranker port on Triton's `passage_reranking`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from headwater.clients.triton.connection import TritonConnection, strings
from headwater.errors import FatalError
from headwater.settings import TritonSettings

MODEL = "passage_reranking"


class TritonReranker:
    """Implements Reranker."""

    def __init__(self, connection: TritonConnection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TritonSettings) -> AsyncIterator["TritonReranker"]:
        """Connect and check that the model is served. Raises RetryableError while it loads, FatalError without it."""
        async with TritonConnection.open(settings) as connection:
            await connection.parameters(MODEL)
            yield cls(connection)

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """See the port."""
        if not passages:
            return []
        inputs = {"QUERY": strings([query]), "PASSAGES": strings(passages)}
        scores = await self._connection.infer(MODEL, inputs, "SCORES")
        if scores.shape != (len(passages),):
            raise FatalError(
                f"model {MODEL} returned {scores.shape} scores for {len(passages)} passages: build it again"
            )
        return [float(score) for score in scores]
