"""Questions that got a problem for an answer: events like any other, appended after the problem has been sent."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query_api.answers.schemas import QuestionRequest
from query_api.identity import Authenticator, Identity
from query_api.problems import ForbiddenError, InternalError, StaleReplicaError, UnauthenticatedError
from query_api.retrieval.query_ids import QuerySigner
from query_api.retrieval.recording import kept_text, record_query, text_policy
from query_api.runtime import Runtime
from query_api.search.schemas import QueryModel, SearchRequest
from schemas.events.directory import QueryTextPolicy
from schemas.events.queries import QueryExecuted, QueryKind, QueryOutcome

_ASKED_AT: Final[Mapping[str, tuple[QueryKind, type[QueryModel]]]] = {
    "/v1/search": (QueryKind.SEARCH, SearchRequest),
    "/v1/query": (QueryKind.ANSWER, QuestionRequest),
}
# No question of a caller whom we know: the first has none, the second is in the audit trail (ADR 0063).
_NO_QUESTION: Final = frozenset({UnauthenticatedError.status, ForbiddenError.status})


def outcome_of(status: int) -> QueryOutcome:
    """Return whose fault a problem is: ours or the request's."""
    return QueryOutcome.FAILED if status >= InternalError.status else QueryOutcome.REFUSED


def unanswered(
    runtime: Runtime,
    request: QueryModel,
    *,
    kind: QueryKind,
    caller: Identity,
    outcome: QueryOutcome,
    problem: str | None,
    started_at: datetime,
    duration_ms: float,
) -> QueryExecuted:
    """Describe a query that nothing was found for, because it ended before."""
    policy = text_policy(runtime.directory, caller.tenant_id)
    if problem == StaleReplicaError.code:  # the policy as it was: the tenant may keep less by now
        policy = QueryTextPolicy.NONE
    return QueryExecuted(
        event_id=uuid4(),
        tenant_id=caller.tenant_id,
        occurred_at=started_at,
        observed_at=started_at,
        query_id=QuerySigner(runtime.secret).sign(caller.tenant_id, caller.user, now=started_at),
        kind=kind,
        user=caller.principal,
        knowledge_bases=request.asked_knowledge_bases(),
        generation=runtime.directory.serving_generation() or runtime.settings.generation,
        mode=request.mode.value,
        question=kept_text(request.query, policy),
        passages=(),
        answered=False,
        cache_hit=False,
        degraded=(),
        prompt_tokens=0,
        completion_tokens=0,
        timings_ms={"total": duration_ms},
        outcome=outcome,
        problem=problem,
    )


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """What went in and out of one request."""

    body: bytearray = field(default_factory=bytearray)
    status: int = 0
    sent: bytearray = field(default_factory=bytearray)

    @property
    def is_problem(self) -> bool:
        """Say whether the answer is an error."""
        return self.status >= HTTPStatus.BAD_REQUEST

    def code(self) -> str:
        """Return the problem's code."""
        return str(json.loads(self.sent)["code"]) if self.sent else InternalError.code


class FailureRecorder:
    """Sees every answer to a question; those that are problems it records. Inside the envelope, around the deadline."""

    def __init__(self, app: ASGIApp, *, runtime: Runtime) -> None:
        self._app, self._runtime = app, runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked_at = _ASKED_AT.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked_at is None:
            await self._app(scope, receive, send)
            return
        kind, model = asked_at
        exchange, started_at, started = _Exchange(), self._runtime.now(), time.perf_counter()

        async def kept() -> Message:
            message = await receive()
            exchange.body += message.get("body", b"")  # no more than the body's limit: that is met further in
            return message

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            if exchange.is_problem:
                exchange.sent += message.get("body", b"")
            else:
                exchange.body.clear()  # answered: its endpoint records it
            await send(message)

        try:
            await self._app(scope, kept, watched)
        finally:
            if exchange.is_problem or not exchange.status:
                event = self._event(scope, exchange, kind, model, started_at=started_at, started=started)
                if event is not None:
                    await record_query(self._runtime.events, event)

    def _event(
        self,
        scope: Scope,
        exchange: _Exchange,
        kind: QueryKind,
        model: type[QueryModel],
        *,
        started_at: datetime,
        started: float,
    ) -> QueryExecuted | None:
        """Describe the query; None for what is none: no valid question, no known caller, a comparison."""
        if exchange.status in _NO_QUESTION:
            return None
        try:
            request = model.model_validate_json(bytes(exchange.body))
            caller = Authenticator.of(self._runtime).authenticate(
                Headers(scope=scope).get("authorization"), now=started_at
            )
        except (ValidationError, UnauthenticatedError, ForbiddenError):
            return None
        if not request.recorded:
            return None
        return unanswered(
            self._runtime,
            request,
            kind=kind,
            caller=caller,
            outcome=outcome_of(exchange.status or InternalError.status),
            problem=exchange.code(),
            started_at=started_at,
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
        )
