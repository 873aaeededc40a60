"""Search: retrieve, look at the gate once more, show."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headwater.access.scope import EVERYTHING
from headwater.generations.records import Generations
from query_api.identity import Identity
from query_api.problems import InvalidRequestError
from query_api.retrieval.query_ids import QuerySigner
from query_api.retrieval.recording import query_executed
from query_api.retrieval.session import Session, open_session
from query_api.runtime import Runtime
from query_api.search.filters import to_filter
from query_api.search.schemas import QueryModel, SearchMeta, SearchRequest, SearchResponse, passage_model
from schemas.events.directory import GenerationState
from schemas.events.queries import QueryExecuted, QueryKind
from schemas.ids import GenerationName, KnowledgeBaseId


async def session_for(
    runtime: Runtime, request: QueryModel, caller: Identity, *, generation: str | None = None
) -> Session:
    """Bind a request to its caller, its filters, its profile and the serving generation, or the one that is named."""
    return await open_session(
        runtime,
        caller,
        knowledge_bases=_knowledge_bases(request.knowledge_bases),
        where=to_filter(request.filters) if request.filters else EVERYTHING,
        profile=request.profile,
        generation=None if generation is None else _existing(runtime, GenerationName(generation)),
    )


def _existing(runtime: Runtime, name: GenerationName) -> GenerationName:
    generations = Generations.of(runtime.directory, default=runtime.settings.generation)
    names = [each.record.name for each in generations.all if each.record.state is not GenerationState.RETIRED]
    if name not in names:
        raise InvalidRequestError(
            f"generation: there is no {name!r}", field="generation", remedy=f"Name one of: {', '.join(names)}."
        )
    return name


def _knowledge_bases(names: Sequence[str] | None) -> tuple[KnowledgeBaseId, ...] | None:
    return None if names is None else tuple(KnowledgeBaseId(name) for name in names)


@dataclass(frozen=True, slots=True)
class SearchService:
    """Finds passages for a caller."""

    runtime: Runtime

    async def search(
        self, request: SearchRequest, *, caller: Identity, as_of: datetime
    ) -> tuple[SearchResponse, QueryExecuted]:
        """Return the response and the event that records it. Raise NoLegError when neither store answers."""
        started_at, started = self.runtime.now(), time.perf_counter()
        session = await session_for(self.runtime, request, caller, generation=request.generation)
        found = await session.retrieve(request.query, mode=request.mode, top_k=request.top_k)
        passages = session.gate.passages(found.passages)
        query_id = QuerySigner(self.runtime.secret).sign(caller.tenant_id, caller.user, now=started_at)
        timings = {**found.timings_ms, "total": round((time.perf_counter() - started) * 1000, 3)}
        response = SearchResponse(
            hits=tuple(passage_model(passage, request.query, explain=request.explain) for passage in passages),
            meta=SearchMeta(
                query_id=query_id,
                generation=session.generation,
                as_of=as_of,
                degraded=found.degraded,
                timings_ms=timings,
            ),
        )
        event = query_executed(
            session,
            query_id=query_id,
            kind=QueryKind.SEARCH,
            mode=request.mode.value,
            question=request.query,
            passages=passages,
            timings_ms=timings,
            started_at=started_at,
            directory=self.runtime.directory,
            degraded=found.degraded,
            answered=bool(passages),
        )
        return response, event
