"""Documents: what sources submit, what the log records, and what it means for outsiders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from schemas.events.base import Event, Lane, Position, Store
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId
from schemas.topics import Topic

AttributeScalar: TypeAlias = str | int | float | bool | datetime
AttributeValue: TypeAlias = AttributeScalar | tuple[AttributeScalar, ...]


class DocumentOp(StrEnum):
    """What a log record says of a document."""

    UPSERTED = "upserted"
    DELETED = "deleted"


class SubmissionOp(StrEnum):
    """What is wanted of a document."""

    PUT = "put"  # `state` is the document's full state
    PATCH = "patch"  # `patch` changes the fields it names
    DELETE = "delete"
    RERUN = "rerun"  # append the head again, unchanged, if it is still `expected_revision`; never a source's wish


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Claim check: tenant-scoped, content-addressed; never a URL."""

    sha256: str  # 64 lower-case hex digits
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition of an access rule: the caller holds at least one of these principals."""

    principals: tuple[Principal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Every clause must match and no `deny` may. Without clauses a document is for nobody: permissions are unknown."""

    clauses: tuple[Clause, ...] = ()
    deny: tuple[Principal, ...] = ()


NOBODY = Access()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An edge of the document graph."""

    relation: str
    target: str  # external id or URL, as the source names it


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentState:
    """All that a source says of a document that exists."""

    knowledge_base: KnowledgeBaseId
    title: str
    url: str | None = None
    media_type: str | None = None  # as declared; the content decides
    language: str | None = None
    content: BlobRef | None = None
    access: Access = NOBODY
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    classification: str | None = None
    retain_until: datetime | None = None
    holds: tuple[str, ...] = ()
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPatch:
    """Fields to change: `None` leaves a field alone, `clear` names those to empty, attributes are merged by name."""

    knowledge_base: KnowledgeBaseId | None = None
    title: str | None = None
    url: str | None = None
    media_type: str | None = None
    language: str | None = None
    content: BlobRef | None = None
    access: Access | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    links: tuple[Link, ...] | None = None
    classification: str | None = None
    retain_until: datetime | None = None
    holds: tuple[str, ...] | None = None
    region: str | None = None
    clear: tuple[str, ...] = ()  # names of fields above, or `attributes.NAME`


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSubmitted(Event):
    """What a connector or the API saw or wants. Only admission makes it true. Key: tenant/document_id.

    The same event goes to `rag.documents.submitted` (live) or to `rag.documents.backfill`, as `lane` says.
    """

    topic: ClassVar[Topic] = Topic.DOCUMENTS_SUBMITTED
    document_id: DocumentId
    source: SourceId
    external_id: str
    op: SubmissionOp
    lane: Lane
    source_version: int | None  # grows with the document's states at the source; None: the order of arrival decides
    expected_revision: Revision | None  # If-Match, checked again by admission
    actor: Principal | None  # who asked, for the audit trail
    state: DocumentState | None
    patch: DocumentPatch | None
    # With op `delete`, by an administrator: which waiting deletion is approved, by its `submitted`. Since v3.
    approves: Position | None = None
    # With op `delete`, by a connector: why it does not believe its own listing. The deletion waits, whatever the
    # source's budget. Since v4.
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChanged(Event):
    """A document's full state, appended by `admit` alone. Key: tenant/document_id, so its history is in order.

    A deletion is stripped of everything but ids and times.
    """

    topic: ClassVar[Topic] = Topic.DOCUMENTS_CHANGED
    document_id: DocumentId
    knowledge_base: KnowledgeBaseId
    source: SourceId  # alone may write the document
    external_id: str
    revision: Revision  # only grows; fences every later write
    source_version: int | None
    op: DocumentOp
    lane: Lane
    title: str
    url: str | None
    media_type: str | None
    language: str | None
    content: BlobRef | None
    access: Access
    attributes: Mapping[str, AttributeValue]
    links: tuple[Link, ...]
    classification: str | None
    retain_until: datetime | None
    holds: tuple[str, ...]
    region: str | None
    admitted_at: datetime
    directory_position: int  # next offset of directory.changed that the writer had read: the gate waits for it
    submitted: Position  # makes admission idempotent and gives callers a token
    # The newest submission of each lane that was decided when this was written; None: none, or written before v2.
    live_offset: int | None = None
    backfill_offset: int | None = None
    approved: bool = False  # a deletion that waited until an administrator approved it: it costs no budget


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionQuarantined(Event):
    """A deletion waits, past its source's budget or doubted: written, and taken back, by `admit` alone.

    Key: tenant/document_id. The document stays as it is. A null value: it waits no longer, because it was approved or
    the document was submitted again.
    """

    topic: ClassVar[Topic] = Topic.DELETIONS_QUARANTINED
    document_id: DocumentId
    source: SourceId
    external_id: str
    source_version: int | None
    actor: Principal | None  # who wanted it
    reason: str  # which budget, or why it is doubted, in words
    quarantined_at: datetime
    submitted: Position  # names the deletion: an approval says which one it approves


class ProgressOutcome(StrEnum):
    """How a revision ended in one store."""

    COMPLETE = "complete"  # every row is confirmed and visible
    GONE = "gone"  # a deletion: zero rows confirmed
    FAILED = "failed"  # parked; older complete rows stay, under the new access


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Where a revision came from and when it passed each stage: lineage without reading a log again."""

    submitted: Position
    changed: Position
    submission_occurred_at: datetime
    submission_observed_at: datetime
    admitted_at: datetime
    prepared_at: datetime | None = None
    embedded_at: datetime | None = None
    indexed_at: datetime | None = None
    parser: str | None = None  # name@version of the parser and the chunking policy
    model: str | None = None  # name@revision/variant of the embedding model
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentProgressed(Event):
    """This revision is complete (or gone, or failed) in one store of one generation.

    Key: tenant/document_id/generation/store; partition: that of tenant/document_id.
    """

    topic: ClassVar[Topic] = Topic.DOCUMENTS_PROGRESSED
    document_id: DocumentId
    revision: Revision
    generation: GenerationName
    store: Store
    outcome: ProgressOutcome
    lane: Lane
    rows: int
    embedded: int  # vectors computed for this revision; the others were reused
    reused: int
    stage: str | None  # which stage parked it
    error: str | None  # class name of the reason it failed for
    reason: str | None
    trail: Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentIngested(Event):
    """Public fact: a revision is searchable, or gone, in every store of a generation. Key: tenant/document_id."""

    topic: ClassVar[Topic] = Topic.DOCUMENTS_INGESTED
    document_id: DocumentId
    knowledge_base: KnowledgeBaseId
    source: SourceId
    external_id: str
    revision: Revision
    generation: GenerationName
    op: DocumentOp
    chunks: int
    embedded: int
    reused: int
    admitted_at: datetime
    searchable_by_words_at: datetime
    searchable_by_meaning_at: datetime
    freshness_ms: int  # from observed_at until searchable in both stores
    # Added in version 2; None in facts of earlier builds, and for stages that the revision did not pass.
    lane: Lane | None = None
    prepared_at: datetime | None = None
    embedded_at: datetime | None = None
