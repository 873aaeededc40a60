"""How far a document is, from what its stores reported."""

from dataclasses import replace

import pytest

from headwater.ports.read_model import DocumentStatus, StoreState, derive_status
from schemas.events.base import Store
from schemas.events.documents import DocumentChanged, DocumentProgressed, ProgressOutcome
from schemas.ids import Revision
from tests.support.golden import golden

COMPLETE, GONE, FAILED = ProgressOutcome.COMPLETE, ProgressOutcome.GONE, ProgressOutcome.FAILED
Report = tuple[int, ProgressOutcome] | None


def state_of(report: Report) -> StoreState:
    if report is None:
        return StoreState()
    revision, outcome = report
    latest = replace(golden(DocumentProgressed, "complete"), revision=Revision(revision), outcome=outcome)
    return StoreState(latest=latest, complete=None if outcome is FAILED else latest)


@pytest.mark.parametrize(
    ("name", "vectors", "keywords", "status"),
    [
        ("upserted", None, None, DocumentStatus.PENDING),
        ("upserted", (8, COMPLETE), (8, COMPLETE), DocumentStatus.PENDING),
        ("upserted", None, (9, COMPLETE), DocumentStatus.PARTIAL),
        ("upserted", (8, FAILED), (9, COMPLETE), DocumentStatus.PARTIAL),
        ("upserted", (9, COMPLETE), (9, COMPLETE), DocumentStatus.SEARCHABLE),
        ("upserted", (9, COMPLETE), (9, FAILED), DocumentStatus.FAILED),
        ("upserted", (9, FAILED), None, DocumentStatus.FAILED),
        ("deleted", (8, COMPLETE), (8, COMPLETE), DocumentStatus.PENDING),
        ("deleted", (9, GONE), (8, COMPLETE), DocumentStatus.PENDING),
        ("deleted", (9, GONE), (9, GONE), DocumentStatus.DELETED),
        ("deleted", (9, FAILED), (9, GONE), DocumentStatus.FAILED),
    ],
)
def test_only_the_newest_revision_counts(name: str, vectors: Report, keywords: Report, status: DocumentStatus) -> None:
    state = replace(golden(DocumentChanged, name), revision=Revision(9))
    stores = {Store.VECTORS: state_of(vectors), Store.KEYWORDS: state_of(keywords)}
    assert derive_status(state, stores) is status


def test_a_store_that_never_reported_may_be_left_out() -> None:
    assert derive_status(golden(DocumentChanged, "upserted"), {}) is DocumentStatus.PENDING
