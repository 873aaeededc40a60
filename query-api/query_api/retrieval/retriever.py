"""Retrieval: vector and keyword legs side by side, each through the gate, then one list."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

import structlog

from headwater.errors import FatalError, RetryableError
from headwater.ports.heads import Directory, Heads
from headwater.ports.models import Embedder
from headwater.ports.rows import KeywordIndex, Scope, StoreHit, VectorIndex
from headwater.telemetry.tracing import span
from query_api.retrieval.breaker import Breakers
from query_api.retrieval.fusion import fuse
from query_api.retrieval.gatekeeper import Gatekeeper
from query_api.retrieval.passages import LegRank, Passage
from query_api.retrieval.query_vector import query_vector
from schemas.events.base import Store
from schemas.events.directory import RetrievalProfile
from schemas.ids import DocumentId, GenerationName, Revision

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

# Where the gate refuses rows the query goes deeper, up to what both stores answer in one page.
MAX_DEPTH: Final = 8_192
DEEPER: Final = 4
LEG_TIMEOUT_S: Final = 5.0
# Whose breaker stands before each leg.
DEPENDENCY: Final[Mapping[Store, str]] = {Store.VECTORS: "milvus", Store.KEYWORDS: "elasticsearch"}


class Mode(StrEnum):
    """Which legs are asked."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"


class Degradation(StrEnum):
    """What was missing, in the order in which it is given up. A closed set."""

    RERANK_OFF = "rerank_off"
    KEYWORDS_ONLY = "keywords_only"
    VECTORS_ONLY = "vectors_only"
    EXTRACTIVE_ANSWER = "extractive_answer"
    NO_ANSWER = "passages_only"


