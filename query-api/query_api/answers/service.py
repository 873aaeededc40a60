"""Answering: retrieve, rerank, gate, generate, gate again, show."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from headwater.errors import HeadwaterError
from headwater.ports.models import GeneratedAnswer
from headwater.telemetry.tracing import span
from query_api.answers.context import select
from query_api.answers.generation import (
    Written,
    answer_key,
    begun,
    breaker_of,
    cached_answer,
    store_answer,
    write_answer,
)
from query_api.answers.schemas import (
    AnswerMeta,
    AnswerResponse,
    CacheUse,
    QuestionRequest,
    TokenCount,
    source_of,
)
from query_api.identity import Identity
from query_api.retrieval.passages import Passage
from query_api.retrieval.query_ids import QuerySigner
from query_api.retrieval.recording import query_executed
from query_api.retrieval.retriever import Degradation
from query_api.retrieval.session import Session
from query_api.runtime import Runtime
from query_api.search.schemas import passage_model
from query_api.search.service import session_for
from schemas.events.queries import QueryExecuted, QueryKind, QueryOutcome

NOTHING = GeneratedAnswer(text="", passages=(), answerable=False, prompt_tokens=0, completion_tokens=0)


@dataclass(slots=True, kw_only=True)
class Progress:
    """What has been done for one question so far."""

    request: QuestionRequest
    session: Session
    query_id: str
    as_of: datetime
    started_at: datetime
    started: float
    degraded: list[Degradation] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)

    def lap(self, step: str, since: float) -> None:
        """Note how long a step took."""
        self.timings_ms[step] = round((time.perf_counter() - since) * 1000, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The response, and the event that records it."""

    response: AnswerResponse
    event: QueryExecuted


