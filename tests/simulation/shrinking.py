"""Makes a failing story short: whatever can be left out without mending it is left out."""

import time
from collections.abc import Callable, Sequence

from tests.simulation.run import Outcome, simulate
from tests.simulation.steps import Step
from tests.simulation.story import tell


def oracle_of(violation: str) -> str:
    """Return the letter of the oracle that a violation names, in parentheses."""
    return violation[:3]


def shrink(
    seed: int,
    outcome: Outcome,
    *,
    within_s: float = 60.0,
    run: Callable[[int, Sequence[Step]], Outcome] = simulate,
) -> tuple[tuple[int, ...], Outcome]:
    """Return the numbers of the steps that are needed to break the same oracle, and what they come to.

    Leaves out halves, then quarters, down to single steps (Zeller's delta debugging, greedily), until nothing more
    can go or the time is up.
    """
    story = tell(seed)
    kept = list(range(len(story)))
    broken = {oracle_of(each) for each in outcome.violations}
    deadline_s = time.monotonic() + within_s
    size = len(kept) // 2
    while size >= 1 and time.monotonic() < deadline_s:
        first = 0
        while first < len(kept) and time.monotonic() < deadline_s:
            without = kept[:first] + kept[first + size :]
            shorter = run(seed, [story[number] for number in without])
            if broken & {oracle_of(each) for each in shorter.violations}:
                kept, outcome = without, shorter
            else:
                first += size
        size //= 2
    return tuple(kept), outcome


def story_of(seed: int, kept: Sequence[int], outcome: Outcome) -> str:
    """Return the story as a person reads it, and the command that tells it again."""
    story = tell(seed)
    return "\n".join(
        [
            f"seed {seed} breaks {len(outcome.violations)} promise(s):",
            *(f"  {violation}" for violation in outcome.violations[:5]),
            f"story ({len(kept)} of {len(story)} steps):",
            *(f"  {story[number]}" for number in kept),
            f"again: PYTHONHASHSEED=0 python -m tests.simulation replay {seed} --keep {_listed(kept)}",
        ]
    )


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"
