"""Edits are spread over a fault, however long it lasts, and none of its share is left out."""

import threading

import pytest

from tests.chaos import pacing
from tests.chaos.pacing import LONGEST_S, SHORTEST_S, make_until, pause_s
from tests.chaos.play import shares


def times(until_s: float) -> list[float]:
    """Return when edits are made during a fault of this length."""
    found, at_s = [], 0.0
    while at_s < until_s:
        found.append(at_s)
        at_s += pause_s(at_s)
    return found


def test_a_short_fault_sees_several_edits_and_a_long_one_sees_them_to_its_end() -> None:
    assert len(times(2.0)) >= 5
    assert 40 <= len(times(300.0)) <= 60
    assert times(300.0)[-1] > 300.0 - LONGEST_S
    assert pause_s(0.0) == SHORTEST_S


@pytest.mark.parametrize(("over_after", "made"), [(0, 4), (2, 4), (4, 4), (7, 7), (99, 10)])
def test_at_least_the_share_is_made_and_more_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch, over_after: int, made: int
) -> None:
    monkeypatch.setattr(pacing, "SHORTEST_S", 0.0)
    monkeypatch.setattr(pacing, "LONGEST_S", 0.0)
    over, seen = threading.Event(), list[int]()

    def make(edit: int) -> None:
        seen.append(edit)
        if len(seen) == over_after:
            over.set()

    if not over_after:
        over.set()
    assert make_until(over, range(10), make, least=4) == made
    assert seen == list(range(made))


@pytest.mark.parametrize(("edits", "faults"), [(524, 33), (33, 5)])
def test_faults_that_last_leave_edits_to_those_that_follow(edits: int, faults: int) -> None:
    for later in range(faults - 1, -1, -1):
        least, most = shares(edits, faults=later + 1)
        assert 1 <= least <= most
        edits -= most
    assert edits == 0
