"""How a head is stored: a compact JSON array, about 80 bytes, and its completed revisions beside it.

Progress lies under its own keys because its topic is read independently: it may be applied before the document's
record, and a record must never undo it.
"""

import json
import struct
from collections.abc import Mapping

from headwater.ports.heads import Head
from schemas.events.base import Store
from schemas.events.documents import Access, Clause, DocumentChanged, DocumentOp
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId, TenantId

_U64 = struct.Struct(">Q")


def document_bytes(document: str) -> bytes:
    """Return the 16 bytes that an id stands for. Raises ValueError for what is none."""
    return bytes.fromhex(document)


def encode_head(record: DocumentChanged) -> bytes:
    """Encode what the gate needs of a record."""
    clauses = [clause.principals for clause in record.access.clauses]
    row = (
        record.tenant_id,
        record.knowledge_base,
        record.source,
        record.revision,
        int(record.op is DocumentOp.UPSERTED),
        record.directory_position,
        clauses,
        record.access.deny,
    )
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()


def decode_head(document: DocumentId, value: bytes, complete: Mapping[tuple[GenerationName, Store], Revision]) -> Head:
    """Decode what `encode_head` made."""
    tenant, knowledge_base, source, revision, upserted, directory_position, clauses, deny = json.loads(value)
    return Head(
        tenant_id=TenantId(tenant),
        document_id=document,
        knowledge_base=KnowledgeBaseId(knowledge_base),
        source=SourceId(source),
        revision=Revision(revision),
        op=DocumentOp.UPSERTED if upserted else DocumentOp.DELETED,
        access=Access(
            clauses=tuple(Clause(principals=tuple(map(Principal, clause))) for clause in clauses),
            deny=tuple(map(Principal, deny)),
        ),
        directory_position=directory_position,
        complete=complete,
    )


def progress_row_key(document: bytes, generation: GenerationName, store: Store) -> bytes:
    """Return the key below which a completed revision is stored."""
    return document + f"{generation}/{store.value}".encode()


def decode_progress(key: bytes, value: bytes) -> tuple[tuple[GenerationName, Store], Revision]:
    """Decode a completed revision; `key` is what follows the document's 16 bytes."""
    generation, _, store = key.decode().rpartition("/")
    return (GenerationName(generation), Store(store)), decode_revision(value)


def encode_revision(revision: Revision) -> bytes:
    """Encode a revision so that byte order is its order."""
    return _U64.pack(revision)


def decode_revision(value: bytes) -> Revision:
    """Decode what `encode_revision` made."""
    return Revision(_U64.unpack(value)[0])
