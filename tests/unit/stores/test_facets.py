"""Attributes as tokens: equal values share one, ordered values are in order, and nothing else is ever equal."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.rows.facets import MAX_FACETS, Kind, RowAttributeError, comparable, facets

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(min_value=-(10**300), max_value=10**300)
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5))]))
scalars = st.text(max_size=300) | numbers | times | st.booleans()


@given(numbers, numbers)
def test_numbers_keep_their_order(one: float, other: float) -> None:
    first, second = comparable(one)[1], comparable(other)[1]
    assert (first < second) == (float(one) < float(other))
    assert (first == second) == (float(one) == float(other))


@given(times, times)
def test_times_keep_their_order_in_any_zone(one: datetime, other: datetime) -> None:
    first, second = comparable(one)[1], comparable(other)[1]
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@given(st.text(max_size=300), st.text(max_size=300))
def test_texts_stay_distinct(one: str, other: str) -> None:
    assert (comparable(one) == comparable(other)) == (one == other)


def test_kinds_are_never_equal() -> None:
    values = ("1", 1, True, datetime.fromtimestamp(1, UTC), "x" * 300)
    assert len({comparable(value)[0] for value in values}) == len(Kind)
    assert comparable(1) == comparable(1.0) == comparable(1.0)
    assert comparable(0.0) == comparable(-0.0)


@given(st.dictionaries(st.text(max_size=8), scalars | st.lists(scalars, max_size=4).map(tuple), max_size=5))
def test_every_value_that_a_filter_can_name_has_a_token(attributes: dict[str, str]) -> None:
    tokens = facets(attributes)
    assert list(tokens) == sorted(set(tokens))
    assert all("=" in each for each in tokens)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**400, datetime(2026, 1, 1), "\ud800"],  # noqa: DTZ001 - refused for it
)
def test_what_cannot_be_compared_is_refused_by_name(value: float | str | datetime) -> None:
    with pytest.raises(RowAttributeError, match=r"attributes\.size"):
        facets({"size": value})


def test_too_many_values_are_refused() -> None:
    with pytest.raises(RowAttributeError, match=f"at most {MAX_FACETS}"):
        facets({"tags": tuple(str(number) for number in range(MAX_FACETS + 1))})
