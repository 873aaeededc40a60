"""The step: a document's event and its prepared text become batches of chunks. Pure: the clock's time is passed in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

from headwater.generations.policy import ChunkPolicy
from schemas.events.base import Position
from schemas.events.chunks import MAX_CHUNKS_PER_BATCH, Chunk, ChunksPrepared
from schemas.events.documents import BlobRef, DocumentChanged, Trail
from schemas.ids import GenerationName
from streams.prepare.prepared import Prepared, parser_label

STAGE = "prepare"
# A broker takes 1 MiB by default: this leaves room for vectors of 64 chunks, names, access lists and attributes.
MAX_BATCH_TEXT_BYTES = 512 * 1024
_CHUNK_OVERHEAD_BYTES = 256  # offsets, hash and framing of one chunk
_NAMESPACE = UUID("5b0f6a3e-2f0a-4b52-9f0e-6a4d4c1f7c11")  # ours alone: event ids derive from what the event is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and when a document's event was taken up: what its batches say about their making."""

    changed: Position
    generation: GenerationName
    policy: ChunkPolicy
    prepared_at: datetime
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a revision was parked."""

    error: str  # class name
    reason: str
    stage: str = STAGE


def chunk_batches(
    event: DocumentChanged, prepared: Prepared, canonical: BlobRef, origin: Origin
) -> tuple[ChunksPrepared, ...]:
    """Return the revision's batches in order: at most MAX_CHUNKS_PER_BATCH chunks each, and well under a mebibyte.

    A text without chunks gives one batch without chunks. The same event and text give the same event ids.
    """
    groups = list(_groups(prepared.chunks)) or [()]
    trail = replace(_trail(event, origin), parser=parser_label(origin.policy, prepared.media_type))
    return tuple(
        replace(
            _empty(event, origin, batch=number),
            trail=trail,
            media_type=prepared.media_type,
            language=event.language or prepared.language,
            content_title=prepared.content_title,
            canonical=canonical,
            last=number == len(groups) - 1,
            total=len(prepared.chunks),
            chunks=group,
        )
        for number, group in enumerate(groups)
    )


def batch_without_chunks(event: DocumentChanged, origin: Origin) -> ChunksPrepared:
    """Return the one batch of a deletion, or of a document without content: it is carried through to both stores."""
    return _empty(event, origin, batch=0)


def failed_batch(event: DocumentChanged, failure: Failure, origin: Origin) -> ChunksPrepared:
    """Return the one batch that tells the later stages not to wait for a parked revision."""
    return replace(
        _empty(event, origin, batch=0),
        failed_stage=failure.stage,
        failed_error=failure.error,
        failed_reason=failure.reason,
    )


def _groups(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, ...]]:
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        weight = len(chunk.text.encode()) + sum(len(part.encode()) for part in chunk.section) + _CHUNK_OVERHEAD_BYTES
        if group and (len(group) == MAX_CHUNKS_PER_BATCH or size + weight > MAX_BATCH_TEXT_BYTES):
            yield tuple(group)
            group, size = [], 0
        group.append(chunk)
        size += weight
    if group:
        yield tuple(group)


def _empty(event: DocumentChanged, origin: Origin, *, batch: int) -> ChunksPrepared:
    name = f"{event.document_id}#{event.revision}#{origin.generation}#{batch}"
    return ChunksPrepared(
        event_id=uuid5(_NAMESPACE, name),
        tenant_id=event.tenant_id,
        occurred_at=event.occurred_at,
        observed_at=event.observed_at,
        document_id=event.document_id,
        revision=event.revision,
        generation=origin.generation,
        knowledge_base=event.knowledge_base,
        source=event.source,
        external_id=event.external_id,
        op=event.op,
        lane=event.lane,
        title=event.title,
        url=event.url,
        media_type=event.media_type,
        language=event.language,
        access=event.access,
        attributes=event.attributes,
        content_title="",
        canonical=None,
        batch=batch,
        last=True,
        total=0,
        failed_stage=None,
        failed_error=None,
        failed_reason=None,
        trail=_trail(event, origin),
        chunks=(),
    )


def _trail(event: DocumentChanged, origin: Origin) -> Trail:
    return Trail(
        submitted=event.submitted,
        changed=origin.changed,
        submission_occurred_at=event.occurred_at,
        submission_observed_at=event.observed_at,
        admitted_at=event.admitted_at,
        prepared_at=origin.prepared_at,
        parser=parser_label(origin.policy),
        trace_id=origin.trace_id,
    )
