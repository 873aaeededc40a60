"""Both read models in memory: the ports' promises, without a server."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import quantiles
from typing import TypeVar

from headwater.access.clauses import row_readers
from headwater.clients.elasticsearch.cursors import decode_cursor, encode_cursor
from headwater.ports.read_model import (
    NOT_ANSWERED,
    DocumentPage,
    DocumentView,
    FeedbackUsage,
    IngestionUsage,
    JudgedQuery,
    Letter,
    LetterFilter,
    LetterGroup,
    LetterPage,
    LineageRow,
    Listing,
    QueryUsage,
    RefusedSubmission,
    StoreState,
    StoreStates,
    Usage,
)
from headwater.ports.rows import Scope
from headwater.rows.conditions import FACETS, holds, scope_condition
from headwater.rows.facets import facets
from schemas.events.base import Event, Position, Store, place_of
from schemas.events.documents import DocumentChanged, DocumentIngested, DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.events.parked import EventParked, EventResolved
from schemas.events.queries import FeedbackReceived, QueryExecuted
from schemas.ids import DocumentId, GenerationName, Revision, SourceId, TenantId

E = TypeVar("E", bound=Event)
T = TypeVar("T")
Step = tuple[TenantId, DocumentId, Revision, GenerationName, Store]


class FakeDocuments:
    """Implements DocumentReadModel."""

    def __init__(self) -> None:
        self.states: dict[DocumentId, DocumentChanged] = {}
        self.history: dict[tuple[DocumentId, Revision], LineageRow] = {}
        self.progress: dict[Step, DocumentProgressed] = {}
        self.parked: dict[Position, EventParked] = {}
        self.resolved: dict[Position, EventResolved] = {}
        self.refusals: dict[tuple[TenantId, DocumentId], RefusedSubmission] = {}

    async def record_states(self, states: Sequence[tuple[DocumentChanged, Position]]) -> None:
        for state, changed in states:
            known = self.states.get(state.document_id)
            if known is None or known.revision <= state.revision:
                self.states[state.document_id] = state
            self.history[state.document_id, state.revision] = LineageRow(
                revision=state.revision, changed=changed, state=state, progress=None
            )

    async def record_progress(self, events: Sequence[DocumentProgressed]) -> None:
        for event in events:
            step = (event.tenant_id, event.document_id, event.revision, event.generation, event.store)
            known = self.progress.get(step)
            if known is None or known.outcome is ProgressOutcome.FAILED or event.outcome is not ProgressOutcome.FAILED:
                self.progress[step] = event

    async def record_parked(self, letters: Sequence[EventParked]) -> None:
        for letter in letters:
            self.parked.setdefault(letter.origin, replace(letter, key=None, value=b"", headers=()))

    async def record_resolved(self, events: Sequence[EventResolved]) -> None:
        for event in events:
            await self.record_parked([event.letter])
            known = self.resolved.get(event.letter.origin)
            if known is None or known.occurred_at <= event.occurred_at:
                self.resolved[event.letter.origin] = replace(event, letter=self.parked[event.letter.origin])

    async def record_refusals(self, refusals: Sequence[RefusedSubmission]) -> None:
        for refusal in refusals:
            known = self.refusals.get((refusal.tenant_id, refusal.document_id))
            if known is None or known.refused_at <= refusal.refused_at:
                self.refusals[refusal.tenant_id, refusal.document_id] = refusal

    async def last_refusal(self, tenant: TenantId, document: DocumentId) -> RefusedSubmission | None:
        return self.refusals.get((tenant, document))

    async def get_document(
        self, tenant: TenantId, document: DocumentId, *, generation: GenerationName
    ) -> DocumentView | None:
        state = self.states.get(document)
        if state is None or state.tenant_id != tenant:
            return None
        return DocumentView(state=state, stores=self._store_states(tenant, document, generation))

    async def store_states(
        self, documents: Sequence[tuple[TenantId, DocumentId]], *, generation: GenerationName
    ) -> Mapping[DocumentId, StoreStates]:
        return {document: self._store_states(tenant, document, generation) for tenant, document in documents}

    def _store_states(self, tenant: TenantId, document: DocumentId, generation: GenerationName) -> StoreStates:
        return {store: self._store_state(tenant, document, generation, store) for store in Store}

    async def count_documents(self, tenant: TenantId, source: SourceId) -> int:
        here = (each for each in self.states.values() if each.op is DocumentOp.UPSERTED)
        return sum((each.tenant_id, each.source) == (tenant, source) for each in here)

    async def list_documents(
        self, scope: Scope, listing: Listing, *, generation: GenerationName, limit: int, cursor: str | None = None
    ) -> DocumentPage:
        after = None if cursor is None else decode_cursor(cursor, (int, str))
        condition = scope_condition(scope)
        wanted: list[tuple[list[int | str], DocumentView]] = []
        for state in self.states.values():
            stores = self._store_states(state.tenant_id, state.document_id, generation)
            view = DocumentView(state=state, stores=stores)
            if holds(condition, _facts(state)) and _listed(listing, view):
                wanted.append(([int(state.admitted_at.timestamp() * 1_000), state.document_id], view))
        wanted.sort(key=lambda entry: entry[0], reverse=True)
        if after is not None:
            wanted = [entry for entry in wanted if entry[0] < after]
        page = wanted[:limit]
        return DocumentPage(
            documents=tuple(view for _, view in page),
            cursor=encode_cursor(page[-1][0]) if page and len(page) == limit else None,
        )

    async def lineage(self, tenant: TenantId, document: DocumentId) -> Sequence[LineageRow]:
        rows = [
            row
            for (known, _), row in self.history.items()
            if known == document and row.state is not None and row.state.tenant_id == tenant
        ]
        rows += [
            LineageRow(revision=event.revision, changed=None, state=None, progress=event)
            for event in self.progress.values()
            if (event.tenant_id, event.document_id) == (tenant, document)
        ]
        return sorted(rows, key=_lineage_order)

    async def get_letter(self, tenant: TenantId | None, origin: Position) -> Letter | None:
        parked = self.parked.get(origin)
        if parked is None or tenant not in {None, parked.tenant_id}:
            return None
        return Letter(parked=parked, resolved=self.resolved.get(origin))

    async def list_letters(self, wanted: LetterFilter, *, limit: int, cursor: str | None = None) -> LetterPage:
        after = None if cursor is None else decode_cursor(cursor, (int, str))
        letters = self._wanted(wanted)
        if after is not None:
            letters = [letter for letter in letters if _parked_order(letter.parked) > (-int(after[0]), after[1])]
        page = letters[:limit]
        last = None if not page else _parked_order(page[-1].parked)
        return LetterPage(
            letters=tuple(page),
            cursor=None if last is None or len(page) < limit else encode_cursor([-last[0], last[1]]),
        )

    async def group_letters(self, wanted: LetterFilter) -> Sequence[LetterGroup]:
        times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for letter in self._wanted(wanted):
            times[letter.parked.stage, letter.parked.error].append(letter.parked.parked_at)
        groups = [
            LetterGroup(stage=stage, error=error, count=len(at), oldest=min(at), newest=max(at))
            for (stage, error), at in times.items()
        ]
        return sorted(groups, key=lambda group: (-group.count, group.stage, group.error))

    def _wanted(self, wanted: LetterFilter) -> list[Letter]:
        letters = [
            Letter(parked=parked, resolved=self.resolved.get(parked.origin))
            for parked in sorted(self.parked.values(), key=_parked_order)
        ]
        return [letter for letter in letters if _is_wanted(letter, wanted)]

    def _store_state(
        self, tenant: TenantId, document: DocumentId, generation: GenerationName, store: Store
    ) -> StoreState:
        events = [
            event
            for event in self.progress.values()
            if (event.tenant_id, event.document_id, event.generation, event.store)
            == (tenant, document, generation, store)
        ]
        complete = [event for event in events if event.outcome is not ProgressOutcome.FAILED]
        return StoreState(latest=_newest(events), complete=_newest(complete))


class FakeAnalytics:
    """Implements AnalyticsReadModel."""

    def __init__(self) -> None:
        self.queries: dict[tuple[TenantId, str], QueryExecuted] = {}
        self.feedback: dict[str, FeedbackReceived] = {}
        self.ingestions: dict[tuple[DocumentId, Revision, GenerationName], DocumentIngested] = {}

    async def record_queries(self, events: Sequence[QueryExecuted]) -> None:
        for event in events:
            self.queries.setdefault((event.tenant_id, event.query_id), event)

    async def record_feedback(self, events: Sequence[FeedbackReceived]) -> None:
        for event in events:
            self.feedback.setdefault(str(event.event_id), event)

    async def record_ingestions(self, events: Sequence[DocumentIngested]) -> None:
        for event in events:
            self.ingestions.setdefault((event.document_id, event.revision, event.generation), event)

    async def get_query(self, tenant: TenantId, query_id: str) -> QueryExecuted | None:
        return self.queries.get((tenant, query_id))

    async def list_feedback(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[JudgedQuery]:
        return [
            JudgedQuery(feedback=given, query=self.queries.get((tenant, given.query_id)))
            for given in _within(self.feedback.values(), tenant, since, until)[:limit]
        ]

    async def list_queries(self, tenant: TenantId, *, limit: int) -> Sequence[QueryExecuted]:
        asked = [query for (owner, _), query in self.queries.items() if owner == tenant]
        return sorted(asked, key=lambda query: query.occurred_at, reverse=True)[:limit]

    async def list_unanswered(
        self, tenant: TenantId, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[QueryExecuted]:
        asked = _within(self.queries.values(), tenant, since, until)
        return [query for query in asked if not query.passages and query.outcome not in NOT_ANSWERED][:limit]

    async def usage(self, tenant: TenantId, *, since: datetime, until: datetime) -> Usage:
        queries = _within(self.queries.values(), tenant, since, until)
        given = _within(self.feedback.values(), tenant, since, until)
        ingested = _within(self.ingestions.values(), tenant, since, until)
        known = [query for query in queries if query.outcome not in NOT_ANSWERED]
        latencies = [query.timings_ms["total"] for query in known if "total" in query.timings_ms]
        return Usage(
            queries=QueryUsage(
                count=len(queries),
                answered=_count(queries, lambda query: query.answered),
                without_passages=_count(known, lambda query: not query.passages),
                failed=len(queries) - len(known),
                cache_hits=_count(queries, lambda query: query.cache_hit),
                degraded=_count(queries, lambda query: bool(query.degraded)),
                prompt_tokens=sum(query.prompt_tokens for query in queries),
                completion_tokens=sum(query.completion_tokens for query in queries),
                latency_p50_ms=_percentile(latencies, 50),
                latency_p95_ms=_percentile(latencies, 95),
                by_day=Counter(query.occurred_at.date().isoformat() for query in queries),
            ),
            feedback=FeedbackUsage(
                count=len(given),
                average_rating=sum(each.rating for each in given) / len(given) if given else None,
                by_type=Counter(each.type for each in given),
            ),
            ingestion=IngestionUsage(
                count=len(ingested),
                chunks=sum(each.chunks for each in ingested),
                embedded=sum(each.embedded for each in ingested),
                reused=sum(each.reused for each in ingested),
                freshness_p50_ms=_percentile([each.freshness_ms for each in ingested], 50),
                freshness_p95_ms=_percentile([each.freshness_ms for each in ingested], 95),
            ),
        )


def _facts(state: DocumentChanged) -> Mapping[str, frozenset[str]]:
    readers, second = row_readers(state.access)
    single = {
        "tenant_id": state.tenant_id,
        "document_id": state.document_id,
        "knowledge_base": state.knowledge_base,
        "source": state.source,
        "external_id": state.external_id,
        "media_type": state.media_type,
        "language": state.language,
    }
    facts = {name: frozenset(() if value is None else (value,)) for name, value in single.items()}
    return facts | {
        "readers": frozenset(readers),
        "readers_second": frozenset(second),
        FACETS: frozenset(facets(state.attributes)),
    }


def _listed(listing: Listing, view: DocumentView) -> bool:
    title = set(_words(view.state.title))
    return (
        listing.status in {None, view.status}
        and (listing.title is None or (bool(_words(listing.title)) and set(_words(listing.title)) <= title))
        and (listing.updated_from is None or listing.updated_from <= view.state.admitted_at)
        and (listing.updated_until is None or view.state.admitted_at < listing.updated_until)
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _newest(events: Iterable[DocumentProgressed]) -> DocumentProgressed | None:
    return max(events, key=lambda event: event.revision, default=None)


def _lineage_order(row: LineageRow) -> tuple[int, str, str]:
    progress = row.progress
    return (-row.revision, "", "") if progress is None else (-row.revision, progress.generation, progress.store)


def _parked_order(letter: EventParked) -> tuple[int, str]:
    return -int(letter.parked_at.timestamp() * 1_000), place_of(letter.origin)


def _is_wanted(letter: Letter, wanted: LetterFilter) -> bool:
    parked = letter.parked
    return (
        wanted.tenant in {None, parked.tenant_id}
        and wanted.document in {None, parked.document_id}
        and wanted.stage in {None, parked.stage}
        and wanted.error in {None, parked.error}
        and wanted.state in {None, letter.state}
        and (wanted.parked_from is None or wanted.parked_from <= parked.parked_at)
        and (wanted.parked_until is None or parked.parked_at < wanted.parked_until)
    )


def _within(events: Iterable[E], tenant: TenantId, since: datetime, until: datetime) -> list[E]:
    mine = [event for event in events if event.tenant_id == tenant and since <= event.occurred_at < until]
    return sorted(mine, key=lambda event: event.occurred_at, reverse=True)


def _count(items: Iterable[T], wanted: Callable[[T], bool]) -> int:
    return sum(1 for item in items if wanted(item))


def _percentile(values: Sequence[float], percent: int) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=100, method="inclusive")[percent - 1]
