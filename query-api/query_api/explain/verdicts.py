"""Why a document is not found: a closed set, each verdict with the evidence that it rests on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from query_api.explain.filters import FilterMiss
from schemas.events.base import Lane, Position, Store
from schemas.ids import KnowledgeBaseId, Principal, Revision


class Cause(StrEnum):
    """The first thing on a document's way, in the order of the way, that keeps it from being found."""

    REFUSED = "refused"
    NEVER_SUBMITTED = "never_submitted"
    DELETED = "deleted"
    EXPIRED = "expired"
    HIDDEN = "hidden"
    SUPERSEDED = "superseded"
    PARKED = "parked"
    WAITING = "waiting"
    EMPTY = "empty"
    ROWS_MISSING = "rows_missing"
    FILTERED_OUT = "filtered_out"
    BELOW_DEPTH = "below_depth"
    LOST_IN_FUSION = "lost_in_fusion"
    RERANKED_OUT = "reranked_out"
    CUT_BY_BUDGET = "cut_by_budget"
    FOUND = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the document's best passage stands in one leg of the question."""

    store: Store
    depth: int  # how many rows of the store the question looked at
    cutoff_score: float | None  # of the last row that it took
    passage: str | None  # the document's best row; null: nothing of it matches
    score: float | None  # of that row, the store's own
    rank: int | None  # of that row among all that the user may read; null: below `searched`
    searched: int  # how deep the rank was looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a revision waits."""

    stage: str
    store: Store | None  # on the way into which store; null: into the log
    partition: int | None
    behind: int  # offsets that the stage has to settle first, at most; 0: it is being worked on


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """Rows of the explained revision in one store."""

    store: Store
    rows: int  # that a search sees
    reported: int | None  # that were confirmed when the revision was complete; null: not recorded yet

    @property
    def short(self) -> bool:
        """Say whether rows are missing."""
        return self.rows < (1 if self.reported is None else self.reported)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredUnread:
    """Submissions that were removed before admission had read them: one of this document may have been among them."""

    lane: Lane
    partition: int  # the document's own
    found_at: datetime | None  # when admission found them gone; null: it has not come to that place yet


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverSubmitted:
    """Nothing of this document is in the log, nothing waits for admission, and nothing was refused."""

    expired_unread: tuple[ExpiredUnread, ...] = ()  # newest first; with any, it may have been submitted and lost
    cause: Literal[Cause.NEVER_SUBMITTED] = Cause.NEVER_SUBMITTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Admission did not admit the newest submission, and there is no older state."""

    reason: str
    explanation: str
    action: str
    actor: Principal
    refused_at: datetime
    cause: Literal[Cause.REFUSED] = Cause.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The newest state is a deletion."""

    revision: Revision
    cause: Literal[Cause.DELETED] = Cause.DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The knowledge base (or the tenant) is deleted, and the document with it."""

    knowledge_base: KnowledgeBaseId
    revision: Revision
    cause: Literal[Cause.EXPIRED] = Cause.EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The revision that was asked for is not the newest complete one any more."""

    revision: Revision
    newest: Revision
    cause: Literal[Cause.SUPERSEDED] = Cause.SUPERSEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A stage set the revision aside."""

    stage: str
    error: str
    reason: str
    attempts: int | None  # null: the dead letter is not recorded yet
    parked_at: datetime | None
    origin: Position | None  # of the event in the log
    answering: Revision | None  # an older revision that is found meanwhile
    cause: Literal[Cause.PARKED] = Cause.PARKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The revision has not come to every store that was asked."""

    places: tuple[Place, ...]  # the first on the way first
    answering: Revision | None  # an older revision that is found meanwhile
    cause: Literal[Cause.WAITING] = Cause.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The access rule does not admit the user."""

    user: str
    unmatched_clauses: tuple[int, ...]  # counted from 0; empty with no denial: a rule without clauses is for nobody
    denied_by: tuple[Principal, ...]
    cause: Literal[Cause.HIDDEN] = Cause.HIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredOut:
    """The request itself excludes the document."""

    misses: tuple[FilterMiss, ...]
    cause: Literal[Cause.FILTERED_OUT] = Cause.FILTERED_OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """The document has no text that could be found."""

    revision: Revision
    cause: Literal[Cause.EMPTY] = Cause.EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsMissing:
    """A store has lost rows that it had confirmed."""

    stores: tuple[StoredRows, ...]
    cause: Literal[Cause.ROWS_MISSING] = Cause.ROWS_MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class BelowDepth:
    """No leg of the question came down to any passage of the document."""

    legs: tuple[Standing, ...]
    cause: Literal[Cause.BELOW_DEPTH] = Cause.BELOW_DEPTH


@dataclass(frozen=True, slots=True, kw_only=True)
class LostInFusion:
    """A candidate of a leg, but too low in the list that both legs make together."""

    passage: str
    rank: int
    score: float
    admitted: int  # how many of the list went on
    cutoff_score: float  # of the last of these
    legs: tuple[Standing, ...]
    cause: Literal[Cause.LOST_IN_FUSION] = Cause.LOST_IN_FUSION


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankedOut:
    """The reranker preferred other passages."""

    passage: str
    rank: int
    score: float
    fused_rank: int  # before reranking
    admitted: int  # how many passages an answer may have
    cutoff_score: float | None  # of the last of these; null: it was not reranked
    cause: Literal[Cause.RERANKED_OUT] = Cause.RERANKED_OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class CutByBudget:
    """Good enough, but the context was full before its turn."""

    passage: str
    rank: int
    admitted: int  # how many passages fitted
    needed_tokens: int  # of all passages up to this one, estimated
    budget_tokens: int
    cause: Literal[Cause.CUT_BY_BUDGET] = Cause.CUT_BY_BUDGET


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """It is found."""

    passage: str
    revision: Revision
    rank: int  # among the passages that a search returns, or that an answer is made from
    score: float
    legs: tuple[Standing, ...]
    cause: Literal[Cause.FOUND] = Cause.FOUND


Verdict: TypeAlias = (
    NeverSubmitted
    | Refused
    | Deleted
    | Expired
    | Superseded
    | Parked
    | Waiting
    | Hidden
    | FilteredOut
    | Empty
    | RowsMissing
    | BelowDepth
    | LostInFusion
    | RerankedOut
    | CutByBudget
    | Found
)
