"""Which passages a generator is given: reranked, within its budget."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from headwater.errors import HeadwaterError
from headwater.ports.models import Reranker
from headwater.ports.rows import ChunkRow
from headwater.telemetry.tracing import span
from query_api.retrieval.breaker import Breakers
from query_api.retrieval.passages import Passage
from query_api.retrieval.retriever import Degradation, Mode, Retrieval
from query_api.retrieval.session import Session
from schemas.events.chunks import embedding_text
from schemas.events.directory import RetrievalProfile

# Tokens of English text by a word-piece tokenizer: an estimate is enough to stay within a generator's window.
CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """Passages in their new order; `skipped` where the reranker was away and they kept the old one."""

    passages: tuple[Passage, ...]
    skipped: bool
    duration_ms: float


async def rerank(
    query: str, passages: Sequence[Passage], *, reranker: Reranker, breakers: Breakers, profile: RetrievalProfile
) -> Reranked:
    """Order the best candidates by the reranker's score; those below the depth follow unchanged."""
    head, tail = tuple(passages[: profile.rerank_candidates]), tuple(passages[profile.rerank_candidates :])
    if not head:
        return Reranked(passages=(), skipped=False, duration_ms=0.0)
    started = time.perf_counter()
    try:
        with span("rerank", count=len(head)):
            scores = await breakers.of("reranker").call(
                lambda: reranker.rerank(query, [_read_in_place(passage.row) for passage in head])
            )
    except HeadwaterError:  # away, misconfigured or refusing: the order by fusion is good enough to go on with
        return Reranked(passages=head + tail, skipped=True, duration_ms=_ms_since(started))
    scored = [replace(passage, rerank_score=score) for passage, score in zip(head, scores, strict=True)]
    scored.sort(key=lambda passage: (-(passage.rerank_score or 0.0), passage.row.row_id))
    return Reranked(passages=(*scored, *tail), skipped=False, duration_ms=_ms_since(started))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How the passages that a generator is given were chosen, step by step."""

    retrieved: Retrieval
    reranked: Reranked | None  # None: the profile does not rerank
    ordered: tuple[Passage, ...]  # in their last order, admitted at this moment
    chosen: tuple[Passage, ...]  # the first of these that fit

    @property
    def degraded(self) -> tuple[Degradation, ...]:
        """What was missing, in the order in which it is given up."""
        skipped = self.reranked is not None and self.reranked.skipped
        return (*([Degradation.RERANK_OFF] if skipped else []), *self.retrieved.degraded)


def wanted_passages(profile: RetrievalProfile) -> int:
    """Return how many passages an answer retrieves: what is reranked, or what fits into its context."""
    return max(profile.rerank_candidates, profile.context_passages)


async def select(session: Session, query: str, *, mode: Mode, reranker: Reranker, breakers: Breakers) -> Selection:
    """Retrieve, rerank, ask the gate again, and take what fits. Raise NoLegError when neither store answers."""
    profile = session.profile
    retrieved = await session.retrieve(query, mode=mode, top_k=wanted_passages(profile))
    reranked = None
    passages = retrieved.passages
    if profile.rerank:
        reranked = await rerank(query, passages, reranker=reranker, breakers=breakers, profile=profile)
        passages = reranked.passages
    ordered = session.gate.passages(passages)
    return Selection(retrieved=retrieved, reranked=reranked, ordered=ordered, chosen=fit(ordered, profile))


def _read_in_place(row: ChunkRow) -> str:
    """Return a passage with the headings it stands under: without them the reranker does harm (docs/retrieval.md)."""
    return embedding_text(row.title, row.section, row.text)


def fit(passages: Sequence[Passage], profile: RetrievalProfile) -> tuple[Passage, ...]:
    """Return the first passages that fit the profile's number and tokens; always at least one where there is one."""
    chosen: list[Passage] = []
    budget = profile.context_tokens * CHARS_PER_TOKEN
    for passage in passages[: profile.context_passages]:
        budget -= len(passage.row.text)
        if chosen and budget < 0:
            break
        chosen.append(passage)
    return tuple(chosen)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