class NoLegError(RetryableError):
    """Neither store answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one store answered."""

    hits: tuple[StoreHit, ...]  # those that passed the gate, best first
    depth: int  # of the store's rows, how many were asked for in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Passages, best first, and what it took."""

    passages: tuple[Passage, ...]
    legs: Mapping[Store, Leg] = field(default_factory=dict)  # of the stores that were asked and answered
    fused: tuple[Passage, ...] = ()  # all candidates, best first: `passages` are the first of them
    degraded: tuple[Degradation, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What retrieval reads. `embedder` and the indices belong to the pinned generation."""

    heads: Heads
    directory: Directory
    embedder: Embedder
    vectors: VectorIndex
    keywords: KeywordIndex
    breakers: Breakers
    require_current: Callable[[], object]  # raises where the replica is behind: the gate asks it at each look
    rebuilding: frozenset[Store] = frozenset()  # not asked: rows that are missing there would be missed silently


class Retriever:
    """Finds passages for a caller. Every row passes the gate before it leaves."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._on = dependencies

    async def retrieve(
        self,
        query: str,
        *,
        scope: Scope,
        user: str,
        mode: Mode,
        profile: RetrievalProfile,
        generation: GenerationName,
        top_k: int,
    ) -> Retrieval:
        """Return at most `top_k` passages, best first; raise NoLegError when no leg that was asked answered.

        Raises StaleReplicaError where the replica fell behind, or was lost, meanwhile: no leg makes up for that.
        """
        gate = self.gatekeeper(scope, user=user, generation=generation)
        depth = max(profile.candidates, top_k)
        timings: dict[str, float] = {}
        asked = legs_of(mode)
        answered = await asyncio.gather(
            *(
                self.leg(store, query, scope=scope, gate=gate, depth=depth, want=top_k, timings=timings)
                for store in asked
            )
        )
        legs = {store: leg for store, leg in zip(asked, answered, strict=True) if leg is not None}
        if not legs:
            raise NoLegError("search: no store that was asked for answers; try again shortly")
        fused = _merge(_newest_revisions({store: leg.hits for store, leg in legs.items()}), profile)
        return Retrieval(
            passages=fused[:top_k], legs=legs, fused=fused, degraded=_missing(asked, legs), timings_ms=timings
        )

    def gatekeeper(self, scope: Scope, *, user: str, generation: GenerationName) -> Gatekeeper:
        """Return the gate for one caller; it is asked again just before passages are shown or sent to a model."""
        return Gatekeeper(
            heads=self._on.heads,
            directory=self._on.directory,
            scope=scope,
            user=user,
            generation=generation,
            require_current=self._on.require_current,
        )

    def asks(self, store: Store) -> bool:
        """Say whether a store may be asked: not while it is refilled, as rows that are missing there are not known."""
        return store not in self._on.rebuilding

    async def leg(
        self,
        store: Store,
        query: str,
        *,
        scope: Scope,
        gate: Gatekeeper,
        depth: int,
        want: int,
        timings: dict[str, float],
    ) -> Leg | None:
        """Ask one store for `depth` rows, and deeper until `want` of them are admitted; None where it does not answer.

        With `want` 0 it is asked once. A store that is being rebuilt is not asked.
        """
        if not self.asks(store):
            return None
        ask = self._vector_leg if store is Store.VECTORS else self._keyword_leg
        try:
            return await ask(query, scope, gate, depth=depth, want=want, timings=timings)
        except RetryableError:
            return None
        except FatalError as error:  # an index that is gone, or no access: the other leg still answers
            log.error("leg_failed", store=store.value, error=type(error).__name__)  # noqa: TRY400 - its text says all
            return None

    async def _vector_leg(
        self, query: str, scope: Scope, gate: Gatekeeper, *, depth: int, want: int, timings: dict[str, float]
    ) -> Leg:
        with _timed("embed", timings):
            vector = await self.call("triton", lambda: query_vector(self._on.embedder, query))
        with _timed("vectors", timings):
            return await self._deepen(
                lambda limit: self.call(
                    DEPENDENCY[Store.VECTORS], lambda: self._on.vectors.search(scope, vector, limit=limit)
                ),
                lambda found: gate.hits(found, Store.VECTORS),
                depth=depth,
                want=want,
            )

    async def _keyword_leg(
        self, query: str, scope: Scope, gate: Gatekeeper, *, depth: int, want: int, timings: dict[str, float]
    ) -> Leg:
        with _timed("keywords", timings):
            return await self._deepen(
                lambda limit: self.call(
                    DEPENDENCY[Store.KEYWORDS], lambda: self._on.keywords.search(scope, query, limit=limit)
                ),
                lambda found: gate.hits(found, Store.KEYWORDS),
                depth=depth,
                want=want,
            )

    async def _deepen(
        self,
        search: Callable[[int], Awaitable[Sequence[StoreHit]]],
        admit: Callable[[Sequence[StoreHit]], list[StoreHit]],
        *,
        depth: int,
        want: int,
    ) -> Leg:
        """Search deeper until `want` rows are admitted or nothing is left: what the gate refuses costs no recall."""
        while True:
            found = await search(depth)
            admitted = admit(found)
            if len(admitted) >= want or len(found) < depth or depth >= MAX_DEPTH:
                return Leg(hits=tuple(admitted), depth=depth)
            depth = min(depth * DEEPER, MAX_DEPTH)

    async def call(self, dependency: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Await a dependency for LEG_TIMEOUT_S at the most, behind its breaker; raise RetryableError."""

        async def timed() -> _T:
            try:
                async with asyncio.timeout(LEG_TIMEOUT_S):
                    return await work()
            except TimeoutError as error:
                raise RetryableError(f"{dependency}: no answer within {LEG_TIMEOUT_S} s") from error

        return await self._on.breakers.of(dependency).call(timed)


def legs_of(mode: Mode) -> tuple[Store, ...]:
    """Return the stores that a mode asks."""
    asked = {Mode.HYBRID: tuple(Store), Mode.VECTOR: (Store.VECTORS,), Mode.KEYWORD: (Store.KEYWORDS,)}
    return asked[mode]


def _newest_revisions(legs: Mapping[Store, Sequence[StoreHit]]) -> Mapping[Store, Sequence[StoreHit]]:
    """Where the legs return two revisions of one document, the newer wins."""
    newest: dict[DocumentId, Revision] = {}
    for hits in legs.values():
        for hit in hits:
            newest[hit.row.document_id] = max(hit.row.revision, newest.get(hit.row.document_id, Revision(0)))
    return {
        store: [hit for hit in hits if hit.row.revision == newest[hit.row.document_id]] for store, hits in legs.items()
    }


def _merge(legs: Mapping[Store, Sequence[StoreHit]], profile: RetrievalProfile) -> tuple[Passage, ...]:
    ranked = {store: [(hit.row.row_id, hit.score) for hit in hits] for store, hits in legs.items()}
    fused = fuse(
        ranked.get(Store.VECTORS, ()),
        ranked.get(Store.KEYWORDS, ()),
        method=profile.fusion,
        vector_weight=profile.vector_weight,
    )
    rows = {hit.row.row_id: (hit.row, store) for store, hits in legs.items() for hit in hits}
    ranks: dict[str, dict[Store, LegRank]] = {row: {} for row in rows}
    for store, leg in ranked.items():
        for rank, (row, score) in enumerate(leg, start=1):
            ranks[row][store] = LegRank(rank=rank, score=score)
    order = sorted(fused, key=lambda row: (-fused[row], row))  # the id breaks ties: the same answer every time
    return tuple(Passage(row=rows[row][0], store=rows[row][1], score=fused[row], legs=ranks[row]) for row in order)


def _missing(asked: Collection[Store], legs: Mapping[Store, object]) -> tuple[Degradation, ...]:
    if Store.VECTORS in asked and Store.VECTORS not in legs:
        return (Degradation.KEYWORDS_ONLY,)
    if Store.KEYWORDS in asked and Store.KEYWORDS not in legs:
        return (Degradation.VECTORS_ONLY,)
    return ()


@contextmanager
def _timed(step: str, timings: dict[str, float]) -> Iterator[None]:
    """Trace a step and note its milliseconds, unless it fails."""
    started = time.perf_counter()
    with span(f"retrieve_{step}"):
        yield
    timings[step] = round((time.perf_counter() - started) * 1000, 3)
