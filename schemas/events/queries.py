"""What callers asked, how they liked it, and who changed what."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.events.base import Event
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision
from schemas.topics import Topic


class QueryKind(StrEnum):
    """Which endpoint was asked."""

    SEARCH = "search"
    ANSWER = "answer"


class QueryOutcome(StrEnum):
    """How a query ended for its caller."""

    COMPLETED = "completed"  # answered: whole or degraded, with passages or without
    BROKEN_OFF = "broken_off"  # its caller hung up before the end
    REFUSED = "refused"  # what was asked for is not possible: `problem` says why
    FAILED = "failed"  # ours: stores away, a replica that is behind, out of time


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedPassage:
    """A passage that was returned or given to the generator."""

    document_id: DocumentId
    revision: Revision
    ordinal: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryExecuted(Event):
    """One query, however it ended. Key: tenant/query_id. The question's text follows the tenant's policy."""

    topic: ClassVar[Topic] = Topic.QUERIES_EXECUTED
    query_id: str
    kind: QueryKind
    user: Principal
    knowledge_bases: tuple[KnowledgeBaseId, ...]
    generation: GenerationName
    mode: str
    question: str | None  # by policy: the text, `sha256:...` or nothing
    passages: tuple[RetrievedPassage, ...]
    answered: bool
    cache_hit: bool
    degraded: tuple[str, ...]  # closed set, empty when nothing was missing
    prompt_tokens: int
    completion_tokens: int
    timings_ms: Mapping[str, float]
    outcome: QueryOutcome = QueryOutcome.COMPLETED
    problem: str | None = None  # code of the problem document that was the answer, or ended the stream


class FeedbackType(StrEnum):
    """What a caller says of an answer."""

    HELPFUL = "helpful"
    INCORRECT = "incorrect"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReceived(Event):
    """A caller's word on one of their own queries. Key: tenant/query_id."""

    topic: ClassVar[Topic] = Topic.FEEDBACK_RECEIVED
    query_id: str
    user: Principal
    rating: int  # 1 to 5
    type: FeedbackType
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequested(Event):
    """An answer that a person should look at. Key: tenant/query_id."""

    topic: ClassVar[Topic] = Topic.REVIEWS_REQUESTED
    query_id: str
    reason: str
    rating: int
    type: FeedbackType
    comment: str | None
    documents: tuple[DocumentId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecorded(Event):
    """Who did what to what, from where. Key: tenant/actor."""

    topic: ClassVar[Topic] = Topic.AUDIT_RECORDED
    actor: Principal
    action: str  # documents.put, directory.delete, keys.create, ...
    resource: str  # kind/id, opaque
    # submitted, accepted, refused, unchanged, superseded; of a dead letter: replayed, discarded; of the stores: differs
    outcome: str
    reason: str | None
    client_address: str | None
