"""Typed events. A test holds each class equal to its Avro schema and its golden example."""

from schemas.events.base import Event, Lane, Position, Store
from schemas.events.canaries import CanaryMeasured
from schemas.events.chunks import Chunk, ChunkBatch, ChunkKind, ChunksEmbedded, ChunksPrepared, embedding_text
from schemas.events.directory import DirectoryChanged, DirectorySubmitted
from schemas.events.documents import (
    Access,
    BlobRef,
    Clause,
    DeletionQuarantined,
    DocumentChanged,
    DocumentIngested,
    DocumentProgressed,
    DocumentSubmitted,
)
from schemas.events.parked import EventParked, EventResolved, LetterState
from schemas.events.queries import AuditRecorded, FeedbackReceived, QueryExecuted, ReviewRequested
from schemas.events.syncs import CursorSaved, SourceTested, SyncProgressed, SyncRequested

EVENT_TYPES: tuple[type, ...] = (
    AuditRecorded,
    CanaryMeasured,
    ChunksEmbedded,
    ChunksPrepared,
    CursorSaved,
    DeletionQuarantined,
    DirectoryChanged,
    DirectorySubmitted,
    DocumentChanged,
    DocumentIngested,
    DocumentProgressed,
    DocumentSubmitted,
    EventParked,
    EventResolved,
    FeedbackReceived,
    QueryExecuted,
    ReviewRequested,
    SourceTested,
    SyncProgressed,
    SyncRequested,
)

__all__ = [
    "EVENT_TYPES",
    "Access",
    "AuditRecorded",
    "BlobRef",
    "CanaryMeasured",
    "Chunk",
    "ChunkBatch",
    "ChunkKind",
    "ChunksEmbedded",
    "ChunksPrepared",
    "Clause",
    "CursorSaved",
    "DeletionQuarantined",
    "DirectoryChanged",
    "DirectorySubmitted",
    "DocumentChanged",
    "DocumentIngested",
    "DocumentProgressed",
    "DocumentSubmitted",
    "Event",
    "EventParked",
    "EventResolved",
    "FeedbackReceived",
    "Lane",
    "LetterState",
    "Position",
    "QueryExecuted",
    "ReviewRequested",
    "SourceTested",
    "Store",
    "SyncProgressed",
    "SyncRequested",
    "embedding_text",
]
