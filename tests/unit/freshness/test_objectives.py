"""Objectives, error budgets, burn rates; legs of a revision's way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.freshness.legs import Leg, legs
from headwater.freshness.objectives import STEPS, Promise, Tally, judge, targets, worst
from headwater.settings import Settings
from schemas.events.documents import DocumentIngested, DocumentOp
from tests.support.golden import golden

FACT = golden(DocumentIngested, "with_stage_times")


@pytest.mark.parametrize(
    ("within", "total", "met", "burn_rate"),
    [(100, 100, True, 0.0), (95, 100, True, 1.0), (94, 100, False, 1.2), (0, 100, False, 20.0), (19, 20, True, 1.0)],
)
def test_one_in_twenty_may_be_late(within: int, total: int, met: bool, burn_rate: float) -> None:
    verdict = judge(Tally(total=total, within=within))
    assert verdict.met is met
    assert verdict.burn_rate == pytest.approx(burn_rate)
    assert verdict.error_budget_left == pytest.approx(1 - burn_rate)


def test_nothing_seen_is_no_verdict() -> None:
    assert judge(Tally()).met is None
    assert worst([judge(Tally()), judge(Tally())]).met is None
    assert worst([judge(Tally()), judge(Tally(total=1, within=1))]).met is True


TALLIES = st.integers(0, 1_000).flatmap(
    lambda total: st.integers(0, total).map(lambda within: Tally(total=total, within=within))
)


@given(TALLIES)
def test_met_means_that_the_budget_is_not_overspent(tally: Tally) -> None:
    verdict = judge(tally)
    if verdict.met is not None and verdict.error_budget_left is not None:
        assert verdict.met is (verdict.error_budget_left >= -1e-9)


@given(st.lists(TALLIES, max_size=4))
def test_a_promise_is_kept_when_every_view_says_so(tallies: list[Tally]) -> None:
    verdicts = [judge(tally) for tally in tallies]
    said = [verdict.met for verdict in verdicts if verdict.met is not None]
    assert worst(verdicts).met == (all(said) if said else None)


def test_every_promise_is_looked_at_from_outside_and_has_a_target() -> None:
    assert set(STEPS.values()) == set(Promise)
    assert set(targets(Settings().freshness)) == set(Promise)


def test_legs_add_up_to_the_way() -> None:
    took = legs(FACT)
    assert took[Leg.ADMITTED] + took[Leg.PREPARED] + took[Leg.WORDS_INDEXED] == took[Leg.WORDS] == 70
    assert took[Leg.ADMITTED] + took[Leg.PREPARED] + took[Leg.EMBEDDED] + took[Leg.MEANING_INDEXED] == 100
    assert took[Leg.WORDS_FROM_SOURCE] == took[Leg.OBSERVED] + took[Leg.WORDS]
    assert Leg.REMOVED not in took


def test_a_fact_of_an_earlier_build_has_the_legs_that_it_knows() -> None:
    known = {Leg.OBSERVED, Leg.ADMITTED, Leg.WORDS, Leg.MEANING, Leg.WORDS_FROM_SOURCE, Leg.MEANING_FROM_SOURCE}
    assert set(legs(golden(DocumentIngested, "upserted"))) == known


def test_clocks_that_disagree_take_no_time() -> None:
    assert legs(replace(FACT, occurred_at=FACT.observed_at + timedelta(seconds=3)))[Leg.OBSERVED] == 0


def test_of_a_deletion_its_removal_alone_is_measured() -> None:
    assert legs(replace(FACT, op=DocumentOp.DELETED)) == {Leg.REMOVED: FACT.freshness_ms}
