"""What is known of documents, read without touching the log: state, progress, lineage, dead letters, usage.

Every record has one writer's order behind it: state by revision, progress by revision per generation and store. Writes
can be repeated and can arrive late: an older one never wins. They are joined when read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from headwater.ports.rows import Scope
from schemas.events.base import Position, Store
from schemas.events.documents import (
    DocumentChanged,
    DocumentIngested,
    DocumentOp,
    DocumentProgressed,
    ProgressOutcome,
)
from schemas.events.parked import EventParked, EventResolved, LetterState
from schemas.events.queries import FeedbackReceived, FeedbackType, QueryExecuted, QueryOutcome
from schemas.ids import DocumentId, GenerationName, Principal, Revision, SourceId, TenantId


class DocumentStatus(StrEnum):
    """How far a document's newest revision is."""

    PENDING = "pending"  # in no store yet
    PARTIAL = "partial"  # in one store: found by words or by meaning, not yet by both
    SEARCHABLE = "searchable"  # in both
    FAILED = "failed"  # parked by a stage; an older complete revision, if any, still answers
    DELETED = "deleted"  # gone from both stores; before that it is pending, and hidden by the gate all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What one store of one generation holds of a document."""

    latest: DocumentProgressed | None = None  # of the newest revision that ended there, however it ended
    complete: DocumentProgressed | None = None  # of the newest revision that is complete, or gone, there


StoreStates: TypeAlias = Mapping[Store, StoreState]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """A document's newest state joined with what the stores reported of it."""

    state: DocumentChanged
    stores: StoreStates

    @property
    def status(self) -> DocumentStatus:
        """How far the newest revision is."""
        return derive_status(self.state, self.stores)


def derive_status(state: DocumentChanged, stores: StoreStates) -> DocumentStatus:
    """Return how far a state's own revision is; what was reported of older ones does not count."""
    outcomes = [_outcome(state.revision, stores.get(store, StoreState())) for store in Store]
    if ProgressOutcome.FAILED in outcomes:
        return DocumentStatus.FAILED
    deleted = state.op is DocumentOp.DELETED
    done = sum(outcome is (ProgressOutcome.GONE if deleted else ProgressOutcome.COMPLETE) for outcome in outcomes)
    if done == len(outcomes):
        return DocumentStatus.DELETED if deleted else DocumentStatus.SEARCHABLE
    return DocumentStatus.PARTIAL if done and not deleted else DocumentStatus.PENDING


def _outcome(revision: Revision, store: StoreState) -> ProgressOutcome | None:
    latest = store.latest
    return latest.outcome if latest is not None and latest.revision == revision else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which documents of a scope to list."""

    status: DocumentStatus | None = None
    title: str | None = None  # words, all of which the title holds; plain text, never a query language
    updated_from: datetime | None = None  # of admission; inclusive
    updated_until: datetime | None = None  # exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPage:
    """Newest first. A page may be short, even empty, and still have a cursor: a status is looked for page by page."""

    documents: tuple[DocumentView, ...]
    cursor: str | None  # none: there is no more


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedSubmission:
    """The newest submission of a document that admission did not admit, as the audit trail tells of it."""

    tenant_id: TenantId
    document_id: DocumentId
    action: str  # documents.put, documents.patch, documents.delete
    actor: Principal
    reason: str  # a closed set: docs/admission.md
    detail: str  # names the field and the remedy; never quotes the document
    refused_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRow:
    """One step of one revision: what the log records of it, or what one store of one generation reported."""

    revision: Revision
    changed: Position | None  # in the log
    state: DocumentChanged | None  # set for the step in the log
    progress: DocumentProgressed | None  # set for a step in a store


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter and what became of it."""

    parked: EventParked  # without key, value and headers: those stay in the log, at `origin`
    resolved: EventResolved | None = None  # the latest

    @property
    def state(self) -> LetterState:
        """What became of it."""
        return LetterState.PARKED if self.resolved is None else self.resolved.state


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters; `None` leaves a field open."""

    tenant: TenantId | None  # None: of all tenants, also those that could not be decoded (for operators)
    stage: str | None = None
    error: str | None = None
    document: DocumentId | None = None
    parked_from: datetime | None = None  # inclusive
    parked_until: datetime | None = None  # exclusive
    state: LetterState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPage:
    """Dead letters, newest first."""

    letters: tuple[Letter, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """Dead letters of one cause."""

    stage: str
    error: str
    count: int
    oldest: datetime
    newest: datetime


class DocumentReadModel(Protocol):
    """Documents as people and the `status` stage see them.

    What was recorded is found by id on return; listings follow within a second. Raises RetryableError when the store
    is busy or away, PoisonError when it refuses a record or a cursor, FatalError when an index is missing.
    """

    async def record_states(self, states: Sequence[tuple[DocumentChanged, Position]]) -> None:
        """Record states of documents, each with where it lies in the log."""
        ...

    async def record_progress(self, events: Sequence[DocumentProgressed]) -> None:
        """Record what stores reported."""
        ...

    async def record_parked(self, letters: Sequence[EventParked]) -> None:
        """Record dead letters, without the bytes that were parked."""
        ...

    async def record_resolved(self, events: Sequence[EventResolved]) -> None:
        """Record what was done about dead letters; the latest counts, and a letter that comes late undoes nothing."""
        ...

    async def record_refusals(self, refusals: Sequence[RefusedSubmission]) -> None:
        """Record refused submissions; of each document the newest one is kept."""
        ...

    async def last_refusal(self, tenant: TenantId, document: DocumentId) -> RefusedSubmission | None:
        """Return the newest refused submission of a document, whatever was admitted since."""
        ...

    async def get_document(
        self, tenant: TenantId, document: DocumentId, *, generation: GenerationName
    ) -> DocumentView | None:
        """Return a document, None where it was never recorded. Whether the caller may see it is the gate's business."""
        ...

    async def store_states(
        self, documents: Sequence[tuple[TenantId, DocumentId]], *, generation: GenerationName
    ) -> Mapping[DocumentId, StoreStates]:
        """Return what both stores reported of each document, also before any state was recorded."""
        ...

    async def list_documents(
        self, scope: Scope, listing: Listing, *, generation: GenerationName, limit: int, cursor: str | None = None
    ) -> DocumentPage:
        """Return a page of the documents in scope, a superset of what the gate admits; deletions are in no scope."""
        ...

    async def count_documents(self, tenant: TenantId, source: SourceId) -> int:
        """Return how many documents of a source exist, as of a second ago or so."""
        ...

    async def lineage(self, tenant: TenantId, document: DocumentId) -> Sequence[LineageRow]:
        """Return every recorded step, newest revision first; within one, the log before the stores."""
        ...

    async def get_letter(self, tenant: TenantId | None, origin: Position) -> Letter | None:
        """Return one dead letter by where its event lies, None where there is none or it is another tenant's."""
        ...

    async def list_letters(self, wanted: LetterFilter, *, limit: int, cursor: str | None = None) -> LetterPage:
        """Return a page of dead letters."""
        ...

    async def group_letters(self, wanted: LetterFilter) -> Sequence[LetterGroup]:
        """Return the causes of dead letters, the most frequent first, 100 at the most."""
        ...


