"""A failing story becomes a short one, and its text says how to tell it again."""

from collections.abc import Sequence

import pytest

from tests.simulation.__main__ import main
from tests.simulation.mutants import BY_NAME, mutated
from tests.simulation.run import Outcome, simulate
from tests.simulation.shrinking import oracle_of, shrink, story_of
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


def test_the_command_in_the_text_breaks_the_same_promise_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A real story: a seed that finds a defect, made short by running it, and told again as the text says."""
    mutant = BY_NAME["number-by-clock"]
    with mutated(mutant):
        outcome = simulate(mutant.seed)
        kept, shorter = shrink(mutant.seed, outcome)
        assert 1 < len(kept) < len(tell(mutant.seed)) / 4
        assert {oracle_of(each) for each in shorter.violations} == {oracle_of(each) for each in outcome.violations}
        text = story_of(mutant.seed, kept, shorter)
        replay = text.rpartition("python -m tests.simulation ")[2].split()
        assert main(replay) == 1
        assert capsys.readouterr().out == f"{text}\n"
    assert main(replay) == 0, "the story is one of the defect, not of the platform"
