from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from headwater.errors import PoisonError, RetryableError
from query_api.retrieval.query_vector import query_vector
from schemas.events.base import Lane
from tests.support.models import FakeEmbedder


class ShortEmbedder(FakeEmbedder):
    """Takes texts up to a number of characters."""

    def __init__(self, limit: int) -> None:
        super().__init__(dimension=8)
        self.limit = limit

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        if any(len(text) > self.limit for text in texts):
            raise PoisonError("too long")
        return await super().embed(texts, lane=lane)


async def test_an_ordinary_question_costs_one_call() -> None:
    embedder = FakeEmbedder(dimension=8)
    vector = await query_vector(embedder, "How do I request leave?")
    assert embedder.texts == ["How do I request leave?"]
    assert np.array_equal(vector, (await embedder.embed(["How do I request leave?"], lane=Lane.LIVE))[0])


@pytest.mark.parametrize("query", ["word " * 100, "x" * 500, "一" * 300])
async def test_a_long_question_is_the_mean_of_its_parts(query: str) -> None:
    embedder = ShortEmbedder(limit=100)
    vector = await query_vector(embedder, query)
    assert vector.shape == (8,)
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)
    assert "".join(embedder.texts).replace(" ", "") == query.replace(" ", "")  # every character, once, in order


async def test_words_stay_whole() -> None:
    embedder = ShortEmbedder(limit=100)
    await query_vector(embedder, "sesquipedalian " * 20)
    assert {word for text in embedder.texts for word in text.split()} == {"sesquipedalian"}


async def test_a_short_question_that_is_refused_is_refused() -> None:
    with pytest.raises(PoisonError):
        await query_vector(FakeEmbedder(), "refused")


async def test_an_outage_is_no_reason_to_cut() -> None:
    class Away(FakeEmbedder):
        async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
            self.calls.append((tuple(texts), lane))
            raise RetryableError("away")

    embedder = Away()
    with pytest.raises(RetryableError):
        await query_vector(embedder, "a long question " * 20)
    assert len(embedder.calls) == 1
