"""A failing story becomes a short one, and its text says how to tell it again."""

from collections.abc import Sequence

from tests.simulation.run import Outcome
from tests.simulation.shrinking import shrink, story_of
from tests.simulation.steps import Step
from tests.simulation.story import tell


def _outcome(seed: int, *violations: str) -> Outcome:
    return Outcome(
        seed=seed, violations=violations, events=0, answers=0, rows=0, finds=0, settled_after_s=0.0, crashes=()
    )


def test_only_the_steps_that_matter_are_kept() -> None:
    story = tell(3)
    needed = (story[5], story[17])

    def run(seed: int, steps: Sequence[Step]) -> Outcome:
        return _outcome(seed, "(b) shown") if all(step in steps for step in needed) else _outcome(seed)

    kept, outcome = shrink(3, _outcome(3, "(b) shown"), run=run)
    assert kept == (5, 17)
    assert "replay 3 --keep 5,17" in story_of(3, kept, outcome)


def test_another_oracle_is_another_story() -> None:
    kept, _ = shrink(3, _outcome(3, "(b) shown"), run=lambda seed, steps: _outcome(seed, "(a) differs"))
    assert kept == tuple(range(len(tell(3))))
