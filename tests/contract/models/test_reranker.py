"""One suite for the Reranker port, on the fake and on Triton."""

from collections.abc import AsyncIterator

import pytest

from headwater.clients.triton.reranker import TritonReranker
from headwater.ports.models import Reranker
from tests.support.answering import OverlapReranker
from tests.support.stack import RunningStack

QUERY = "who approves travel to a customer"
PASSAGES = ["Bees find their way by the sun.", "Your manager approves travel to a customer.", "Travel is fun."]


class RerankerContract:
    """Subclasses provide the `reranker` fixture."""

    async def test_the_passage_that_answers_has_the_highest_score(self, reranker: Reranker) -> None:
        scores = await reranker.rerank(QUERY, PASSAGES)
        assert max(scores) == scores[1]
        assert scores[2] > scores[0]

    async def test_scores_lie_between_0_and_1_in_the_order_of_the_passages(self, reranker: Reranker) -> None:
        scores = await reranker.rerank(QUERY, PASSAGES)
        assert all(0.0 <= score <= 1.0 for score in scores)
        assert list(await reranker.rerank(QUERY, PASSAGES[::-1])) == list(scores)[::-1]

    async def test_no_passage_no_score(self, reranker: Reranker) -> None:
        assert list(await reranker.rerank(QUERY, [])) == []

    async def test_a_long_passage_is_scored_too(self, reranker: Reranker) -> None:
        assert len(await reranker.rerank(QUERY, ["travel approval " * 400, ""])) == 2


class TestFake(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return OverlapReranker()


@pytest.mark.real
class TestTriton(RerankerContract):
    @pytest.fixture
    async def reranker(self, stack: RunningStack) -> AsyncIterator[Reranker]:
        async with TritonReranker.open(stack.settings.triton) as reranker:
            yield reranker
