"""Glue of stage `prepare`: from the log to chunks."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.redis_cache import RedisCache
from headwater.errors import FatalError
from headwater.ports.blobs import BlobStore
from headwater.ports.cache import Cache
from headwater.settings import Settings
from headwater.telemetry.metrics import CACHE_LOOKUPS
from headwater.telemetry.tracing import current_trace_id
from schemas.events import BlobRef, ChunksPrepared, DocumentChanged
from schemas.events.base import Lane
from schemas.events.documents import DocumentOp
from schemas.ids import GenerationName, document_key
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.publishing import Emission, Publisher
from streams.harness.stage import Failure, Resources, Stage, StageSpec
from streams.prepare import step
from streams.prepare.limits import ParserLimits
from streams.prepare.policy import ChunkPolicy
from streams.prepare.pool import ParserPool, open_pool
from streams.prepare.prepared import Prepared, dump_prepared, load_prepared, prepared_key

log = structlog.get_logger(__name__)

_CACHED_S: Final = 30 * 24 * 3600  # as long as metadata is likely to change again
# Content up to here is handed over in memory; more goes through a file, so that a large document costs no memory here.
_IN_MEMORY_BYTES: Final = 1024 * 1024
# Batches sent before their confirmations are awaited: a 50,000-chunk document is not held twice.
_BATCHES_AT_ONCE: Final = 16


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

    async def handle(self, event: DocumentChanged, delivery: Delivery) -> Outcome:
        """See Stage."""
        origin = self._origin(delivery)
        if event.op is DocumentOp.DELETED or event.content is None:
            await self._send([step.batch_without_chunks(event, origin)])
            return Outcome.DONE
        prepared = await self._prepared(event, event.content)
        canonical = await self._keep_canonical(event, prepared)
        batches = step.chunk_batches(event, prepared, canonical, origin)
        for first in range(0, len(batches), _BATCHES_AT_ONCE):
            await self._send(batches[first : first + _BATCHES_AT_ONCE])
        return Outcome.DONE

    async def give_up(self, event: DocumentChanged, delivery: Delivery, failure: Failure) -> None:
        """See Stage."""
        reason = step.Failure(error=failure.error, reason=failure.reason, stage=failure.stage)
        await self._send([step.failed_batch(event, reason, self._origin(delivery))])

    def _origin(self, delivery: Delivery) -> step.Origin:
        return step.Origin(
            changed=delivery.origin,
            generation=self.generation,
            policy=self.policy,
            prepared_at=datetime.now(UTC),
            trace_id=current_trace_id(),
        )

    async def _prepared(self, event: DocumentChanged, content: BlobRef) -> Prepared:
        """Return the content's chunks, from the cache where the same bytes were prepared before."""
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
        if event.lane is Lane.LIVE:
            prepared = await self._parse(event, content)
        else:
            async with self.bulk_parses:
                prepared = await self._parse(event, content)
        await self.cache.put_many({key: dump_prepared(prepared)}, ttl_s=_CACHED_S)
        return prepared

    async def _parse(self, event: DocumentChanged, content: BlobRef) -> Prepared:
        pieces = self.blobs.read(event.tenant_id, content)
        if content.size_bytes <= _IN_MEMORY_BYTES:
            data = b"".join([piece async for piece in pieces])
            return await self.pool.prepare(data, declared=event.media_type, name=event.external_id)
        with tempfile.NamedTemporaryFile(dir=self.incoming) as file:
            async for piece in pieces:
                file.write(piece)  # a mebibyte into the page cache: not worth a thread
            file.flush()
            return await self.pool.prepare(Path(file.name), declared=event.media_type, name=event.external_id)

    async def _keep_canonical(self, event: DocumentChanged, prepared: Prepared) -> BlobRef:
        """Store the text that the chunks' offsets point into, unless it is there."""
        text = prepared.text.encode()
        ref = BlobRef(sha256=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
        if await self.blobs.exists(event.tenant_id, ref):
            return ref
        return await self.blobs.write(event.tenant_id, _pieces(text))

    async def _send(self, batches: "tuple[ChunksPrepared, ...] | list[ChunksPrepared]") -> None:
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
    settings, policy = resources.settings, ChunkPolicy()
    incoming = settings.stages.datadir / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    async with (
        RedisCache.open(settings.redis) as cache,
        open_pool(
            tokenizer_file=settings.triton.tokenizer_file,
            policy=policy,
            limits=_parser_limits(settings),
            processes=settings.stages.parser_processes,
        ) as pool,
    ):
        yield PrepareStage(
            blobs=ObjectBlobStore(settings.blobs),
            cache=cache,
            pool=pool,
            publisher=resources.publisher,
            policy=policy,
            tokenizer=_fingerprint(settings.triton.tokenizer_file),
            generation=settings.generation,
            incoming=incoming,
            bulk_parses=asyncio.Semaphore(max(1, settings.stages.parser_processes - 1)),
        )


def _parser_limits(settings: Settings) -> ParserLimits:
    stages = settings.stages
    return ParserLimits(
        memory_bytes=stages.parse_memory_bytes,
        cpu_s=stages.parse_cpu_s,
        pages=settings.limits.max_pages,
        wall_s=stages.parse_timeout_s,
    )


def _fingerprint(tokenizer_file: Path) -> str:
    try:
        return hashlib.sha256(tokenizer_file.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise FatalError(
            f"HEADWATER_TRITON__TOKENIZER_FILE {tokenizer_file}: cannot be read ({error.strerror}); build the models"
        ) from error


def _limits(settings: Settings) -> Limits:
    # A parse takes a parser process; what is cached, deleted or renamed takes none and need not wait for it.
    return Limits(
        live_keys=8, backfill_keys=settings.stages.parser_processes + 2, buffer_bytes=settings.stages.buffer_bytes
    )


PREPARE = StageSpec(
    name="prepare",
    topics={Topic.DOCUMENTS_CHANGED: DocumentChanged},
    open=_open,
    limits=_limits,
    keyed=frozenset({Topic.DOCUMENTS_CHANGED}),
)
