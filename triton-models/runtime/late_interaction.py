"""How well a passage fits a query, from the vectors of their tokens: late interaction (ColBERT, Khattab and Zaharia).

The encoder was trained for whole sentences, not for this, so that three signals are mixed: for each token of the query
its best match in the passage (MaxSim), the cosine of the two means, and shared words weighted by rarity.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

# Chosen on every other query of Cranfield, CISI and SQuAD 2; docs/models.md reports the queries that were not used.
MAXSIM_WEIGHT: Final = 0.5
COSINE_WEIGHT: Final = 0.2
WORDS_WEIGHT: Final = 0.15
TOTAL_WEIGHT: Final = MAXSIM_WEIGHT + COSINE_WEIGHT + WORDS_WEIGHT

# BERT's vocabulary is sorted by frequency from this id on: the logarithm of the rank stands for the inverse document
# frequency (Zipf's law), and no collection has to be counted. Below it are single characters.
FIRST_WORD_ID: Final = 1996
SATURATION: Final = 1.2  # of a repeated word, as k1 in BM25


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """Token ids and their unit vectors [tokens, hidden], the first and the last of which are [CLS] and [SEP]."""

    ids: Sequence[int]
    vectors: npt.NDArray[np.float32]

    @property
    def inner_ids(self) -> Sequence[int]:
        """The ids without the first and the last."""
        return self.ids[1:-1]

    @property
    def inner_vectors(self) -> npt.NDArray[np.float32]:
        """The vectors without the first and the last."""
        return self.vectors[1:-1]


def relevance(query: TokenizedText, passage: TokenizedText) -> float:
    """Return a score from 0 to 1; 0 where either has no token."""
    if not query.inner_ids or not passage.inner_ids:
        return 0.0
    best = float((query.inner_vectors @ passage.inner_vectors.T).max(axis=1).mean())
    mixed = (
        MAXSIM_WEIGHT * best
        + COSINE_WEIGHT * _mean_cosine(query.vectors, passage.vectors)
        + WORDS_WEIGHT * shared_words(query.inner_ids, passage.inner_ids)
    )
    return min(1.0, max(0.0, mixed / TOTAL_WEIGHT))


def shared_words(query: Sequence[int], passage: Sequence[int]) -> float:
    """Return how much of the query's rarity the passage has, from 0 to 1, with a diminishing gain from repetition."""
    weights = [rarity(token) for token in query]
    total = sum(weights)
    if total == 0.0:
        return 0.0
    counts = Counter(passage)
    gains = (counts[token] / (counts[token] + SATURATION) for token in query)
    return sum(weight * gain for weight, gain in zip(weights, gains, strict=True)) / total


def rarity(token: int) -> float:
    """Return the weight of a token: 0.5 for a single character, from 0.7 upwards for words, the rarer the higher."""
    return math.log(2 + token - FIRST_WORD_ID) if token >= FIRST_WORD_ID else 0.5


def _mean_cosine(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> float:
    a, b = left.mean(axis=0), right.mean(axis=0)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
