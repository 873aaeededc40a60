"""A document of many pages goes on where its worker died: what was read is not read again."""

from itertools import pairwise
from uuid import uuid4

import pytest

from streams.prepare.heavy import HeavyLane
from tests.simulation.run import Outcome, simulate
from tests.simulation.steps import Step
from tests.simulation.world import simulated_settings

PAGES = 24
SEEDS = range(4)
DEATHS = ((2.1, 14), (5.0, 20))  # when, and around which call from then on; a third one would park the document


def _read(seed: int) -> Outcome:
    """Put one document of many pages; whoever prepares it dies after some ranges, and so does who follows."""
    put = {"document": 0, "draft": 1, "paragraphs": PAGES, "access": "everyone", "version": None}
    kills = [
        Step(at_s=at_s, do="kill_soon", what={"worker": f"prepare-{number}", "calls": calls + 2 * seed})
        for at_s, calls in DEATHS
        for number in range(2)
    ]
    return simulate(seed, [Step(at_s=2.0, do="put", what=put | {"lane": "live", "form": "volume"}), *kills])


@pytest.mark.parametrize("seed", SEEDS)
def test_no_range_that_was_read_is_read_again(seed: int) -> None:
    outcome = _read(seed)
    assert outcome.violations == ()
    readers = [process for process, _ in outcome.ranges_read]
    takeovers = sum(later != earlier for earlier, later in pairwise(readers))
    assert takeovers > 0, "nobody died between two ranges: the story tells of nothing"
    at_once = simulated_settings().stages.heavy_pages_at_once
    assert {first for _, first in outcome.ranges_read} == set(range(0, PAGES, at_once))
    assert len(outcome.ranges_read) <= PAGES // at_once + takeovers, "only what was under way is read again"


def test_it_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that keeps no range begins again with each worker."""
    monkeypatch.setattr(HeavyLane, "_key", lambda *_: uuid4().hex)
    with pytest.raises(AssertionError, match="under way"):
        test_no_range_that_was_read_is_read_again(SEEDS[0])
