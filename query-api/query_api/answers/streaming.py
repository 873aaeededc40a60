"""An answer as server-sent events, and its record in the log however it ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from headwater.errors import HeadwaterError
from query_api.answers.schemas import QuestionRequest
from query_api.answers.service import Answered, AnswerService, Progress
from query_api.answers.sse import server_sent_event
from query_api.failures import outcome_of, unanswered
from query_api.identity import Identity
from query_api.problems import ApiError, DependencyUnavailableError, Problem
from query_api.retrieval.passages import Passage
from query_api.retrieval.recording import record_query
from query_api.runtime import Runtime
from schemas.events.queries import QueryExecuted, QueryKind, QueryOutcome


@dataclass(slots=True, kw_only=True)
class AnswerStream:
    """One streamed answer. `record` belongs after the response: a caller who has read enough hangs up at any word."""

    runtime: Runtime
    request: QuestionRequest
    caller: Identity
    as_of: datetime
    _begun: tuple[Progress, Sequence[Passage]] | None = field(default=None, init=False)
    _answered: Answered | None = field(default=None, init=False)
    _problem: Problem | None = field(default=None, init=False)
    _started_at: datetime = field(init=False)
    _started: float = field(default_factory=time.perf_counter, init=False)

    def __post_init__(self) -> None:
        self._started_at = self.runtime.now()

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events. The status is long sent: an error can only be an event."""
        try:
            async with asyncio.timeout(self.runtime.settings.generator.request_timeout_s):
                async for piece in self._pieces():
                    if isinstance(piece, Answered):
                        yield server_sent_event("answer", piece.response.model_dump(mode="json"))
                    else:
                        yield server_sent_event("delta", {"text": piece})
        except ApiError as error:
            yield self._ended(error.problem())
        except (HeadwaterError, TimeoutError):
            yield self._ended(DependencyUnavailableError("the answer could not be finished").problem())

    async def record(self) -> None:
        """Append the query's event; of an answer that was broken off, what it was being made from."""
        await record_query(self.runtime.events, self._event())

    def _ended(self, problem: Problem) -> str:
        self._problem = problem
        return server_sent_event("error", problem.model_dump(mode="json", exclude_none=True))

    def _event(self) -> QueryExecuted:
        if self._answered is not None:
            return self._answered.event
        code = self._problem.code if self._problem else None
        if self._begun is not None:
            return AnswerService(self.runtime).broken_off(*self._begun, problem=code)
        return unanswered(
            self.runtime,
            self.request,
            kind=QueryKind.ANSWER,
            caller=self.caller,
            outcome=outcome_of(self._problem.status) if self._problem else QueryOutcome.BROKEN_OFF,
            problem=code,
            started_at=self._started_at,
            duration_ms=round((time.perf_counter() - self._started) * 1000, 3),
        )

    async def _pieces(self) -> AsyncIterator[str | Answered]:
        service = AnswerService(self.runtime)
        progress = await service.begin(self.request, caller=self.caller, as_of=self.as_of)
        context = await service.context(progress)
        self._begun = progress, context
        async for piece in service.stream(progress, context):
            if isinstance(piece, Answered):
                self._answered = piece
            yield piece
