"""Whoever judges answers by the log finds what is wrong with them, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from headwater.settings import Settings
from schemas.events.base import Store
from schemas.events.documents import Access, Clause, DocumentOp
from schemas.ids import EVERYONE, Principal, Revision
from tests.support.events import progressed
from tests.support.heads import changed
from tests.support.witness import LATE_S, Answer, Witness, Wrong

ADA = frozenset({EVERYONE, Principal("user:ada")})
FOR_BOB = Access(clauses=(Clause(principals=(Principal("user:bob"),)),))
NOW_S = 1_000.0


@pytest.fixture
def witness() -> Witness:
    """The log shows one document since long ago: revision 5, for everyone, complete in both stores."""
    witness = Witness(settings=Settings())
    note(witness, 5, at_s=100.0)
    complete(witness, 5, at_s=101.0)
    return witness


def note(witness: Witness, revision: int, *, at_s: float, admitted_s: float | None = None, **fields: Any) -> None:
    admitted_at = datetime.fromtimestamp(at_s if admitted_s is None else admitted_s, UTC)
    witness.note(changed(revision=Revision(revision), admitted_at=admitted_at, **fields), at_s=at_s)


def complete(witness: Witness, revision: int, *, at_s: float, stores: tuple[Store, ...] = tuple(Store)) -> None:
    for store in stores:
        report = progressed(store, revision=revision)
        report = replace(report, document_id=changed().document_id, generation=witness.settings.generation)
        witness.note(report, at_s=at_s)


def judged(witness: Witness, *, revision: int = 5, **times: float) -> list[Wrong]:
    """Judge an answer with one hit, that holds as of now."""
    values = {"sent_s": NOW_S, "received_s": NOW_S + 0.1, "as_of_s": NOW_S} | times
    answer = Answer(hits=((changed().document_id, revision),), **values)
    return witness.judge(answer, principals=ADA)


def test_the_newest_revision_is_right(witness: Witness) -> None:
    assert judged(witness) == []


def test_an_older_revision_is_stale_once_a_newer_one_is_complete_in_both_stores(witness: Witness) -> None:
    note(witness, 6, at_s=900.0)
    assert judged(witness) == []
    complete(witness, 6, at_s=950.0, stores=(Store.VECTORS,))
    assert judged(witness) == []
    complete(witness, 6, at_s=960.0, stores=(Store.KEYWORDS,))
    assert judged(witness) == [Wrong.STALE]
    assert judged(witness, as_of_s=959.0, sent_s=960.0, received_s=961.0) == []
    assert judged(witness, revision=6) == []


def test_a_deleted_document_is_stale(witness: Witness) -> None:
    note(witness, 6, at_s=900.0, op=DocumentOp.DELETED)
    assert judged(witness) == [Wrong.STALE]


def test_a_document_for_somebody_else_is_forbidden(witness: Witness) -> None:
    note(witness, 6, at_s=900.0, access=FOR_BOB)
    assert judged(witness) == [Wrong.FORBIDDEN]
    note(
        witness, 7, at_s=910.0, access=Access(clauses=(Clause(principals=(EVERYONE,)),), deny=(Principal("user:ada"),))
    )
    assert judged(witness) == [Wrong.FORBIDDEN]
    note(witness, 8, at_s=920.0, access=Access())
    assert judged(witness) == [Wrong.FORBIDDEN]


def test_a_replica_may_be_ahead_of_the_witness_but_not_by_much(witness: Witness) -> None:
    note(witness, 6, at_s=900.0, access=FOR_BOB)
    note(witness, 7, at_s=NOW_S + LATE_S, admitted_s=NOW_S - 2.0)
    assert judged(witness) == []
    assert judged(witness, received_s=NOW_S - 1.0) == [Wrong.FORBIDDEN]


def test_no_replica_is_ahead_of_admission(witness: Witness) -> None:
    note(witness, 6, at_s=900.0, access=FOR_BOB)
    note(witness, 7, at_s=NOW_S + 1.0, admitted_s=NOW_S + 0.5)
    assert judged(witness) == [Wrong.FORBIDDEN]
    assert judged(witness, received_s=NOW_S + 0.6) == []


def test_a_replica_past_its_budget_is_stale(witness: Witness) -> None:
    budget_s = witness.settings.heads.staleness_budget_s
    assert judged(witness, as_of_s=NOW_S - budget_s) == []
    assert judged(witness, as_of_s=NOW_S - budget_s - 1.0) == [Wrong.STALE]
