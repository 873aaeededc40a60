"""The oracles bite: each deliberate defect is found by a seed of the standard run."""

from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, mutated
from tests.simulation.run import simulate
from tests.simulation.shrinking import oracle_of
from tests.simulation.test_simulation import SEEDS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_defect_is_found(mutant: Mutant) -> None:
    """Begin with the seed that found it before: stories change with the simulation, and then another one does."""
    before = list(SEEDS).index(mutant.seed)
    for seed in [*SEEDS[before:], *SEEDS[:before]]:
        with mutated(mutant):
            outcome = simulate(seed)
        if {oracle_of(violation)[1] for violation in outcome.violations} & set(mutant.found_by):
            return
    pytest.fail(f"no oracle noticed in {len(SEEDS)} stories: {mutant.defect}")


def test_the_guide_lists_every_defect() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "reliability.md").read_text()
    rows = [
        f"| `{each.name}` | {each.defect} | {', '.join(f'({letter})' for letter in each.found_by)} | {each.seed} |"
        for each in MUTANTS
    ]
    assert [row for row in rows if f"{row}\n" not in guide] == []
