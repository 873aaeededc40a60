"""Which contents an event refers to."""

from collections.abc import Iterator

from headwater.clients.kafka.records import Record
from schemas.codec import process_codec
from schemas.errors import ContractError
from schemas.events import ChunksEmbedded, ChunksPrepared, DocumentChanged, DocumentSubmitted, EventParked
from schemas.events.documents import BlobRef
from schemas.ids import TenantId


def references_of(record: Record) -> Iterator[tuple[TenantId, BlobRef]]:
    """Yield the blobs that a record refers to, a dead letter's own record included; none where it is unreadable."""
    if record.value is not None:
        yield from _referred(_decoded(record.value))


def _referred(event: object) -> Iterator[tuple[TenantId, BlobRef]]:
    match event:
        case EventParked(value=parked):
            yield from _referred(_decoded(parked))
        case DocumentChanged(tenant_id=tenant, content=BlobRef() as ref):
            yield tenant, ref
        case ChunksPrepared(tenant_id=tenant, canonical=BlobRef() as ref):
            yield tenant, ref
        case ChunksEmbedded(tenant_id=tenant, canonical=BlobRef() as ref):
            yield tenant, ref
        case DocumentSubmitted(tenant_id=tenant, state=state, patch=patch):
            for described in (state, patch):
                if described is not None and described.content is not None:
                    yield tenant, described.content


def _decoded(value: bytes) -> object:
    try:
        event: object = process_codec().decode_any(value)
    except ContractError:  # cut short, or never one of ours: nothing in it can be named
        return None
    return event
