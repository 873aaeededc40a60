"""Whatever differs is found and named, and nothing that is under way is."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.access.policies import MIXED
from headwater.audit.comparing import compare, confirmed
from headwater.audit.judging import Horizon, LoggedDocument, StoreReports
from headwater.ports.consistency import Difference, Holding, Projection
from schemas.events.base import Store
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, Revision
from tests.unit.audit.worlds import (
    ACME,
    FEW,
    HORIZON,
    NOW_MS,
    RIVAL,
    ROWS,
    YOUNG_MS,
    all_of,
    held_of,
    logged,
    populations,
)

STORES = (Projection.VECTORS, Projection.KEYWORDS)
Kinds = set[tuple[Projection, Difference]]


def kinds(
    documents: Sequence[LoggedDocument],
    held: dict[Projection, list[Holding]],
    horizon: Horizon = HORIZON,
) -> Kinds:
    return {(each.projection, each.difference) for each in compare(documents, held, horizon).findings}


def in_stores(document: LoggedDocument, *held: Holding) -> dict[Projection, list[Holding]]:
    return all_of([document]) | {key: list(held) for key in STORES}


def both(difference: Difference) -> Kinds:
    return {(projection, difference) for projection in STORES}


@given(populations)
def test_stores_that_agree_are_clean_and_their_fingerprints_are_equal(documents: list[LoggedDocument]) -> None:
    look = compare(documents, all_of(documents), HORIZON)
    assert look.findings == ()
    assert all(sums.held == sums.expected for sums in look.sums.values())
    assert sum(each.documents for each in look.population.values()) == len(documents)


@given(populations.filter(bool), st.data())
def test_any_single_difference_is_found_and_nothing_else(documents: list[LoggedDocument], data: st.DataObject) -> None:
    held = all_of(documents)
    projection = data.draw(st.sampled_from(list(Projection)))
    victim = data.draw(st.sampled_from(documents))
    place = next(n for n, each in enumerate(held[projection]) if each.document_id == victim.document_id)
    right = held[projection][place]
    wrong = data.draw(
        st.sampled_from(
            [
                (Difference.MISSING, []),
                (Difference.INCOMPLETE, [replace(right, rows=right.rows + 1)]),
                (Difference.OUTDATED, [replace(right, revision=Revision(6))]),
                (Difference.WRONG_POLICY, [replace(right, policy=FEW)]),
                (Difference.WRONG_POLICY, [replace(right, policy=MIXED)]),
                (Difference.EXTRA, [right, replace(right, revision=Revision(6))]),
                (Difference.EXTRA, [right, replace(right, tenant_id=RIVAL)]),
                (Difference.EXTRA, [right, replace(right, document_id=DocumentId("f" * 32))]),
            ]
        )
    )
    difference, instead = wrong
    held[projection][place : place + 1] = instead
    look = compare(documents, held, HORIZON)
    assert [(each.projection, each.difference) for each in look.findings] == [(projection, difference)]
    [finding] = look.findings
    if difference is not Difference.EXTRA:
        assert (finding.document_id, finding.revision, finding.stray) == (victim.document_id, victim.revision, ())
        assert look.subjects == {victim.document_id: victim}
    else:
        assert finding.stray == (instead[1].revision,)
    assert next(key for key, sums in look.sums.items() if sums.held != sums.expected)[1] is projection


def test_a_deleted_document_has_no_rows() -> None:
    deleted = logged(op=DocumentOp.DELETED, reports=dict.fromkeys(Store, StoreReports(complete=Revision(7))))
    assert kinds([deleted], all_of([deleted])) == set()
    assert kinds([deleted], in_stores(deleted, held_of(deleted, revision=6))) == both(Difference.EXTRA)


def test_an_empty_document_has_no_rows_either() -> None:
    empty = logged(reports=dict.fromkeys(Store, StoreReports(complete=Revision(7), rows=0)))
    assert kinds([empty], in_stores(empty)) == set()
    assert kinds([empty], in_stores(empty, held_of(empty, rows=1))) == both(Difference.EXTRA)


@pytest.mark.parametrize("rows", [0, 1, ROWS])
@pytest.mark.parametrize("older", [True, False])
def test_a_young_revision_that_is_not_complete_is_not_judged(rows: int, older: bool) -> None:
    young = logged(admitted_ms=YOUNG_MS, reports=dict.fromkeys(Store, StoreReports(complete=Revision(6), rows=2)))
    held = [held_of(young, rows=rows)] * bool(rows) + [held_of(young, revision=6, rows=2)] * older
    look = compare([young], in_stores(young, *held) | {Projection.DOCUMENTS: []}, HORIZON)
    assert look.findings == ()
    assert look.population[ACME].under_way == 1


@pytest.mark.parametrize(
    ("held", "difference"),
    [
        ([], Difference.MISSING),
        ([(6, 2)], Difference.OUTDATED),
        ([(7, 2)], Difference.INCOMPLETE),
        ([(6, 2), (7, 2)], Difference.INCOMPLETE),
    ],
)
def test_an_old_revision_that_was_never_complete_is_a_finding(
    held: list[tuple[int, int]], difference: Difference
) -> None:
    overdue = logged(reports=dict.fromkeys(Store, StoreReports(complete=Revision(6), rows=2)))
    found = in_stores(overdue, *(held_of(overdue, revision=revision, rows=rows) for revision, rows in held))
    assert kinds([overdue], found) == both(difference)  # what is older may be what still answers
    assert kinds([overdue], found, replace(HORIZON, behind=True)) == set()


def test_what_was_parked_is_a_matter_of_dead_letters() -> None:
    parked = logged(reports=dict.fromkeys(Store, StoreReports(complete=Revision(6), rows=2, failed=Revision(7))))
    look = compare([parked], in_stores(parked, held_of(parked, revision=6, rows=2)), HORIZON)
    assert look.findings == ()
    assert look.population[ACME].parked == 1


def test_older_rows_are_left_to_the_sweeper_for_its_grace() -> None:
    for reported_ms, expected in ((NOW_MS - 44_000, set()), (NOW_MS - 46_000, both(Difference.EXTRA))):
        reports = StoreReports(complete=Revision(7), rows=ROWS, reported_ms=reported_ms)
        document = logged(reports=dict.fromkeys(Store, reports))
        assert kinds([document], in_stores(document, held_of(document), held_of(document, revision=6))) == expected


def test_after_the_log_went_back_its_newest_must_run_again() -> None:
    back = logged(reports=dict.fromkeys(Store, StoreReports(complete=Revision(9), rows=2)))
    found = compare([back], in_stores(back, held_of(back, revision=9, rows=2)), HORIZON).findings
    assert {(each.difference, each.stray) for each in found} == {(Difference.MISSING, ()), (Difference.EXTRA, (9,))}


def test_rows_under_another_tenant_are_nobodys() -> None:
    document = logged()
    stranger = replace(held_of(document), tenant_id=RIVAL)
    [finding] = compare([document], in_stores(document, held_of(document), stranger), HORIZON).findings[:1]
    assert (finding.tenant_id, finding.difference, finding.revision) == (RIVAL, Difference.EXTRA, None)


def test_a_revision_that_was_seen_once_is_never_stray() -> None:
    document = logged()
    first = compare([document], in_stores(document, held_of(document), held_of(document, revision=5)), HORIZON)
    newer = [held_of(document, revision=revision) for revision in (7, 5, 9)]
    told = confirmed(first, compare([document], in_stores(document, *newer), HORIZON)).findings
    assert {each.stray for each in told} == {(5,)}
    second = compare([document], in_stores(document, held_of(document), held_of(document, revision=9)), HORIZON)
    assert confirmed(first, second).findings == ()


def test_only_what_both_looks_saw_is_told() -> None:
    one, two = logged(1), logged(2)
    first = compare([one, two], in_stores(one), HORIZON)
    second = compare([one, two], in_stores(one, held_of(one)), HORIZON)
    told = confirmed(first, second)
    assert {each.document_id for each in told.findings} == {two.document_id}
    assert told.sums == second.sums