# Outcomes of queries of which nothing is known but that they were asked.
NOT_ANSWERED: Final = frozenset({QueryOutcome.REFUSED, QueryOutcome.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryUsage:
    """Queries of one tenant within a period."""

    count: int
    answered: int
    without_passages: int  # found none; of `failed` ones nobody knows
    failed: int  # got a problem for an answer, by whose fault whatsoever
    cache_hits: int
    degraded: int
    prompt_tokens: int
    completion_tokens: int
    latency_p50_ms: float | None  # of `timings_ms["total"]`
    latency_p95_ms: float | None
    by_day: Mapping[str, int] = field(default_factory=dict)  # ISO date -> queries


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackUsage:
    """Feedback of one tenant within a period."""

    count: int
    average_rating: float | None
    by_type: Mapping[FeedbackType, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionUsage:
    """Revisions that became searchable, or gone, within a period."""

    count: int
    chunks: int
    embedded: int
    reused: int
    freshness_p50_ms: float | None
    freshness_p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a tenant used within a period."""

    queries: QueryUsage
    feedback: FeedbackUsage
    ingestion: IngestionUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuery:
    """Feedback and the query that it is about; None where that is not, or no longer, recorded."""

    feedback: FeedbackReceived
    query: QueryExecuted | None


class AnalyticsReadModel(Protocol):
    """Queries, feedback and ingestion per tenant. Errors and repeats as in DocumentReadModel."""

    async def record_queries(self, events: Sequence[QueryExecuted]) -> None:
        """Record queries; found by id on return."""
        ...

    async def record_feedback(self, events: Sequence[FeedbackReceived]) -> None:
        """Record feedback."""
        ...

    async def record_ingestions(self, events: Sequence[DocumentIngested]) -> None:
        """Record revisions that became searchable or gone."""
        ...

    async def get_query(self, tenant: TenantId, query_id: str) -> QueryExecuted | None:
        """Return a query of the tenant by its id."""
        ...

    async def list_feedback(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[JudgedQuery]:
        """Return feedback of a period with its queries, newest first."""
        ...

    async def list_queries(self, tenant: TenantId, *, limit: int) -> Sequence[QueryExecuted]:
        """Return a tenant's newest queries, newest first."""
        ...

    async def list_unanswered(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[QueryExecuted]:
        """Return queries of a period that found no passage at all, newest first."""
        ...

    async def usage(self, tenant: TenantId, *, since: datetime, until: datetime) -> Usage:
        """Return what a tenant used from `since` (inclusive) until `until` (exclusive)."""
        ...
