"""Glue of stage `embed`: cache, model, topic."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from headwater.clients.redis_cache import RedisCache
from headwater.gathering import all_of
from headwater.generations.directory import own_generation
from headwater.generations.models import chunks_need_of
from headwater.ports.cache import Cache
from headwater.ports.models import Embedder
from headwater.settings import Settings
from headwater.telemetry.metrics import CACHE_LOOKUPS, VECTORS
from schemas.events import ChunksEmbedded, ChunksPrepared
from schemas.events.base import Lane
from schemas.ids import DocumentId, GenerationName, Revision, document_key
from schemas.topics import Topic
from streams.embed import step
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.publishing import Emission, Publisher
from streams.harness.recent import Recent
from streams.harness.stage import Failure, Resources, Stage, StageSpec, require_generation

# A bulk call holds the model for at most this many texts (0.2 s on two cores), so that the live instance, which shares
# the cores, soon gets its turn. Measured: calls of 16 are as fast as of 64.
TEXTS_PER_CALL: Final = 16
# Bulk calls under way: what the client lets through; more would only queue up in it.
_BULK_CALLS: Final = 3
_CACHED_S: Final = 90 * 24 * 3600
_REMEMBERED: Final = 10_000  # revisions


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedStage:
    """Gives every chunk its vector. Only texts that no document had before go to the model."""

    embedder: Embedder
    cache: Cache
    publisher: Publisher
    generation: GenerationName
    _bulk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BULK_CALLS))
    _failed: Recent[tuple[DocumentId, Revision], Failure] = field(default_factory=lambda: Recent(_REMEMBERED))

    async def handle(self, event: ChunksPrepared, _delivery: Delivery) -> Outcome:
        """See Stage. A deletion or a failure flows through untouched."""
        require_generation(event.generation, self.generation)
        if event.batch == 0:  # the revision from its beginning: perhaps a replay of one that was parked
            self._failed.forget((event.document_id, event.revision))
        failure = self._failed.get((event.document_id, event.revision))
        if failure is not None:  # an earlier batch of this revision was parked: nobody waits for the rest
            await self._send(self._failed_batch(event, failure))
        elif not event.chunks:
            await self._send(step.carried_batch(event, self.embedder.model, embedded_at=datetime.now(UTC)))
        else:
            await self._send(await self._embedded(event))
        return Outcome.DONE

    async def give_up(self, event: ChunksPrepared, _delivery: Delivery, failure: Failure) -> None:
        """See Stage."""
        if event.generation == self.generation:
            self._failed.put((event.document_id, event.revision), failure)
            await self._send(self._failed_batch(event, failure))

    async def _embedded(self, event: ChunksPrepared) -> ChunksEmbedded:
        model = self.embedder.model
        vectors = await self._known(event)
        missing = step.missing_texts(event, vectors)
        computed = await self._computed(missing, lane=event.lane)
        await self.cache.put_many(
            {step.cache_key(model, text_hash): vector for text_hash, vector in computed.items()}, ttl_s=_CACHED_S
        )
        batch = step.embedded_batch(
            event, vectors | computed, model, computed=len(computed), embedded_at=datetime.now(UTC)
        )
        VECTORS.labels(origin="computed").inc(batch.embedded)
        VECTORS.labels(origin="reused").inc(batch.reused)
        return batch

    async def _known(self, event: ChunksPrepared) -> dict[str, bytes]:
        model = self.embedder.model
        hashes = list(dict.fromkeys(chunk.text_hash for chunk in event.chunks))
        values = await self.cache.get_many([step.cache_key(model, each) for each in hashes])
        known = {
            each: value for each, value in zip(hashes, values, strict=True) if value and step.is_vector(value, model)
        }
        CACHE_LOOKUPS.labels(cache="vectors", result="hit").inc(len(known))
        CACHE_LOOKUPS.labels(cache="vectors", result="miss").inc(len(hashes) - len(known))
        return known

    async def _computed(self, missing: Sequence[step.Missing], *, lane: Lane) -> dict[str, bytes]:
        calls = [missing[first : first + TEXTS_PER_CALL] for first in range(0, len(missing), TEXTS_PER_CALL)]
        results = await all_of(self._call(texts, lane=lane) for texts in calls)
        return {text_hash: vector for result in results for text_hash, vector in result.items()}

    async def _call(self, texts: Sequence[step.Missing], *, lane: Lane) -> dict[str, bytes]:
        if lane is Lane.LIVE:
            found = await self.embedder.embed([each.text for each in texts], lane=lane)
        else:
            async with self._bulk:
                found = await self.embedder.embed([each.text for each in texts], lane=lane)
        return {each.text_hash: step.to_bytes(vector) for each, vector in zip(texts, found, strict=True)}

    def _failed_batch(self, event: ChunksPrepared, failure: Failure) -> ChunksEmbedded:
        return step.failed_batch(
            event, self.embedder.model, error=failure.error, reason=failure.reason, embedded_at=datetime.now(UTC)
        )

    async def _send(self, batch: ChunksEmbedded) -> None:
        key = document_key(batch.tenant_id, batch.document_id)
        await self.publisher.publish([Emission(topic=Topic.CHUNKS_EMBEDDED, key=key, event=batch)])


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    from headwater.clients.triton.embedder import TritonEmbedder

    settings = resources.settings
    need = chunks_need_of(await own_generation(settings))
    async with RedisCache.open(settings.redis) as cache, TritonEmbedder.open(settings.triton, need) as embedder:
        yield EmbedStage(embedder=embedder, cache=cache, publisher=resources.publisher, generation=settings.generation)


def _limits(settings: Settings) -> Limits:
    # While some bulk documents are at the model, others wait for their turn or send what they got; live ones go to an
    # instance of their own.
    return Limits(live_keys=8, backfill_keys=8, buffer_bytes=settings.stages.buffer_bytes)


EMBED = StageSpec(
    name=step.STAGE,
    topics={Topic.CHUNKS_PREPARED: ChunksPrepared},
    open=_open,
    limits=_limits,
    keyed=frozenset({Topic.CHUNKS_PREPARED}),
    dense=frozenset({Topic.CHUNKS_PREPARED}),
)
