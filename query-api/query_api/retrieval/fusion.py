"""Two ranked lists become one."""

from collections.abc import Mapping, Sequence
from typing import Final

from schemas.events.directory import FusionMethod

# Cormack, Clarke, Büttcher: "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", 2009.
RRF_CONSTANT: Final = 60

# A leg's candidates with the store's own scores, best first.
Ranked = Sequence[tuple[str, float]]


def fuse(vector: Ranked, keyword: Ranked, *, method: FusionMethod, vector_weight: float) -> Mapping[str, float]:
    """Return a fused score in 0..1 per id; higher is better. An empty leg gives its weight to the other.

    Weighted min-max: each leg's scores are scaled to 0..1 over its own candidates, then averaged by weight; an id that
    a leg does not hold counts 0 there (a convex combination: Bruch, Gai, Ingber, "An Analysis of Fusion Functions for
    Hybrid Retrieval", 2023). The figures behind the default weight are in docs/retrieval.md.
    """
    weights = _weights(vector, keyword, vector_weight)
    scale = _min_max if method is FusionMethod.WEIGHTED_MIN_MAX else _reciprocal
    fused: dict[str, float] = {}
    for leg, weight in ((vector, weights[0]), (keyword, weights[1])):
        for row, score in scale(leg).items():
            fused[row] = fused.get(row, 0.0) + weight * score
    return fused


def _weights(vector: Ranked, keyword: Ranked, vector_weight: float) -> tuple[float, float]:
    if not keyword:
        return 1.0, 0.0
    if not vector:
        return 0.0, 1.0
    return vector_weight, 1.0 - vector_weight


def _min_max(leg: Ranked) -> Mapping[str, float]:
    if not leg:
        return {}
    high, low = leg[0][1], leg[-1][1]
    if high <= low:
        return {row: 1.0 for row, _ in leg}
    return {row: (score - low) / (high - low) for row, score in leg}


def _reciprocal(leg: Ranked) -> Mapping[str, float]:
    """Reciprocal ranks, scaled so that the first has 1."""
    return {row: (RRF_CONSTANT + 1) / (RRF_CONSTANT + rank) for rank, (row, _) in enumerate(leg, start=1)}
