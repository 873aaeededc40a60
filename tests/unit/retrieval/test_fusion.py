import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.retrieval.fusion import fuse
from schemas.events.directory import FusionMethod

MIN_MAX, RRF = FusionMethod.WEIGHTED_MIN_MAX, FusionMethod.RECIPROCAL_RANK


@st.composite
def legs(draw: st.DrawFn) -> list[tuple[str, float]]:
    scores = draw(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-5, 50), max_size=8))
    return sorted(scores.items(), key=lambda item: -item[1])


def test_weighted_min_max_scales_each_leg_over_its_own_candidates() -> None:
    fused = fuse([("a", 0.9), ("b", 0.5)], [("b", 12.0), ("c", 4.0)], method=MIN_MAX, vector_weight=0.25)
    assert fused == pytest.approx({"a": 0.25, "b": 0.75, "c": 0.0})


def test_reciprocal_ranks_look_at_ranks_alone() -> None:
    fused = fuse([("a", 0.9), ("b", 0.1)], [("b", 12.0)], method=RRF, vector_weight=0.5)
    assert fused == pytest.approx({"a": 0.5, "b": 0.5 * 61 / 62 + 0.5})


@pytest.mark.parametrize("method", list(FusionMethod))
def test_an_empty_leg_gives_its_weight_to_the_other(method: FusionMethod) -> None:
    assert fuse([], [("a", 3.0), ("b", 1.0)], method=method, vector_weight=0.9)["a"] == 1.0
    assert fuse([("a", 3.0), ("b", 1.0)], [], method=method, vector_weight=0.1)["a"] == 1.0
    assert fuse([], [], method=method, vector_weight=0.5) == {}


def test_equal_scores_are_all_best() -> None:
    assert fuse([], [("a", 2.0), ("b", 2.0)], method=MIN_MAX, vector_weight=0.5) == {"a": 1.0, "b": 1.0}


@given(vector=legs(), keyword=legs(), weight=st.floats(0, 1), method=st.sampled_from(FusionMethod))
def test_nothing_is_lost_and_scores_stay_in_range(
    vector: list[tuple[str, float]], keyword: list[tuple[str, float]], weight: float, method: FusionMethod
) -> None:
    fused = fuse(vector, keyword, method=method, vector_weight=weight)
    assert set(fused) == {row for row, _ in vector} | {row for row, _ in keyword}
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())
