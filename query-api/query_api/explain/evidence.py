"""What is gathered before anything is concluded: plain values, so that the conclusion is a pure function of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headwater.access.gate import GateView
from headwater.ports.backlogs import Backlog
from headwater.ports.heads import Head
from headwater.ports.read_model import RefusedSubmission
from headwater.ports.rows import StoreHit
from query_api.answers.context import Selection
from query_api.explain.filters import FilterMiss
from query_api.explain.verdicts import ExpiredUnread, StoredRows
from query_api.retrieval.passages import Passage
from query_api.retrieval.retriever import Leg
from schemas.events.base import Position, Store
from schemas.events.directory import RetrievalProfile
from schemas.events.documents import DocumentProgressed
from schemas.events.parked import EventParked
from schemas.ids import DocumentId, GenerationName, Revision

ADMIT: Final = "admit"
# The stages that a revision passes on its way into a store, in order.
STAGES: Final[Mapping[Store, tuple[str, ...]]] = {
    Store.KEYWORDS: ("prepare", "index-keywords"),
    Store.VECTORS: ("prepare", "embed", "index-vectors"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What is known of a document, whatever is asked of it."""

    document: DocumentId
    head: Head | None
    view: GateView  # of the user for whom it is explained
    user: str
    generation: GenerationName
    asked_revision: Revision | None  # None: the newest
    asked: tuple[Store, ...]  # the legs of the question
    refusal: RefusedSubmission | None = None
    purged: bool = False  # the deletion followed from that of its knowledge base
    reports: Mapping[Store, DocumentProgressed] = field(default_factory=dict)  # newest of each store, however it ended
    letters: tuple[EventParked, ...] = ()
    changed: Position | None = None  # of the newest revision in the log, where it is recorded
    backlogs: tuple[Backlog, ...] = ()
    expired_unread: tuple[ExpiredUnread, ...] = ()  # since the newest revision was admitted; newest first

    @property
    def revision(self) -> Revision | None:
        """Return the revision that is explained."""
        newest = None if self.head is None else self.head.revision
        return newest if self.asked_revision is None else self.asked_revision

    def complete(self, store: Store) -> Revision | None:
        """Return the newest revision that a store holds complete."""
        return None if self.head is None else self.head.complete.get((self.generation, store))


@dataclass(frozen=True, slots=True, kw_only=True)
class LegProbe:
    """One leg of the question: what it answered, and where the document stands in it, measured apart."""

    store: Store
    leg: Leg  # as the question itself was answered
    best: StoreHit | None  # the document's best row by a search within the document alone; None: nothing matches
    rank: int | None  # of that row among all that the user may read; None: below `searched`
    searched: int  # how deep the rank was looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the question's own path made of the document."""

    rows: tuple[StoredRows, ...]  # in each asked store that holds the explained revision complete
    misses: tuple[FilterMiss, ...]
    profile: RetrievalProfile
    probes: tuple[LegProbe, ...]
    fused: tuple[Passage, ...]  # all candidates of the question, best first
    wanted: int  # how many of them go on
    selection: Selection | None  # None: a search, which shows the first `wanted`


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. `question` is None where the trail ends before any store is asked."""

    trail: Trail
    question: Question | None
