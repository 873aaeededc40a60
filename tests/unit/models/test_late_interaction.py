"""Scores of passages from token vectors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.triton_models import triton_module

late = triton_module("late_interaction")


def tokenized(*tokens: int) -> Any:
    """Give each token id a direction of its own, the same one everywhere."""
    ids = [101, *tokens, 102]
    vectors = np.stack([np.random.default_rng(token).normal(size=32) for token in ids]).astype(np.float32)
    return late.TokenizedText(ids, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_a_passage_with_the_words_of_the_query_beats_one_without() -> None:
    query = tokenized(3000, 9000)
    assert late.relevance(query, tokenized(3000, 9000, 5000)) > late.relevance(query, tokenized(4000, 5000, 6000))


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    query = [2000, 28000]
    assert late.shared_words(query, [28000]) > late.shared_words(query, [2000])


def test_repetition_adds_less_each_time() -> None:
    once, twice, often = (late.shared_words([5000], [5000] * times) for times in (1, 2, 50))
    assert once < twice < often < 1


def test_nothing_fits_an_empty_text() -> None:
    assert late.relevance(tokenized(), tokenized(3000)) == 0.0
    assert late.relevance(tokenized(3000), tokenized()) == 0.0


@given(st.lists(st.integers(0, 30521), max_size=12), st.lists(st.integers(0, 30521), max_size=12))
def test_a_score_lies_between_0_and_1(query: list[int], passage: list[int]) -> None:
    assert 0.0 <= late.relevance(tokenized(*query), tokenized(*passage)) <= 1.0


def test_the_weights_are_those_that_the_total_says() -> None:
    same = tokenized(3000)
    expected = (late.MAXSIM_WEIGHT + late.COSINE_WEIGHT + late.WORDS_WEIGHT / (1 + late.SATURATION)) / late.TOTAL_WEIGHT
    assert late.relevance(same, same) == pytest.approx(expected, abs=1e-5)
