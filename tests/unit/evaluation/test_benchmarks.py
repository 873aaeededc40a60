"""What decides whether a benchmark's goal was met, and what else of the benchmarks can be wrong without a stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest
from typer.testing import CliRunner

from headwater.cli import bench as command
from headwater.cli.bench import CHECKOUT, app, bench
from headwater.settings import Settings
from tests.performance.__main__ import APART, BENCHMARKS
from tests.performance.bench import Components
from tests.performance.figures import Figure, spread
from tests.performance.history import waves
from tests.performance.lanes import due, later_share
from tests.performance.soak import figures_of


@pytest.mark.parametrize(
    ("value", "bound", "met"),
    [(0.7, "at least", False), (0.75, "at least", True), (0.75, "at most", True), (0.8, "at most", False)],
)
def test_a_goal_is_a_bound(value: float, bound: Any, met: bool) -> None:
    assert Figure(name="f", value=value, unit="x", goal=0.75, bound=bound).met is met


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    assert Figure(name="f", value=1, unit="x").met is None


def test_spreads_are_in_milliseconds() -> None:
    middle, high = spread("edit", [0.1] * 19 + [1.0], p50=150, p95=100)
    assert middle.value == pytest.approx(100)
    assert (middle.name, middle.met) == ("edit, p50", True)
    assert (high.name, high.met) == ("edit, p95", False)


def test_no_wave_edits_a_page_twice_and_order_is_kept() -> None:
    events = [
        {"path": "a", "op": "M"},
        {"path": "b", "op": "M"},
        {"path": "c", "from": "b", "op": "R"},
        {"path": "d", "op": "M"},
        {"path": "c", "op": "D"},
    ]
    assert list(waves(iter(events))) == [events[:2], events[2:4], events[4:]]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_offered_and_described(name: str) -> None:
    (argument,) = get_type_hints(bench, include_extras=True)["names"].__metadata__
    assert name in argument.help.replace(";", ",").split(", ")
    assert f"| `{name}` | " in (CHECKOUT / "docs" / "benchmarks.md").read_text()


def test_the_command_knows_which_ones_need_the_components_alone() -> None:
    assert frozenset(APART) == command.APART


def test_sizes_are_passed_on_where_they_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    @contextmanager
    def own_stack(_settings: Settings, *, apart: bool) -> Iterator[None]:
        yield

    def measure(arguments: list[str], _stack: None) -> list[dict[str, Any]]:
        asked.append(arguments)
        return []

    monkeypatch.setattr("headwater.cli.bench._own_stack", own_stack)
    monkeypatch.setattr("headwater.cli.bench._measure", measure)
    for options in ((), ("--pages", "60"), ("--chunks", "20000")):
        assert CliRunner().invoke(app, ["verify", *options]).exit_code == 0
    assert asked == [["verify"], ["verify", "--pages=60"], ["verify", "--chunks=20000"]]


def test_pages_are_as_many_as_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "handbook-18f" / "pages"
    folder.mkdir(parents=True)
    for name in "abc":
        (folder / f"{name}.md").write_text(f"# {name}")
    wanted = Components(settings=Settings(), stack=cast("Any", None), data=tmp_path, say=lambda text: None)
    assert [page.external_id for page in wanted.handbook()] == ["a.md", "b.md", "c.md"]
    assert [page.external_id for page in replace(wanted, pages=2).handbook()] == ["a.md", "b.md"]


def test_a_leak_is_told_from_a_process_that_fills_up_first_and_has_peaks() -> None:
    looks = [
        (
            15.0 * n,
            {"leaks": 100.0 + n, "fills": 100.0 + min(n, 15), "peaks": 100.0 + (50 if n % 10 == 0 else 0)},
        )
        for n in range(80)
    ]
    growth = {figure.name: figure for figure in figures_of(looks) if figure.name.endswith("growth")}
    assert growth["leaks, growth"].value == pytest.approx(59.0)
    assert {name: figure.met for name, figure in growth.items()} == {
        "leaks, growth": False,
        "fills, growth": True,
        "peaks, growth": True,
    }


def test_edits_are_spread_over_a_backfill_that_outlasts_them() -> None:
    wanted = [due(edit, 5_000) for edit in range(20)]
    assert (wanted[0], wanted[-1]) == (0, 4_275)
    assert {later - earlier for earlier, later in pairwise(wanted)} == {225}


def test_a_share_counts_while_both_wait() -> None:
    def at(*seconds: int) -> list[datetime]:
        return [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=each) for each in seconds]

    assert later_share(at(0, 1, 2, 4, 6), at(3, 5, 7, 8)) == pytest.approx(0.5)
    assert later_share(at(0, 1, 2, 3), at(3, 4, 5, 6)) == pytest.approx(0.5)
    assert later_share(at(0, 1, 9), at(2, 3, 4, 5, 6, 7, 8)) == pytest.approx(1.0)
