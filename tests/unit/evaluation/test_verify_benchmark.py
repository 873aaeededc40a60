"""The benchmark of the audit, as far as it needs no store."""

from datetime import UTC, datetime, timedelta

import pytest

from headwater.audit.comparing import Sums
from headwater.audit.passes import PassResult
from headwater.errors import FatalError
from headwater.ports.consistency import Difference, Projection
from headwater.rows.conditions import holds, row_facts, scope_condition
from schemas.ids import GenerationName, TenantId
from tests.performance.audit_passes import Pass, require_clean
from tests.performance.synthetic import ASKER, states_of
from tests.performance.verify import Asked, figures_of
from tests.support.audited import rows_of_state

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACME = TenantId("acme")


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


PASSES = (Pass(began=at(10), ended=at(50)), Pass(began=at(60), ended=at(80)))


def asked(second: float, took_ms: float) -> Asked:
    return Asked(at=at(second), took_s=took_ms / 1e3)


def test_only_questions_during_a_pass_are_beside_it() -> None:
    figures = figures_of(
        100_000,
        PASSES,
        alone=[asked(0, 10), asked(1, 10), asked(99, 10)],
        beside=[asked(5, 500), asked(10, 12), asked(45, 12), asked(55, 500), asked(61, 12), asked(85, 500)],
    )
    values = {figure.name: figure.value for figure in figures}
    assert values["question to both stores beside a pass, p95"] == pytest.approx(12)
    assert values["slowed down by, p50"] == pytest.approx(1.2)
    assert (values["a clean pass, the log read from its beginning"], values["the next pass"]) == (40, 20)
    assert values["speed of the next pass"] == 5_000
    assert {figure.name for figure in figures if figure.met is False} == {
        f"slowed down by, {each}" for each in ("mean", "p50", "p95")
    }


@pytest.mark.parametrize(
    ("beside", "missed"),
    [([10] * 20, set()), ([10] * 39 + [100], {"mean"}), ([10] * 11 + [30] * 9, {"mean", "p95"})],
    ids=["as-quick", "one-slow", "many-slow"],
)
def test_questions_that_are_slow_beside_a_pass_are_not_hidden_by_quick_ones(
    beside: list[float], missed: set[str]
) -> None:
    figures = figures_of(100_000, PASSES, alone=[asked(0, 10)], beside=[asked(20, each) for each in beside])
    assert {figure.name for figure in figures if figure.met is False} == {f"slowed down by, {each}" for each in missed}


def test_fewer_chunks_meet_no_goal() -> None:
    figures = figures_of(20_000, PASSES, alone=[asked(0, 10)], beside=[asked(20, 10)])
    assert [figure.met for figure in figures] == [None] * len(figures)


def result_of(**rows: int) -> PassResult:
    return PassResult(
        generation=GenerationName("g1"),
        started_at=at(0),
        finished_at=at(1),
        positions={},
        behind=False,
        ranges=1,
        differing_ranges=(),
        sums={(ACME, Projection(name)): Sums(rows=count) for name, count in rows.items()},
    )


def test_a_pass_that_compared_less_than_there_is_is_no_figure() -> None:
    require_clean(result_of(vectors=80, keywords=80, documents=10), chunks=80)
    with pytest.raises(FatalError, match="compared 72 rows of keywords, not 80"):
        require_clean(result_of(vectors=80, keywords=72, documents=10), chunks=80)


def test_a_pass_that_found_something_is_no_figure() -> None:
    result = result_of(vectors=80, keywords=80)
    result.counts[ACME, Projection.VECTORS, Difference.MISSING] = 1
    with pytest.raises(FatalError, match="the stores should agree"):
        require_clean(result, chunks=80)


def test_whoever_asks_may_read_some_documents_and_not_others() -> None:
    condition = scope_condition(ASKER)
    rows = [row for state in states_of(1_000) for row in rows_of_state(state, chunks=1)]
    assert 100 < sum(holds(condition, row_facts(row)) for row in rows) < 500
