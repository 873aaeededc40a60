"""Fingerprints do not depend on order, and bisection finds exactly what differs."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.access.policies import MIXED, policy_of
from headwater.audit.bisection import differing
from headwater.audit.fingerprints import MODULUS, NOTHING, Fact, fact_hash, fingerprint, spelled
from headwater.ports.consistency import IdRange
from schemas.ids import Revision
from tests.unit.audit.worlds import ACME, EVERYBODY, FEW, RIVAL, document_named

facts = st.builds(
    Fact,
    tenant_id=st.sampled_from([ACME, RIVAL]),
    document_id=st.integers(1, 50).map(document_named),
    revision=st.integers(1, 9).map(Revision),
    rows=st.integers(0, 9),
    policy=st.sampled_from([EVERYBODY, FEW, MIXED]),
)
fact_sets = st.sets(facts, max_size=40)
principals = st.lists(st.text(min_size=1, max_size=8), max_size=6)


@given(fact_sets, st.randoms(use_true_random=False))
def test_a_fingerprint_does_not_depend_on_the_order(chosen: set[Fact], random: st.DataObject) -> None:
    shuffled = sorted(chosen)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis hands out a random.Random
    assert fingerprint(shuffled) == fingerprint(chosen)


@given(fact_sets, fact_sets)
def test_fingerprints_of_parts_add_up(some: set[Fact], others: set[Fact]) -> None:
    together = (fingerprint(some) + fingerprint(others - some)) % MODULUS
    assert together == fingerprint(some | others)


@given(fact_sets, fact_sets)
def test_different_sets_have_different_fingerprints(some: set[Fact], others: set[Fact]) -> None:
    assert (fingerprint(some) == fingerprint(others)) == (some == others)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": RIVAL},
        {"document_id": document_named(2)},
        {"revision": Revision(8)},
        {"rows": 3},
        {"policy": FEW},
        {"policy": MIXED},
    ],
)
def test_every_part_of_a_fact_counts(change: dict[str, object]) -> None:
    fact = Fact(tenant_id=ACME, document_id=document_named(1), revision=Revision(7), rows=4, policy=EVERYBODY)
    assert fact_hash(fact) != fact_hash(replace(fact, **change))  # type: ignore[arg-type] # named by the test's table


def test_nothing_has_a_fingerprint_of_zeroes() -> None:
    assert (fingerprint([]), spelled(fingerprint([]))) == (NOTHING, "0" * 32)


@given(fact_sets, fact_sets)
def test_bisection_finds_exactly_the_documents_that_differ(expected: set[Fact], held: set[Fact]) -> None:
    assert differing(expected, held) == tuple(sorted({fact.document_id for fact in expected ^ held}))


@given(principals, principals)
def test_a_policy_is_a_matter_of_sets(readers: list[str], second: list[str]) -> None:
    same = policy_of([*reversed(readers), *readers], sorted(second))
    assert policy_of(readers, second) == same
    assert (policy_of(readers, second) == policy_of(second, readers)) == (set(readers) == set(second))


def test_principals_do_not_run_into_each_other() -> None:
    assert len({policy_of(["ab"], []), policy_of(["a", "b"], []), policy_of(["a"], ["b"]), policy_of([], ["ab"])}) == 4


@given(st.integers(1, 300), st.integers(1, 5), st.text(max_size=4) | st.integers(1, 10_000).map(document_named))
def test_ranges_hold_every_id_exactly_once(count: int, again: int, document: str) -> None:
    parts = [inner for part in IdRange.whole().parts(count) for inner in part.parts(again)]
    assert sum(part.holds(document) for part in parts) == 1
    assert all(left.high == right.low for left, right in pairwise(parts))
    assert (parts[0].low, parts[-1].high) == ("", None)


def test_a_range_that_is_too_narrow_stays_whole() -> None:
    narrow = IdRange(low="0000000a", high="0000000b")
    assert narrow.parts(2) == (narrow,)
