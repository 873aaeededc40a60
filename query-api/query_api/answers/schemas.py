"""What /query takes and gives."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from query_api.retrieval.retriever import Degradation
from query_api.search.schemas import PassageModel, QueryModel


class QuestionRequest(QueryModel, frozen=True):
    """Ask for an answer."""

    stream: bool = Field(default=False, description="Answer as server-sent events: delta..., then answer or error.")


class CacheUse(StrEnum):
    """Whether the words of the answer were made now. Retrieval and the gate always run."""

    HIT = "hit"
    MISS = "miss"
    NONE = "none"  # nothing was generated


class TokenCount(BaseModel, frozen=True):
    """Tokens of the generator, as it counts them."""

    prompt: int
    completion: int


class Source(BaseModel, frozen=True):
    """A passage that the answer rests on. `number` is its citation in the text: [1]."""

    number: int
    id: str
    document_id: str
    revision: int
    title: str
    url: str | None
    section: tuple[str, ...]
    page: int | None
    snippet: str
    score: float


class AnswerMeta(BaseModel, frozen=True):
    """How the answer came about."""

    query_id: str
    generation: str
    as_of: datetime
    cache: CacheUse
    degraded: tuple[Degradation, ...]
    tokens: TokenCount
    timings_ms: Mapping[str, float]
    model: str | None = Field(description="Who wrote the answer; null where nobody did.")


class AnswerResponse(BaseModel, frozen=True):
    """An answer with numbered citations, or null where the passages do not answer the question."""

    answer: str | None
    sources: tuple[Source, ...]
    passages: tuple[PassageModel, ...] = Field(
        default=(), description="Filled where no answer could be made: what was found instead."
    )
    meta: AnswerMeta


def source_of(passage: PassageModel, number: int) -> Source:
    """Show a passage as a source."""
    return Source(
        number=number,
        id=passage.id,
        document_id=passage.document_id,
        revision=passage.revision,
        title=passage.title,
        url=passage.url,
        section=passage.section,
        page=passage.page,
        snippet=passage.highlight.text,
        score=passage.score,
    )
