"""Identifiers and keys: how a document, a row and a Kafka key are named everywhere."""

import hashlib
from typing import NewType

TenantId = NewType("TenantId", str)
DocumentId = NewType("DocumentId", str)  # 32 lower-case hex digits: opaque, no personal data in keys
Revision = NewType("Revision", int)  # max(previous + 1, wall clock in ms), numbered by admission; only grows
GenerationName = NewType("GenerationName", str)
KnowledgeBaseId = NewType("KnowledgeBaseId", str)
SourceId = NewType("SourceId", str)
Principal = NewType("Principal", str)  # user:ID, group:SOURCE:ID or everyone

EVERYONE = Principal("everyone")
SYSTEM_TENANT = TenantId("_system")  # owns what belongs to no customer: tenants themselves, generations


def document_id(tenant: TenantId, source: SourceId, external_id: str) -> DocumentId:
    """Name a document: 128 bits of SHA-256 over tenant, source and external id, as 32 hex digits.

    Each part is preceded by its length, so no two triples share their bytes and no two tenants share a document.
    """
    digest = hashlib.sha256()
    for part in (tenant, source, external_id):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return DocumentId(digest.hexdigest()[:32])


def row_id(document: DocumentId, revision: Revision, ordinal: int) -> str:
    """Primary key of a chunk's row in both stores: no two revisions share one, so no write overwrites another."""
    return f"{document}#{revision}#{ordinal}"


def document_key(tenant: TenantId, document: DocumentId) -> bytes:
    """Kafka key of everything that must stay in order per document."""
    return f"{tenant}/{document}".encode()


def progress_key(tenant: TenantId, document: DocumentId, generation: GenerationName, store: str) -> bytes:
    """Compaction key of a progress event. Its partition is that of `document_key`, though the key is longer."""
    return f"{tenant}/{document}/{generation}/{store}".encode()


def directory_key(tenant: TenantId, kind: str, record_id: str) -> bytes:
    """Kafka key of a directory record."""
    return f"{tenant}/{kind}/{record_id}".encode()


def scoped_key(tenant: TenantId, scope: str) -> bytes:
    """Kafka key of events ordered per tenant and one more name: a query, an actor, a source."""
    return f"{tenant}/{scope}".encode()
