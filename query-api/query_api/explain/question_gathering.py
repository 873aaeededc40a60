"""Runs the question once more, by the very code that answers it, and measures where the document stands in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from headwater.access.scope import EVERYTHING
from headwater.errors import RetryableError
from headwater.ports.rows import AllOf, ChunkIndex, ChunkRow, Equals, StoreHit
from headwater.rows.conditions import row_facts
from query_api.answers.context import Selection, select, wanted_passages
from query_api.explain.evidence import LegProbe, Question, Trail
from query_api.explain.filters import FilterMiss, filter_misses, knowledge_base_miss
from query_api.explain.schemas import ExplainRequest
from query_api.explain.verdicts import StoredRows
from query_api.retrieval.retriever import DEPENDENCY, Degradation, Leg, Retrieval
from query_api.retrieval.session import Session
from query_api.runtime import Runtime
from schemas.events.base import Store
from schemas.events.documents import ProgressOutcome
from schemas.events.queries import QueryKind
from schemas.ids import Revision, row_id

# How deep a rank is looked for: ten times the default of a leg, and still tens of milliseconds in either store.
SEARCHED: Final = 1_000
# Rows of the document that are looked at for its best one; older revisions may lie among them for a short while.
_OWN_ROWS: Final = 64


async def gather_question(
    runtime: Runtime, session: Session, trail: Trail, request: ExplainRequest
) -> tuple[Question, tuple[Degradation, ...]]:
    """Return what the question made of the document, and what was away. Raise NoLegError where no store answers."""
    stores = await runtime.generations.stores(trail.generation)
    indices: dict[Store, ChunkIndex] = {Store.VECTORS: stores.vectors, Store.KEYWORDS: stores.keywords}
    counted = await asyncio.gather(*(_rows(session, trail, store, indices[store]) for store in _holding(trail)))
    rows = tuple(each for each in counted if each is not None)
    misses = await _misses(session, trail, request, indices)
    question = Question(
        rows=rows, misses=misses, profile=session.profile, probes=(), fused=(), wanted=0, selection=None
    )
    if misses or (rows and not any(each.rows for each in rows)):
        return question, ()  # it cannot come into any list: there is nothing to measure
    retrieved, selection = await _ask(runtime, session, request)
    probes = await asyncio.gather(
        *(_probe(session, trail, request, store, leg) for store, leg in retrieved.legs.items())
    )
    asked = replace(
        question,
        probes=tuple(probes),
        fused=retrieved.fused,
        wanted=request.top_k if selection is None else wanted_passages(session.profile),
        selection=selection,
    )
    return asked, retrieved.degraded if selection is None else selection.degraded


async def _ask(runtime: Runtime, session: Session, request: ExplainRequest) -> tuple[Retrieval, Selection | None]:
    if request.kind is QueryKind.SEARCH:
        return await session.retrieve(request.query, mode=request.mode, top_k=request.top_k), None
    selection = await select(
        session, request.query, mode=request.mode, reranker=runtime.models.reranker, breakers=runtime.breakers
    )
    return selection.retrieved, selection


async def _misses(
    session: Session, trail: Trail, request: ExplainRequest, indices: dict[Store, ChunkIndex]
) -> tuple[FilterMiss, ...]:
    if trail.head is None:
        return ()
    elsewhere = knowledge_base_miss(request.knowledge_bases, trail.head.knowledge_base)
    row = None if request.filters is None else await _first_row(session, trail, indices)
    if request.filters is None or row is None:
        return elsewhere
    return elsewhere + filter_misses(request.filters, row_facts(row), row.attributes)


async def _first_row(session: Session, trail: Trail, indices: dict[Store, ChunkIndex]) -> ChunkRow | None:
    """Return a row of the explained revision from a store that has it and answers; all are alike to a filter."""
    for store in _holding(trail):
        try:
            rows = await _fetch_first(session, trail, store, indices[store])
        except RetryableError:
            continue
        if rows:
            return rows[0]
    return None


async def _fetch_first(session: Session, trail: Trail, store: Store, index: ChunkIndex) -> Sequence[ChunkRow]:
    everywhere = replace(session.scope, knowledge_bases=None, where=EVERYTHING)
    first = row_id(trail.document, _revision(trail), 0)
    return await session.retriever.call(DEPENDENCY[store], lambda: index.fetch(everywhere, [first]))


async def _rows(session: Session, trail: Trail, store: Store, index: ChunkIndex) -> StoredRows | None:
    """Count a store's rows of the explained revision; None where it does not answer, or is being rebuilt."""
    if not session.retriever.asks(store):
        return None
    try:
        rows = await session.retriever.call(
            DEPENDENCY[store], lambda: index.count(session.caller.tenant_id, trail.document, _revision(trail))
        )
    except RetryableError:
        return None
    return StoredRows(store=store, rows=rows, reported=_reported(trail, store))


async def _probe(session: Session, trail: Trail, request: ExplainRequest, store: Store, leg: Leg) -> LegProbe:
    best, rank, searched = _place(trail, leg.hits), None, leg.depth
    if best is not None:
        rank = leg.hits.index(best) + 1
    elif store in _holding(trail):
        best = await _best_row(session, trail, request, store)
        if best is not None:
            rank, searched = await _deep_rank(session, trail, request, store), SEARCHED
    return LegProbe(store=store, leg=leg, best=best, rank=rank, searched=searched)


async def _best_row(session: Session, trail: Trail, request: ExplainRequest, store: Store) -> StoreHit | None:
    """Return what a search within the document alone finds first: its score is the same as in any other search."""
    within = AllOf((session.scope.where, Equals("document_id", trail.document)))
    leg = await session.retriever.leg(
        store,
        request.query,
        scope=replace(session.scope, where=within),
        gate=session.gate,
        depth=_OWN_ROWS,
        want=1,
        timings={},
    )
    return None if leg is None else _place(trail, leg.hits)


async def _deep_rank(session: Session, trail: Trail, request: ExplainRequest, store: Store) -> int | None:
    leg = await session.retriever.leg(
        store, request.query, scope=session.scope, gate=session.gate, depth=SEARCHED, want=0, timings={}
    )
    best = None if leg is None else _place(trail, leg.hits)
    return None if leg is None or best is None else leg.hits.index(best) + 1


def _place(trail: Trail, hits: tuple[StoreHit, ...]) -> StoreHit | None:
    wanted = (trail.document, trail.revision)
    return next((hit for hit in hits if (hit.row.document_id, hit.row.revision) == wanted), None)


def _holding(trail: Trail) -> list[Store]:
    return [store for store in trail.asked if trail.complete(store) == trail.revision]


def _revision(trail: Trail) -> Revision:
    return Revision(0) if trail.revision is None else trail.revision


def _reported(trail: Trail, store: Store) -> int | None:
    report = trail.reports.get(store)
    confirmed = report is not None and (report.revision, report.outcome) == (trail.revision, ProgressOutcome.COMPLETE)
    return report.rows if report is not None and confirmed else None
