"""Every query becomes an event; its text follows the tenant's policy."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import uuid4

import structlog

from headwater.errors import RetryableError
from headwater.ports.heads import Directory
from headwater.telemetry.metrics import QUERIES, QUERY_EVENTS_LOST, QUERY_SECONDS
from query_api.event_log import EventSink
from query_api.identity import Identity, tenant_entry
from query_api.retrieval.passages import Passage
from query_api.retrieval.session import Session
from schemas.events.directory import QueryTextPolicy, Tenant
from schemas.events.queries import QueryExecuted, QueryKind, QueryOutcome, RetrievedPassage
from schemas.ids import TenantId

log = structlog.get_logger(__name__)


def query_executed(
    session: Session,
    *,
    query_id: str,
    kind: QueryKind,
    mode: str,
    question: str,
    passages: Sequence[Passage],
    timings_ms: Mapping[str, float],
    started_at: datetime,
    directory: Directory,
    degraded: Sequence[str] = (),
    answered: bool = False,
    cache_hit: bool = False,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
) -> QueryExecuted:
    """Describe one query for which passages were looked for."""
    caller: Identity = session.caller
    return QueryExecuted(
        event_id=uuid4(),
        tenant_id=caller.tenant_id,
        occurred_at=started_at,
        observed_at=started_at,
        query_id=query_id,
        kind=kind,
        user=caller.principal,
        knowledge_bases=session.scope.knowledge_bases or (),
        generation=session.generation,
        mode=mode,
        question=kept_text(question, text_policy(directory, caller.tenant_id)),
        passages=tuple(
            RetrievedPassage(
                document_id=passage.row.document_id,
                revision=passage.row.revision,
                ordinal=passage.row.ordinal,
                score=passage.score,
            )
            for passage in passages
        ),
        answered=answered,
        cache_hit=cache_hit,
        degraded=tuple(degraded),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        timings_ms=dict(timings_ms),
    )


def text_policy(directory: Directory, tenant: TenantId) -> QueryTextPolicy:
    """Return how much of a question this tenant keeps; nothing where the tenant cannot be read."""
    entry = tenant_entry(directory, tenant)
    return entry.record.query_text if entry and isinstance(entry.record, Tenant) else QueryTextPolicy.NONE


def kept_text(question: str, policy: QueryTextPolicy) -> str | None:
    """Return what of the question may be kept."""
    if policy is QueryTextPolicy.FULL:
        return question
    if policy is QueryTextPolicy.HASHED:
        return "sha256:" + hashlib.sha256(question.encode()).hexdigest()
    return None


async def record_query(events: EventSink, event: QueryExecuted) -> None:
    """Append the event after the response has gone; an absent log costs the record, never the answer."""
    QUERIES.labels(kind=event.kind.value, outcome=_label(event)).inc()
    if event.outcome is QueryOutcome.COMPLETED:
        QUERY_SECONDS.labels(kind=event.kind.value).observe(event.timings_ms.get("total", 0.0) / 1000)
    try:
        await events.send(event)
    except RetryableError as error:
        QUERY_EVENTS_LOST.inc()
        log.warning("query_not_recorded", query_id=event.query_id, error=type(error).__name__)


def _label(event: QueryExecuted) -> str:
    if event.outcome is not QueryOutcome.COMPLETED:
        return event.outcome.value
    return "degraded" if event.degraded else "complete"
