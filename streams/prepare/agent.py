"""Glue of stage `prepare`: from the log to chunks."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.redis_cache import RedisCache
from headwater.errors import FatalError
from headwater.generations.directory import own_generation
from headwater.generations.models import tokenizer_file_of
from headwater.generations.policy import ChunkPolicy, parse_policy
from headwater.heads.view import LmdbHeads
from headwater.ports.blobs import BlobStore
from headwater.ports.cache import Cache
from headwater.ports.heads import KnowsRevisions
from headwater.settings import Settings
from headwater.telemetry.metrics import CACHE_LOOKUPS
from headwater.telemetry.tracing import current_trace_id
from schemas.events import BlobRef, ChunksPrepared, DocumentChanged
from schemas.events.base import Lane
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, GenerationName, Revision, TenantId, document_key
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.handing_over import position_header
from streams.harness.publishing import Emission, Publisher
from streams.harness.recent import Recent
from streams.harness.stage import Failure, Resources, Stage, StageSpec
from streams.prepare import step
from streams.prepare.configuration import heavy_parser_limits, pages_of, parser_limits
from streams.prepare.errors import HeavyDocumentError
from streams.prepare.heavy import HeavyLane, position_of
from streams.prepare.pool import ParserPool, open_pool
from streams.prepare.prepared import Prepared, dump_prepared, load_prepared, prepared_key

log = structlog.get_logger(__name__)

_CACHED_S: Final = 30 * 24 * 3600  # as long as metadata is likely to change again
# Content up to here is handed over in memory; more goes through a file, so that a large document costs no memory here.
_IN_MEMORY_BYTES: Final = 1024 * 1024
# Batches sent before their confirmations are awaited: a 50,000-chunk document is not held twice.
_BATCHES_AT_ONCE: Final = 16
_REMEMBERED: Final = 10_000  # documents whose newest revision a worker knows


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareStage:
    """Turns each revision into batches of chunks, in order; a revision that cannot be parsed into one failed batch."""

    blobs: BlobStore
    cache: Cache
    pool: ParserPool
    publisher: Publisher
    policy: ChunkPolicy
    tokenizer: str  # fingerprint of the vocabulary that sizes are counted with
    generation: GenerationName
    incoming: Path  # folder for large contents on their way to the parser
    # Bulk documents at the parsers: one fewer than there are, so that an edit finds a free one; with a single parser an
    # edit waits for one document at the most.
    bulk_parses: asyncio.Semaphore
    heavy: HeavyLane
    heads: KnowsRevisions
    max_pages: Callable[[TenantId], int]
    defers: bool = True  # heavy revisions go to a topic of their own; else they are read at once, by ranges as well
    history_until: datetime | None = None  # what was admitted before a new generation began is bulk work for it
    _newest: Recent[DocumentId, Revision] = field(default_factory=lambda: Recent(_REMEMBERED))

    async def handle(self, event: DocumentChanged, delivery: Delivery) -> Outcome:
        """See Stage."""
        self._learn(event)
        event = self._laned(event)
        origin = self._origin(delivery)
        if event.op is DocumentOp.DELETED or event.content is None:
            await self._send([step.batch_without_chunks(event, origin)])
            return Outcome.DONE
        deferred = delivery.topic is Topic.DOCUMENTS_DEFERRED
        try:
            prepared = await self._prepared(event, event.content, slowly=deferred)
        except HeavyDocumentError:
            if self.defers:
                await self._defer(event, delivery)
                return Outcome.DONE
            prepared = await self._prepared(event, event.content, slowly=True)
        if prepared is None or (deferred and self._is_superseded(event)):
            return Outcome.SUPERSEDED
        canonical = await self._keep_canonical(event, event.content, prepared)
        batches = step.chunk_batches(event, prepared, canonical, origin)
        for first in range(0, len(batches), _BATCHES_AT_ONCE):
            await self._send(batches[first : first + _BATCHES_AT_ONCE])
        return Outcome.DONE

    async def give_up(self, event: DocumentChanged, delivery: Delivery, failure: Failure) -> None:
        """See Stage."""
        reason = step.Failure(error=failure.error, reason=failure.reason, stage=failure.stage)
        await self._send([step.failed_batch(self._laned(event), reason, self._origin(delivery))])

    def _laned(self, event: DocumentChanged) -> DocumentChanged:
        """Return the event in the lane that it has for this generation: an edit never waits behind its history."""
        if self.history_until is None or event.admitted_at >= self.history_until:
            return event
        return replace(event, lane=Lane.BACKFILL)

    async def _defer(self, event: DocumentChanged, delivery: Delivery) -> None:
        """Hand a revision over to the heavy lane; once the broker holds it, this lane is done with it."""
        key = document_key(event.tenant_id, event.document_id)
        headers = position_header(delivery.origin)
        await self.publisher.publish([Emission(topic=Topic.DOCUMENTS_DEFERRED, key=key, event=event, headers=headers)])

    def _learn(self, event: DocumentChanged) -> None:
        known = self._newest.get(event.document_id)
        self._newest.put(event.document_id, event.revision if known is None else max(known, event.revision))

    def _is_superseded(self, event: DocumentChanged) -> bool:
        """Say whether this worker or the host's replica has seen a newer revision. An aid: they may not know."""
        newest = self._newest.get(event.document_id)
        head = self.heads.head(event.tenant_id, event.document_id)
        return max(newest or event.revision, event.revision if head is None else head.revision) > event.revision

    def _origin(self, delivery: Delivery) -> step.Origin:
        deferred = delivery.topic is Topic.DOCUMENTS_DEFERRED
        return step.Origin(
            changed=position_of(delivery.headers) if deferred else delivery.origin,
            generation=self.generation,
            policy=self.policy,
            prepared_at=datetime.now(UTC),
            trace_id=current_trace_id(),
        )

    async def _prepared(self, event: DocumentChanged, content: BlobRef, *, slowly: bool) -> Prepared | None:
        """Return the content's chunks, from the cache where the same bytes were prepared before.

        `slowly` is the heavy lane's way; None there for a revision that was superseded meanwhile. Raises
        HeavyDocumentError for what only that way can do.
        """
        name = prepared_key(
            content.sha256,
            self.policy,
            tokenizer=self.tokenizer,
            media_hint=event.media_type,
            name_hint=event.external_id,
        )
        key = f"prepared:{event.tenant_id}:{name}"
        (entry,) = await self.cache.get_many([key])
        if entry is not None:
            try:
                known = load_prepared(entry)
            except ValueError:
                log.warning("cache_entry_dropped")
            else:
                CACHE_LOOKUPS.labels(cache="prepared", result="hit").inc()
                return known
        CACHE_LOOKUPS.labels(cache="prepared", result="miss").inc()
        if slowly:
            prepared = await self._parse_slowly(event, content)
        elif self.heavy.is_heavy(event):
            raise HeavyDocumentError("larger than stages.heavy_bytes")
        elif event.lane is Lane.LIVE:
            prepared = await self._parse(event, content)
        else:
            async with self.bulk_parses:
                prepared = await self._parse(event, content)
        if prepared is None:
            return None
        await self.cache.put_many({key: dump_prepared(prepared)}, ttl_s=_CACHED_S)
        return prepared

    async def _parse(self, event: DocumentChanged, content: BlobRef) -> Prepared | None:
        if content.size_bytes <= _IN_MEMORY_BYTES:
            data = b"".join([piece async for piece in self.blobs.read(event.tenant_id, content)])
            return await self._parsed(event, data)
        async with self._file(event, content) as path:
            return await self._parsed(event, path)

    async def _parsed(self, event: DocumentChanged, content: bytes | Path) -> Prepared:
        return await self.pool.prepare(
            content,
            declared=event.media_type,
            name=event.external_id,
            max_pages=self.max_pages(event.tenant_id),
        )

    async def _parse_slowly(self, event: DocumentChanged, content: BlobRef) -> Prepared | None:
        if self._is_superseded(event):
            return None
        async with self._file(event, content) as path:
            return await self.heavy.prepared(
                event, path, content.sha256, is_superseded=lambda: self._is_superseded(event)
            )

    @asynccontextmanager
    async def _file(self, event: DocumentChanged, content: BlobRef) -> AsyncIterator[Path]:
        with tempfile.NamedTemporaryFile(dir=self.incoming) as file:
            async for piece in self.blobs.read(event.tenant_id, content):
                file.write(piece)  # a mebibyte into the page cache: not worth a thread
            file.flush()
            yield Path(file.name)

    async def _keep_canonical(self, event: DocumentChanged, content: BlobRef, prepared: Prepared) -> BlobRef:
        """Store the text that the chunks' offsets point into, and what it was made from, unless that was done."""
        text = prepared.text.encode()
        ref = BlobRef(sha256=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
        if not await self.blobs.is_derived(event.tenant_id, ref, source=content):
            # Written even where the same text is there from another content: that one may be about to be removed.
            await self.blobs.write(event.tenant_id, _pieces(text))
            await self.blobs.record_derived(event.tenant_id, ref, source=content)
        return ref

    async def _send(self, batches: Sequence[ChunksPrepared]) -> None:
        await self.publisher.publish(
            [
                Emission(topic=Topic.CHUNKS_PREPARED, key=document_key(each.tenant_id, each.document_id), event=each)
                for each in batches
            ]
        )


async def _pieces(text: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(text), 1024 * 1024):
        yield text[first : first + 1024 * 1024]


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    settings = resources.settings
    generation = await own_generation(settings)
    policy = parse_policy(generation.policy, max_tokens=None)
    tokenizer_file = tokenizer_file_of(generation, settings.triton)
    incoming = settings.stages.datadir / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    max_pages = partial(pages_of, settings.limits)
    pool_of = partial(open_pool, tokenizer_file=tokenizer_file, policy=policy)
    async with (
        RedisCache.open(settings.redis) as cache,
        pool_of(limits=parser_limits(settings), processes=settings.stages.parser_processes) as pool,
        pool_of(limits=heavy_parser_limits(settings), processes=1, on_demand=True) as heavy_pool,
    ):
        yield PrepareStage(
            blobs=ObjectBlobStore(settings.blobs),
            cache=cache,
            pool=pool,
            publisher=resources.publisher,
            policy=policy,
            tokenizer=_fingerprint(tokenizer_file),
            generation=settings.generation,
            incoming=incoming,
            bulk_parses=asyncio.Semaphore(max(1, settings.stages.parser_processes - 1)),
            heavy=HeavyLane(
                pool=heavy_pool,
                cache=cache,
                pages_at_once=settings.stages.heavy_pages_at_once,
                heavy_bytes=settings.stages.heavy_bytes,
                progress=resources.progress,
                max_pages=max_pages,
            ),
            heads=LmdbHeads(settings),
            max_pages=max_pages,
            history_until=generation.created_at,
        )


def _fingerprint(tokenizer_file: Path) -> str:
    try:
        return hashlib.sha256(tokenizer_file.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise FatalError(
            f"{tokenizer_file}: cannot be read ({error.strerror}); build the models, or say where the tokenizer is by "
            "HEADWATER_TRITON__TOKENIZER_FILE, that of another model than the built-in one by "
            "HEADWATER_TRITON__TOKENIZER_PATTERN"
        ) from error


def _limits(settings: Settings) -> Limits:
    # A parse takes a parser process; what is cached, deleted or renamed takes none and need not wait for it.
    return Limits(
        live_keys=8,
        backfill_keys=settings.stages.parser_processes + 2,
        buffer_bytes=settings.stages.buffer_bytes,
        own_keys={Topic.DOCUMENTS_DEFERRED: 1},
    )


PREPARE = StageSpec(
    name="prepare",
    topics={Topic.DOCUMENTS_CHANGED: DocumentChanged, Topic.DOCUMENTS_DEFERRED: DocumentChanged},
    open=_open,
    limits=_limits,
    keyed=frozenset({Topic.DOCUMENTS_CHANGED, Topic.DOCUMENTS_DEFERRED}),
    dense=frozenset({Topic.DOCUMENTS_DEFERRED}),
)
