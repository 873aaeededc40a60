"""The words of an answer: from the cache where they were made of exactly this, else from a generator."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import structlog

from headwater.errors import HeadwaterError
from headwater.ports.cache import Cache
from headwater.ports.models import AnswerDelta, GeneratedAnswer, Generator
from headwater.telemetry.metrics import CACHE_LOOKUPS
from query_api.retrieval.breaker import Breaker, Breakers
from query_api.retrieval.passages import Passage
from query_api.retrieval.retriever import Degradation
from schemas.events.directory import RetrievalProfile
from schemas.ids import TenantId

log = structlog.get_logger(__name__)
ANSWER_TTL_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An answer and who wrote it; None where nobody could."""

    answer: GeneratedAnswer | None
    model: str | None
    cached: bool
    degraded: Degradation | None


def answer_key(
    tenant: TenantId, question: str, *, context: Sequence[Passage], generator: Generator, profile: RetrievalProfile
) -> str:
    """Name an answer by all that it was made from: such a cache cannot be stale and cannot leak.

    The context's row ids carry revisions, and every one of them has just passed the gate for this caller.
    """
    made_from = json.dumps(
        [
            tenant,
            " ".join(question.split()),
            generator.model,
            generator.prompt_version,
            asdict(profile),
            [passage.row.row_id for passage in context],
        ]
    )
    return f"answer:{hashlib.sha256(made_from.encode()).hexdigest()}"


async def cached_answer(cache: Cache, key: str) -> GeneratedAnswer | None:
    """Return the answer that was stored under the key; anything unreadable is a miss."""
    (raw,) = await cache.get_many([key])
    CACHE_LOOKUPS.labels(cache="answers", result="hit" if raw else "miss").inc()
    if raw is None:
        return None
    try:
        fields = json.loads(raw)
        return GeneratedAnswer(**{**fields, "passages": tuple(fields["passages"])})
    except (ValueError, TypeError, KeyError):
        return None


async def store_answer(cache: Cache, key: str, answer: GeneratedAnswer) -> None:
    """Keep an answer for a day."""
    await cache.put_many({key: json.dumps(asdict(answer)).encode()}, ttl_s=ANSWER_TTL_S)


async def write_answer(
    question: str, texts: Sequence[str], *, generator: Generator, extractive: Generator | None, breakers: Breakers
) -> Written:
    """Ask the generator; where it is away quote instead, and where that fails too leave the passages to speak."""
    for candidate, degraded in ((generator, None), (extractive, Degradation.EXTRACTIVE_ANSWER)):
        if candidate is None:
            continue
        try:
            answer = await _generate(candidate, question, texts, breakers)
        except HeadwaterError as error:  # away, misconfigured, or refusing these passages: quoting still works
            log.warning("generator_away", model=candidate.model, error=type(error).__name__)
            continue
        return Written(answer=answer, model=candidate.model, cached=False, degraded=degraded)
    return Written(answer=None, model=None, cached=False, degraded=Degradation.NO_ANSWER)


async def _generate(generator: Generator, question: str, texts: Sequence[str], breakers: Breakers) -> GeneratedAnswer:
    return await breaker_of(generator, breakers).call(lambda: generator.generate(question, texts))


def breaker_of(generator: Generator, breakers: Breakers) -> Breaker:
    """Return the generator's breaker: one for whole and for streamed answers."""
    return breakers.of(f"generator:{generator.model}")


async def begun(deltas: AsyncIterator[AnswerDelta], breaker: Breaker) -> AsyncIterator[AnswerDelta]:
    """Yield a stream whose first piece decides: an absent generator costs one timeout, not one a question."""
    yield await breaker.call(lambda: anext(deltas))
    async for delta in deltas:
        yield delta
