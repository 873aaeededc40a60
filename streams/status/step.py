"""The step: what a report means, given what both stores have reported so far. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from headwater.freshness.objectives import Promise
from headwater.ports.read_model import RefusedSubmission, StoreStates
from schemas.events import AuditRecorded, DocumentChanged, DocumentIngested, DocumentProgressed
from schemas.events.base import Lane, Store
from schemas.events.documents import DocumentOp, ProgressOutcome, SubmissionOp
from schemas.ids import DocumentId, KnowledgeBaseId, Revision, SourceId

_NAMESPACE = UUID("4c7b8f56-7a36-4b3f-9f0a-3f1f8f1f6f0e")
# How admission ends a submission that it does not admit: docs/admission.md.
_NOT_ADMITTED = frozenset({"refused", "superseded"})
# What admission decides of documents; a 403 of the API is "refused" as well, of `documents.read` and the like. A rerun
# submits nothing: refused, it leaves the document as it is.
_SUBMISSIONS = frozenset(f"documents.{op.value}" for op in SubmissionOp if op is not SubmissionOp.RERUN)
JUDGED: Final[Mapping[Store, Promise]] = {Store.KEYWORDS: Promise.WORDS, Store.VECTORS: Promise.MEANING}
_ENDED_WELL = frozenset({ProgressOutcome.COMPLETE, ProgressOutcome.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a document belongs, in its source's terms."""

    knowledge_base: KnowledgeBaseId
    source: SourceId
    external_id: str


def freshness_s(report: DocumentProgressed) -> float | None:
    """Return how long after its observation a revision was visible (or gone) in a store; None where it failed."""
    indexed_at = report.trail.indexed_at
    if report.outcome not in _ENDED_WELL or indexed_at is None:
        return None
    return max(0.0, (indexed_at - report.observed_at).total_seconds())


def promise_of(report: DocumentProgressed) -> Promise | None:
    """Return which promise a report is about: a live edit that is searchable. Of a deletion the gate keeps it."""
    if report.lane is not Lane.LIVE or report.outcome is not ProgressOutcome.COMPLETE:
        return None
    return JUDGED[report.store]


def overtaken_by(report: DocumentProgressed, states: StoreStates) -> DocumentProgressed | None:
    """Return the higher report that this late one would hide once the topic is compacted, None where there is none."""
    state = states.get(report.store)
    latest = None if state is None else state.latest
    return latest if latest is not None and latest.revision > report.revision else None


def everywhere(revision: Revision, states: StoreStates) -> dict[Store, DocumentProgressed] | None:
    """Return each store's report of a revision that ended well in all of them, None where it did not (yet)."""
    reports = {
        store: state.latest
        for store, state in states.items()
        if state.latest is not None and state.latest.revision == revision and state.latest.outcome in _ENDED_WELL
    }
    outcomes = {report.outcome for report in reports.values()}
    return reports if len(reports) == len(Store) and len(outcomes) == 1 else None


def address_of(document: DocumentChanged) -> Address:
    """Return what a public fact says of a document beside its progress."""
    return Address(knowledge_base=document.knowledge_base, source=document.source, external_id=document.external_id)


def refusal_of(audit: AuditRecorded) -> RefusedSubmission | None:
    """Return the refused submission that an audit event tells of, None for any other."""
    kind, _, document = audit.resource.partition("/")
    if kind != "documents" or audit.outcome not in _NOT_ADMITTED or audit.reason is None:
        return None
    if audit.action not in _SUBMISSIONS:
        return None
    reason, _, detail = audit.reason.partition(": ")
    return RefusedSubmission(
        tenant_id=audit.tenant_id,
        document_id=DocumentId(document),
        action=audit.action,
        actor=audit.actor,
        reason=reason,
        detail=detail,
        refused_at=audit.observed_at,
    )


def ingested(address: Address, reports: dict[Store, DocumentProgressed]) -> DocumentIngested:
    """Return the public fact. The same revision and generation give the same event id."""
    words, meaning = reports[Store.KEYWORDS], reports[Store.VECTORS]
    words_at = words.trail.indexed_at or words.observed_at
    meaning_at = meaning.trail.indexed_at or meaning.observed_at
    fresh = max(words_at, meaning_at) - meaning.observed_at
    return DocumentIngested(
        event_id=uuid5(_NAMESPACE, f"{meaning.document_id}#{meaning.revision}#{meaning.generation}"),
        tenant_id=meaning.tenant_id,
        occurred_at=meaning.occurred_at,
        observed_at=meaning.observed_at,
        document_id=meaning.document_id,
        knowledge_base=address.knowledge_base,
        source=address.source,
        external_id=address.external_id,
        revision=meaning.revision,
        generation=meaning.generation,
        op=DocumentOp.DELETED if meaning.outcome is ProgressOutcome.GONE else DocumentOp.UPSERTED,
        chunks=meaning.rows,
        embedded=meaning.embedded,
        reused=meaning.reused,
        admitted_at=meaning.trail.admitted_at,
        searchable_by_words_at=words_at,
        searchable_by_meaning_at=meaning_at,
        freshness_ms=max(0, round(fresh.total_seconds() * 1000)),
        lane=meaning.lane,
        prepared_at=meaning.trail.prepared_at or words.trail.prepared_at,
        embedded_at=meaning.trail.embedded_at,
    )
