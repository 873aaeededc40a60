"""Chunks on their way from `prepare` through `embed` to the stores: batches of one revision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.events.base import Event, Lane
from schemas.events.documents import Access, AttributeValue, BlobRef, DocumentOp, Trail
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Revision, SourceId
from schemas.topics import Topic

# An event carries up to 64 chunks and a broker takes 1 MiB by default: 64 x (8 KiB of text + 1.5 KiB for a vector of
# 384 floats) = 608 KiB, which leaves a third for names, access lists and framing.
MAX_CHUNKS_PER_BATCH = 64
MAX_CHUNK_BYTES = 8 * 1024


class ChunkKind(StrEnum):
    """What a chunk is made of. Tables and code are kept whole where they fit."""

    TEXT = "text"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage of a document's canonical text. Previous and next are its ordinal's neighbours."""

    ordinal: int
    text: str  # at most MAX_CHUNK_BYTES in UTF-8
    kind: ChunkKind
    section: tuple[str, ...]  # headings from the outermost to the one it stands under
    page: int | None  # 1-based, where the format has pages
    start: int  # offsets into the canonical text, in characters, end exclusive
    end: int
    parent_start: int  # the enclosing section, for "small to big" retrieval
    parent_end: int
    text_hash: str  # SHA-256 in hex of `embedding_text`: with the model it names the vector


def embedding_text(content_title: str, section: Sequence[str], text: str) -> str:
    """Return the text an embedding is made of: content's own title, section path, passage.

    The title comes out of the content (a front matter, a first heading), never from metadata: renaming a document
    costs no model call.
    """
    path = " > ".join(dict.fromkeys(part for part in (content_title, *section) if part))
    return f"{path}\n{text}" if path else text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkBatch(Event):
    """At most 64 chunks of one revision, keyed tenant/document_id. A deletion or a failure has no chunks."""

    document_id: DocumentId
    revision: Revision
    generation: GenerationName
    knowledge_base: KnowledgeBaseId
    source: SourceId
    external_id: str
    op: DocumentOp
    lane: Lane
    title: str
    url: str | None
    media_type: str | None
    language: str | None
    access: Access
    attributes: Mapping[str, AttributeValue]
    content_title: str
    canonical: BlobRef | None  # the stored canonical text that offsets point into
    batch: int  # 0-based
    last: bool
    total: int  # chunks of the whole revision
    failed_stage: str | None  # set when the revision was parked: nobody must wait for it
    failed_error: str | None
    failed_reason: str | None
    trail: Trail
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunksPrepared(ChunkBatch):
    """Parsed and cut; findable by words from here."""

    topic: ClassVar[Topic] = Topic.CHUNKS_PREPARED


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunksEmbedded(ChunkBatch):
    """With one vector a chunk, in the same order: little-endian float32, unit length."""

    topic: ClassVar[Topic] = Topic.CHUNKS_EMBEDDED
    vectors: tuple[bytes, ...]
    dimension: int
    embedded: int  # of this batch: computed now
    reused: int  # of this batch: found in the cache
