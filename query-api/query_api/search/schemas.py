"""What /search takes and gives; /query shares the parts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import BaseModel, Field, StringConstraints

from headwater.ports.rows import ChunkRow
from query_api.retrieval.highlight import highlight
from query_api.retrieval.passages import Passage
from query_api.retrieval.retriever import Degradation, Mode
from query_api.search.filters import FilterModel
from schemas.events.base import Store
from schemas.ids import KnowledgeBaseId, row_id

MAX_TOP_K = 100
RecordName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=320)]  # ids of the directory


class QueryModel(BaseModel, frozen=True, extra="forbid"):
    """What every question has."""

    query: str = Field(min_length=1, max_length=4_000, pattern=r"\S", examples=["How do I request leave?"])
    knowledge_bases: tuple[RecordName, ...] | None = Field(
        default=None, min_length=1, max_length=50, description="Left out: all that the caller may read."
    )
    filters: FilterModel | None = Field(default=None, examples=[{"field": "attributes.status", "equals": "current"}])
    mode: Mode = Mode.HYBRID
    profile: RecordName | None = Field(default=None, description="A retrieval profile of the directory.")
    after: str | None = Field(default=None, description="A token that a write returned: its effect is then visible.")

    @property
    def recorded(self) -> bool:
        """Whether the query becomes an event."""
        return True

    def asked_knowledge_bases(self) -> tuple[KnowledgeBaseId, ...]:
        """Return those that were named; none where all were meant."""
        return tuple(map(KnowledgeBaseId, self.knowledge_bases or ()))


class SearchRequest(QueryModel, frozen=True):
    """Ask for passages."""

    top_k: int = Field(default=10, ge=1, le=MAX_TOP_K)
    explain: bool = Field(default=False, description="Add each leg's rank and score.")
    generation: str | None = Field(
        default=None,
        max_length=100,
        description="Another generation than the serving one, to compare them. Needs the scope `system`; not recorded.",
    )

    @property
    def recorded(self) -> bool:
        """Whether the query becomes an event: a comparison is no question of anybody's."""
        return self.generation is None


class LegExplanation(BaseModel, frozen=True):
    """Where a passage stood in one leg."""

    rank: int
    score: float


class Explanation(BaseModel, frozen=True):
    """Why a passage stands where it stands."""

    vector: LegExplanation | None
    keyword: LegExplanation | None
    fused: float
    rerank: float | None


class Snippet(BaseModel, frozen=True):
    """The part of a passage that answers to the query; `spans` are offsets into `text`, end exclusive."""

    text: str
    spans: tuple[tuple[int, int], ...]


class PassageModel(BaseModel, frozen=True):
    """A passage with all that is needed to cite it."""

    id: str = Field(examples=["0f3c…#1763700000000#2"])
    document_id: str
    revision: int
    knowledge_base: str
    source: str
    external_id: str
    title: str
    url: str | None
    section: tuple[str, ...]
    page: int | None
    start: int = Field(description="Character offsets into the stored canonical text, end exclusive.")
    end: int
    text: str
    highlight: Snippet
    score: float
    previous: str | None = Field(description="Id of the passage before this one.")
    next: str | None
    explain: Explanation | None = None


class SearchMeta(BaseModel, frozen=True):
    """How the answer came about."""

    query_id: str
    generation: str
    as_of: datetime
    degraded: tuple[Degradation, ...]
    timings_ms: Mapping[str, float]


class SearchResponse(BaseModel, frozen=True):
    """Passages, best first."""

    hits: tuple[PassageModel, ...]
    meta: SearchMeta


def passage_model(passage: Passage, query: str, *, explain: bool) -> PassageModel:
    """Show a passage."""
    row = passage.row
    found = highlight(row.text, query)
    return PassageModel(
        id=row.row_id,
        document_id=row.document_id,
        revision=row.revision,
        knowledge_base=row.knowledge_base,
        source=row.source,
        external_id=row.external_id,
        title=row.title,
        url=row.url,
        section=row.section,
        page=row.page,
        start=row.start,
        end=row.end,
        text=row.text,
        highlight=Snippet(text=found.snippet, spans=found.spans),
        score=passage.score if passage.rerank_score is None else passage.rerank_score,
        previous=_neighbour(row, -1),
        next=_neighbour(row, +1),
        explain=_explanation(passage) if explain else None,
    )


def _neighbour(row: ChunkRow, step: int) -> str | None:
    ordinal = row.ordinal + step
    return row_id(row.document_id, row.revision, ordinal) if 0 <= ordinal < row.total else None


def _explanation(passage: Passage) -> Explanation:
    def leg(store: Store) -> LegExplanation | None:
        found = passage.legs.get(store)
        return LegExplanation(rank=found.rank, score=found.score) if found else None

    return Explanation(
        vector=leg(Store.VECTORS), keyword=leg(Store.KEYWORDS), fused=passage.score, rerank=passage.rerank_score
    )
