"""The standard run: what the platform promises holds in every one of these stories."""

import threading

import pytest

from tests.simulation.many import simulate_all
from tests.simulation.run import simulate
from tests.simulation.shrinking import shrink, story_of
from tests.simulation.story import tell

SEEDS = range(200)
EVENTS = 100_000


@pytest.mark.timeout(600)
def test_every_promise_holds_in_every_story() -> None:
    events = answers = finds = 0
    for outcome in simulate_all(SEEDS, processes=2):
        events += outcome.events
        answers += outcome.answers
        finds += outcome.finds
        if outcome.violations:
            pytest.fail(story_of(outcome.seed, *shrink(outcome.seed, outcome)), pytrace=False)
    assert events >= EVENTS
    assert answers > 20 * len(SEEDS)  # the replicas did answer: refusing everything would keep most promises
    assert finds > 12 * len(SEEDS)  # and what is gone, or nobody may read, nobody would miss


def test_nothing_runs_beside_a_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is not replaced works in threads: it would come at its own time, and cost its own."""
    started: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        started.append(thread.name)
        raise RuntimeError("no thread is started in a story")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert simulate(9).violations == ()
    assert started == []


@pytest.mark.parametrize(
    "seed", [5, 7, 9, 16, 18, 33, 124]
)  # of each kind; 124: suspects whose deliveries came at one instant
def test_a_story_can_be_told_again(seed: int) -> None:
    assert tell(seed) == tell(seed)
    assert simulate(seed) == simulate(seed)
