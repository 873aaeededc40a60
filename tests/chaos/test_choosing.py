"""Which faults a run has, and which of them need components that nobody else uses."""

from pathlib import Path

import pytest

from tests.chaos.faults import (
    OF_THE_COMPONENTS,
    OF_THE_PRODUCT,
    PAIRS,
    TOGETHER,
    chosen,
    strike_components,
    strike_of,
)
from tests.chaos.report import Report


def test_all_are_all_and_the_pairs_that_the_seed_chooses() -> None:
    names = chosen("all", seed=18)
    assert names[:-PAIRS] == (*OF_THE_PRODUCT, *OF_THE_COMPONENTS)
    assert names[-PAIRS:] == chosen("pairs", seed=18)
    assert chosen("pairs", seed=18) != chosen("pairs", seed=19)
    for name in names:
        strike_of(name)


def test_the_report_says_which_seed_chose_the_pairs(tmp_path: Path) -> None:
    Report(seed=20261123, pages=12).write(tmp_path / "chaos.json")
    assert "Pairs by seed 20261123, 12 pages." in (tmp_path / "chaos.md").read_text()


@pytest.mark.parametrize("name", [*OF_THE_COMPONENTS, "embed+kafka", "redis+milvus"])
def test_what_strikes_a_component_needs_components_of_its_own(name: str) -> None:
    assert strike_components(("nothing", name))


@pytest.mark.parametrize("name", [*OF_THE_PRODUCT, TOGETHER.join(("admit", "heads"))])
def test_what_strikes_the_product_does_not(name: str) -> None:
    assert not strike_components([name])


@pytest.mark.parametrize("name", ["kafkaa", "kafka+nobody", "kafka-away"])
def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="choose from nothing, "):
        chosen(f"nothing,{name}", seed=1)
