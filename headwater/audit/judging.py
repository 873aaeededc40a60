"""What the log says each projection should hold, and how what it holds differs: no clock, no network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from headwater.access.policies import Policy
from headwater.audit.fingerprints import Fact
from headwater.ports.consistency import Difference, Finding, Holding, Projection
from schemas.events.base import Store
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, Revision, SourceId, TenantId

_STORES: Final = {Projection.VECTORS: Store.VECTORS, Projection.KEYWORDS: Store.KEYWORDS}
# How many rows a revision has that never was complete is not known: no holding has this number.
_UNKNOWN_ROWS: Final = -1
_NEVER: Final = Revision(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReports:
    """What a store reported of a document in one generation. Revision 0: nothing yet."""

    complete: Revision = _NEVER  # the newest that is complete, or gone
    rows: int = 0  # of it
    reported_ms: int = 0  # when; its older rows may stay until the sweeper's grace has passed
    failed: Revision = _NEVER  # the newest that was parked


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDocument:
    """A document as the log has it, as far as an audit needs it."""

    tenant_id: TenantId
    document_id: DocumentId
    source: SourceId
    external_id: str
    revision: Revision
    op: DocumentOp
    policy: Policy  # of its rows: of `row_readers` of its access
    admitted_ms: int
    reports: Mapping[Store, StoreReports] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """What is too young to be judged, as of one instant."""

    now_ms: int
    grace_ms: int  # a revision may be on its way this long
    removal_ms: int  # older rows may lie beside a complete revision this long
    behind: bool  # stages have old events to read: whatever is not complete may be among them


class Expecting(StrEnum):
    """How sure the log is about a document in a projection."""

    SETTLED = "settled"
    OVERDUE = "overdue"  # should have been complete long ago
    UNDER_WAY = "under_way"  # not judged yet
    PARKED = "parked"  # failed in a stage: dead letters say why


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a projection should hold of a document. Without a fact: nothing at all."""

    how: Expecting
    fact: Fact | None = None


def expectation(document: LoggedDocument, projection: Projection, horizon: Horizon) -> Expectation:
    """Return what a projection should hold of a document that the log knows."""
    if projection is Projection.DOCUMENTS:
        return _of_read_model(document, horizon)
    return _of_store(document, document.reports.get(_STORES[projection], StoreReports()), horizon)


def differences(
    projection: Projection, document: LoggedDocument | None, expected: Expectation, held: Sequence[Holding]
) -> tuple[Finding, ...]:
    """Return how what is held of one document differs from what is expected; empty where it does not.

    `held`: what the projection holds of this document under one tenant. Without a document, the log does not know it.
    """
    if expected.how in {Expecting.UNDER_WAY, Expecting.PARKED}:
        return ()
    wanted = None if expected.fact is None else expected.fact.revision
    stray = tuple(sorted(each.revision for each in held if each.revision != wanted))
    found: list[tuple[Difference, tuple[Revision, ...]]] = []
    if expected.fact is not None and (fault := _fault(expected.fact, held)) is not None:
        found.append((fault, ()))
        # While the newest is not right, an older one may be what still answers: it goes once the newest is complete.
        stray = tuple(each for each in stray if each > expected.fact.revision)
    if stray:
        found.append((Difference.EXTRA, stray))
    subject = document or next(iter(held), None)
    if subject is None:
        return ()
    return tuple(
        Finding(
            tenant_id=subject.tenant_id,
            document_id=subject.document_id,
            projection=projection,
            difference=difference,
            revision=None if document is None else document.revision,
            stray=revisions,
        )
        for difference, revisions in found
    )


def _fault(fact: Fact, held: Sequence[Holding]) -> Difference | None:
    right = next((each for each in held if each.revision == fact.revision), None)
    if right is None:
        older = any(each.revision < fact.revision for each in held)
        return Difference.OUTDATED if older else Difference.MISSING
    if right.rows != fact.rows:
        return Difference.INCOMPLETE
    return Difference.WRONG_POLICY if right.policy != fact.policy else None


def facts_of(held: Iterable[Holding]) -> list[Fact]:
    """Return what is held as facts."""
    return [
        Fact(
            tenant_id=each.tenant_id,
            document_id=each.document_id,
            revision=each.revision,
            rows=each.rows,
            policy=each.policy,
        )
        for each in held
    ]


def _fact(document: LoggedDocument, rows: int) -> Fact:
    return Fact(
        tenant_id=document.tenant_id,
        document_id=document.document_id,
        revision=document.revision,
        rows=rows,
        policy=document.policy,
    )


def _of_read_model(document: LoggedDocument, horizon: Horizon) -> Expectation:
    """One record a document, deletions included, of the newest revision."""
    if _young(document, horizon):
        return Expectation(how=Expecting.UNDER_WAY)
    return Expectation(how=Expecting.SETTLED, fact=_fact(document, 1))


def _of_store(document: LoggedDocument, reports: StoreReports, horizon: Horizon) -> Expectation:
    if reports.complete == document.revision:
        return _of_complete(document, reports, horizon)
    went_back = reports.complete > document.revision  # the log did, as after a restore: its newest must run again
    if not went_back and reports.failed >= document.revision:
        return Expectation(how=Expecting.PARKED)
    if not went_back and _young(document, horizon):
        return Expectation(how=Expecting.UNDER_WAY)
    if document.op is DocumentOp.DELETED:
        return Expectation(how=Expecting.SETTLED)
    return Expectation(how=Expecting.OVERDUE, fact=_fact(document, _UNKNOWN_ROWS))


def _of_complete(document: LoggedDocument, reports: StoreReports, horizon: Horizon) -> Expectation:
    if horizon.now_ms - reports.reported_ms < horizon.removal_ms:
        return Expectation(how=Expecting.UNDER_WAY)  # what is older may still be there, and may go at any moment
    gone = document.op is DocumentOp.DELETED or not reports.rows
    return Expectation(how=Expecting.SETTLED, fact=None if gone else _fact(document, reports.rows))


def _young(document: LoggedDocument, horizon: Horizon) -> bool:
    return horizon.behind or horizon.now_ms - document.admitted_ms < horizon.grace_ms
