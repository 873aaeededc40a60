"""One suite for the Embedder port, on the fake and on Triton."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from headwater.clients.triton.embedder import BUILT_IN, TritonEmbedder
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.ports.models import Embedder
from headwater.settings import TritonSettings
from schemas.events.base import Lane
from tests.support.models import FakeEmbedder
from tests.support.stack import RunningStack

TEXTS = [f"Rule {number}: {'leave is granted by the manager. ' * (number % 7)}" for number in range(40)]
TOO_LONG = "refused " * 300  # the fake refuses the word, the model the length


class EmbedderContract:
    """Subclasses provide the `embedder` fixture."""

    async def test_vectors_have_unit_length_and_keep_their_order(self, embedder: Embedder) -> None:
        vectors = await embedder.embed(TEXTS, lane=Lane.BACKFILL)
        assert vectors.shape == (len(TEXTS), embedder.model.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        backwards = await embedder.embed(TEXTS[::-1], lane=Lane.BACKFILL)
        assert np.array_equal(vectors, backwards[::-1])

    async def test_a_text_has_one_vector_alone_in_company_and_in_either_lane(self, embedder: Embedder) -> None:
        together = await embedder.embed(TEXTS, lane=Lane.BACKFILL)
        alone = [await embedder.embed([text], lane=Lane.LIVE) for text in TEXTS]
        assert np.array_equal(together, np.concatenate(alone))

    async def test_a_text_that_is_too_long_is_refused_not_cut(self, embedder: Embedder) -> None:
        with pytest.raises(PoisonError, match="long"):
            await embedder.embed([*TEXTS, TOO_LONG], lane=Lane.LIVE)

    async def test_no_text_no_vector(self, embedder: Embedder) -> None:
        assert (await embedder.embed([], lane=Lane.LIVE)).shape == (0, embedder.model.dimension)

    async def test_the_key_names_the_variant(self, embedder: Embedder) -> None:
        assert embedder.model.key.endswith(f"@{embedder.model.revision}/{embedder.model.variant}")


class TestFake(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FakeEmbedder()


@pytest.mark.real
class TestTriton(EmbedderContract):
    @pytest.fixture
    async def embedder(self, stack: RunningStack) -> AsyncIterator[Embedder]:
        async with TritonEmbedder.open(stack.settings.triton) as embedder:
            yield embedder

    async def test_near_texts_are_near(self, embedder: Embedder) -> None:
        texts = ["How many days of leave do I get?", "Employees have 25 days of holiday.", "The pump stops at 6.5 bar."]
        question, holiday, pump = await embedder.embed(texts, lane=Lane.LIVE)
        assert question @ holiday > question @ pump + 0.2

    async def test_bytes_that_utf_8_cannot_carry_are_poison(self, embedder: Embedder) -> None:
        with pytest.raises(PoisonError, match="surrogate"):
            await embedder.embed(["\ud800"], lane=Lane.LIVE)


async def test_an_absent_server_may_come_back() -> None:
    settings = TritonSettings(url="127.0.0.1:1", request_timeout_s=2)
    with pytest.raises(RetryableError, match=r"triton\.url"):
        async with TritonEmbedder.open(settings):
            pass


@pytest.mark.real
async def test_another_dimension_is_fatal_and_names_the_remedy(stack: RunningStack) -> None:
    with pytest.raises(FatalError, match="new generation"):
        async with TritonEmbedder.open(stack.settings.triton, replace(BUILT_IN, dimension=768)):
            pass


@pytest.mark.real
async def test_a_missing_model_is_fatal(stack: RunningStack) -> None:
    with pytest.raises(FatalError, match="absent"):
        async with TritonEmbedder.open(stack.settings.triton, replace(BUILT_IN, model="absent")):
            pass
