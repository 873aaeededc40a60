"""Another embedding model in a real Triton: the optional small one, with vectors of another length."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater.clients.triton.embedder import BUILT_IN, TritonEmbedder, describe
from headwater.errors import FatalError, PoisonError
from headwater.ports.models import EmbeddingNeed
from headwater.settings import TritonSettings
from schemas.events.base import Lane
from tests.support.second_triton import SMALL, SMALL_DIMENSION, second_triton

# Built and started for this test: seconds on a quiet machine, minutes on one that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

NEED = EmbeddingNeed(model=SMALL, dimension=SMALL_DIMENSION, max_tokens=256)
QUESTION = "How long may I be on vacation?"
TEXTS = ["Employees have 25 days of holiday.", "The pump stops at 6.5 bar."]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonSettings]:
    with second_triton(tmp_path_factory.mktemp("second")) as leads_to:
        pattern = leads_to["HEADWATER_TRITON__TOKENIZER_PATTERN"]
        assert Path(pattern.replace("{model}", SMALL)).is_file()
        yield TritonSettings(url=leads_to["HEADWATER_TRITON__URL"], tokenizer_pattern=pattern)


async def test_a_generation_may_name_a_model_of_another_length(triton: TritonSettings) -> None:
    found = await describe(triton, SMALL)
    assert (found.name, found.dimension, found.max_tokens, found.variant) == (SMALL, SMALL_DIMENSION, 256, "fp32")
    async with TritonEmbedder.open(triton, NEED) as embedder:
        assert embedder.model == found
        together = await embedder.embed([QUESTION, *TEXTS], lane=Lane.BACKFILL)
        assert together.shape == (3, SMALL_DIMENSION)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
        question, holiday, pump = together
        assert question @ holiday > question @ pump + 0.1
        alone = await embedder.embed([QUESTION], lane=Lane.LIVE)
        assert np.array_equal(alone[0], question), "one instance serves both lanes, with the same bits"
        with pytest.raises(PoisonError, match="text 1 is too long: 302 tokens"):
            await embedder.embed(["short", "word " * 300], lane=Lane.LIVE)


@pytest.mark.parametrize(
    ("need", "said"),
    [
        (replace(NEED, dimension=384), f"{SMALL} embeds into {SMALL_DIMENSION} dimensions, .* created for 384"),
        (replace(NEED, max_tokens=300), f"{SMALL} takes 256 tokens, .* chunks of 300"),
        (BUILT_IN, "model text_embedding_live on .*unknown model"),
    ],
)
async def test_what_a_generation_was_not_created_for_is_refused(
    triton: TritonSettings, need: EmbeddingNeed, said: str
) -> None:
    with pytest.raises(FatalError, match=said):
        async with TritonEmbedder.open(triton, need):
            pass


async def test_a_model_that_is_not_there_is_named(triton: TritonSettings) -> None:
    with pytest.raises(
        FatalError, match=r"model absent on .*unknown model: 'absent'.*; put it into the model repository"
    ):
        await describe(triton, "absent")