@dataclass(frozen=True, slots=True)
class AnswerService:
    """Answers questions from what the caller may read."""

    runtime: Runtime

    async def answer(self, request: QuestionRequest, *, caller: Identity, as_of: datetime) -> Answered:
        """Return an answer, degraded where a dependency is away. Raise NoLegError when neither store answers."""
        progress = await self.begin(request, caller=caller, as_of=as_of)
        context = await self.context(progress)
        written = await self._write(progress, context)
        return self.conclude(progress, context, written)

    async def stream(self, progress: Progress, context: Sequence[Passage]) -> AsyncIterator[str | Answered]:
        """Yield pieces of the answer's text, then the whole. The gate is asked again before every piece."""
        key = self._key(progress, context)
        known = await cached_answer(self.runtime.cache, key) if context else NOTHING
        if known is not None:
            if known.text and self._unchanged(progress, context):
                yield known.text
            yield self.conclude(progress, context, self._known(known, context))
            return
        written: Written | None = None
        async for piece in self._stream_words(progress, context):
            if isinstance(piece, Written):
                written = piece
            elif self._unchanged(progress, context):
                yield piece
            else:
                break  # revoked while it was being written: what follows is not shown
        if written is None:
            written = Written(answer=None, model=None, cached=False, degraded=Degradation.NO_ANSWER)
        elif written.answer is not None and written.degraded is None:
            await store_answer(self.runtime.cache, key, written.answer)
        yield self.conclude(progress, context, written)

    async def _stream_words(self, progress: Progress, context: Sequence[Passage]) -> AsyncIterator[str | Written]:
        """Yield the generator's words, then what was written; where it is away before the first word, quote instead."""
        models, since, question = self.runtime.models, time.perf_counter(), progress.request.query
        spoken = False
        try:
            with span("generate", model=models.generator.model):
                deltas = models.generator.stream(question, _texts(context))
                async for delta in begun(deltas, breaker_of(models.generator, self.runtime.breakers)):
                    if delta.text:
                        spoken = True
                        yield delta.text
                    if delta.final is not None:
                        progress.lap("generate", since)
                        yield Written(answer=delta.final, model=models.generator.model, cached=False, degraded=None)
        except HeadwaterError:  # away, misconfigured, or refusing these passages: quoting still works
            if spoken:
                raise
            written = await write_answer(
                question,
                _texts(context),
                generator=models.generator,
                extractive=models.extractive,
                breakers=self.runtime.breakers,
            )
            if written.answer is not None:
                yield written.answer.text
            yield written

    async def begin(self, request: QuestionRequest, *, caller: Identity, as_of: datetime) -> Progress:
        """Bind a question to its caller, and name it."""
        started_at, started = self.runtime.now(), time.perf_counter()
        return Progress(
            request=request,
            session=await session_for(self.runtime, request, caller),
            query_id=QuerySigner(self.runtime.secret).sign(caller.tenant_id, caller.user, now=started_at),
            as_of=as_of,
            started_at=started_at,
            started=started,
        )

    async def context(self, progress: Progress) -> tuple[Passage, ...]:
        """Return the passages a generator may see: admitted now, best first, within the profile's budget."""
        selection = await select(
            progress.session,
            progress.request.query,
            mode=progress.request.mode,
            reranker=self.runtime.models.reranker,
            breakers=self.runtime.breakers,
        )
        progress.degraded.extend(selection.degraded)
        progress.timings_ms.update(selection.retrieved.timings_ms)
        if selection.reranked is not None:
            progress.timings_ms["rerank"] = selection.reranked.duration_ms
        return selection.chosen

    async def _write(self, progress: Progress, context: Sequence[Passage]) -> Written:
        if not context:
            return self._known(NOTHING, context)
        key = self._key(progress, context)
        known = await cached_answer(self.runtime.cache, key)
        if known is not None:
            return self._known(known, context)
        since, models = time.perf_counter(), self.runtime.models
        with span("generate", model=models.generator.model):
            written = await write_answer(
                progress.request.query,
                _texts(context),
                generator=models.generator,
                extractive=models.extractive,
                breakers=self.runtime.breakers,
            )
        progress.lap("generate", since)
        if written.answer is not None and written.degraded is None:
            await store_answer(self.runtime.cache, key, written.answer)
        return written

    def conclude(self, progress: Progress, context: Sequence[Passage], written: Written) -> Answered:
        """Look at the gate once more, then show: what was revoked meanwhile takes the whole answer with it."""
        allowed = progress.session.gate.passages(context)
        if written.degraded:
            progress.degraded.append(written.degraded)
        if len(allowed) < len(context):
            written = Written(answer=None, model=None, cached=False, degraded=None)
            progress.degraded.append(Degradation.NO_ANSWER)
        progress.lap("total", progress.started)
        response = _response(progress, allowed, written)
        return Answered(response=response, event=self._event(progress, allowed, written, response))

    def broken_off(self, progress: Progress, context: Sequence[Passage], *, problem: str | None) -> QueryExecuted:
        """Return the record of an answer that did not come to its end: it was being made from these passages.

        Without a problem its caller hung up.
        """
        progress.degraded.append(Degradation.NO_ANSWER)
        progress.lap("total", progress.started)
        written = Written(answer=None, model=None, cached=False, degraded=None)
        event = self._event(progress, context, written, _response(progress, context, written))
        outcome = QueryOutcome.BROKEN_OFF if problem is None else QueryOutcome.FAILED
        return replace(event, outcome=outcome, problem=problem)

    def _unchanged(self, progress: Progress, context: Sequence[Passage]) -> bool:
        return len(progress.session.gate.passages(context)) == len(context)

    def _key(self, progress: Progress, context: Sequence[Passage]) -> str:
        return answer_key(
            progress.session.caller.tenant_id,
            progress.request.query,
            context=context,
            generator=self.runtime.models.generator,
            profile=progress.session.profile,
        )

    def _known(self, answer: GeneratedAnswer, context: Sequence[Passage]) -> Written:
        model = self.runtime.models.generator.model if context else None
        return Written(answer=answer, model=model, cached=bool(context), degraded=None)

    def _event(
        self, progress: Progress, passages: Sequence[Passage], written: Written, response: AnswerResponse
    ) -> QueryExecuted:
        return query_executed(
            progress.session,
            query_id=progress.query_id,
            kind=QueryKind.ANSWER,
            mode=progress.request.mode.value,
            question=progress.request.query,
            passages=passages,
            timings_ms=progress.timings_ms,
            started_at=progress.started_at,
            directory=self.runtime.directory,
            degraded=response.meta.degraded,
            answered=response.answer is not None,
            cache_hit=written.cached,
            prompt_tokens=response.meta.tokens.prompt,
            completion_tokens=response.meta.tokens.completion,
        )


def _texts(context: Sequence[Passage]) -> list[str]:
    return [passage.row.text for passage in context]


def _response(progress: Progress, passages: Sequence[Passage], written: Written) -> AnswerResponse:
    shown = [passage_model(passage, progress.request.query, explain=False) for passage in passages]
    answer = written.answer or NOTHING
    spent = answer if not written.cached else NOTHING
    return AnswerResponse(
        answer=answer.text if answer.answerable else None,
        sources=tuple(source_of(shown[index], index + 1) for index in answer.passages) if answer.answerable else (),
        passages=() if answer.answerable else tuple(shown),
        meta=AnswerMeta(
            query_id=progress.query_id,
            generation=progress.session.generation,
            as_of=progress.as_of,
            cache=_cache_use(written),
            degraded=tuple(progress.degraded),
            tokens=TokenCount(prompt=spent.prompt_tokens, completion=spent.completion_tokens),
            timings_ms=progress.timings_ms,
            model=written.model,
        ),
    )


def _cache_use(written: Written) -> CacheUse:
    if written.model is None:
        return CacheUse.NONE
    return CacheUse.HIT if written.cached else CacheUse.MISS
