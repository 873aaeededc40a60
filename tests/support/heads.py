"""Submissions, records and directory entries with sensible defaults: what tests of admission and heads begin from."""

import uuid
from datetime import UTC, datetime
from typing import Any

from headwater.heads.directory_table import DirectoryTable
from headwater.ports.heads import Head
from schemas.events.base import Lane, Position
from schemas.events.directory import (
    DirectoryChanged,
    DirectoryKind,
    DirectoryOp,
    DirectoryRecord,
    DirectorySubmitted,
    KnowledgeBase,
    Source,
    Tenant,
)
from schemas.events.documents import (
    Access,
    BlobRef,
    Clause,
    DocumentChanged,
    DocumentOp,
    DocumentPatch,
    DocumentState,
    DocumentSubmitted,
    SubmissionOp,
)
from schemas.ids import (
    EVERYONE,
    SYSTEM_TENANT,
    DocumentId,
    KnowledgeBaseId,
    Revision,
    SourceId,
    TenantId,
    document_id,
)

ACME = TenantId("acme")
FILES = SourceId("files")
HANDBOOK = KnowledgeBaseId("handbook")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
FOR_ALL = Access(clauses=(Clause(principals=(EVERYONE,)),))


def blob(text: str = "content") -> BlobRef:
    """A reference to content that no test reads."""
    return BlobRef(sha256=uuid.uuid5(uuid.NAMESPACE_URL, text).hex * 2, size_bytes=len(text))


def state(title: str = "Leave", **changes: Any) -> DocumentState:
    """A document that everyone may read."""
    values: dict[str, Any] = {"knowledge_base": HANDBOOK, "title": title, "access": FOR_ALL, "content": blob()}
    return DocumentState(**(values | changes))


def submission(op: SubmissionOp, external_id: str = "leave.md", **changes: Any) -> DocumentSubmitted:
    """A live submission of `acme/files`, observed at noon."""
    values: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "tenant_id": ACME,
        "occurred_at": NOON,
        "observed_at": NOON,
        "source": FILES,
        "external_id": external_id,
        "op": op,
        "lane": Lane.LIVE,
        "source_version": None,
        "expected_revision": None,
        "actor": None,
        "state": None,
        "patch": None,
    } | changes
    values.setdefault("document_id", document_id(values["tenant_id"], values["source"], external_id))
    return DocumentSubmitted(**values)


def put(document: DocumentState | None = None, external_id: str = "leave.md", **changes: Any) -> DocumentSubmitted:
    """A full-state submission."""
    return submission(SubmissionOp.PUT, external_id, state=document or state(), **changes)


def patch(fields: dict[str, Any], external_id: str = "leave.md", **changes: Any) -> DocumentSubmitted:
    """A partial submission."""
    return submission(SubmissionOp.PATCH, external_id, patch=DocumentPatch(**fields), **changes)


def delete(external_id: str = "leave.md", **changes: Any) -> DocumentSubmitted:
    """A deletion."""
    return submission(SubmissionOp.DELETE, external_id, **changes)


def changed(document: DocumentId | None = None, **changes: Any) -> DocumentChanged:
    """A record of the log."""
    values: dict[str, Any] = {name: getattr(state(), name) for name in DocumentState.__dataclass_fields__} | {
        "event_id": uuid.uuid4(),
        "tenant_id": ACME,
        "occurred_at": NOON,
        "observed_at": NOON,
        "document_id": document or document_id(ACME, FILES, "leave.md"),
        "source": FILES,
        "external_id": "leave.md",
        "revision": Revision(NOON_MS),
        "source_version": None,
        "op": DocumentOp.UPSERTED,
        "lane": Lane.LIVE,
        "admitted_at": NOON,
        "directory_position": 3,
        "submitted": Position(topic="rag.documents.submitted", partition=0, offset=0),
    }
    return DocumentChanged(**(values | changes))


def command(
    kind: DirectoryKind, record_id: str, record: DirectoryRecord | None, *, tenant: TenantId = ACME, **changes: Any
) -> DirectorySubmitted:
    """A directory command; without a record, a deletion."""
    values: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "tenant_id": tenant,
        "occurred_at": NOON,
        "observed_at": NOON,
        "kind": kind,
        "record_id": record_id,
        "op": DirectoryOp.DELETE if record is None else DirectoryOp.PUT,
        "record": record,
        "expected_revision": None,
        "actor": None,
    }
    return DirectorySubmitted(**(values | changes))


def directory_record(
    kind: DirectoryKind, record_id: str, record: DirectoryRecord | None, *, tenant: TenantId = ACME, **changes: Any
) -> DirectoryChanged:
    """A record of the directory; without content, a deletion."""
    values: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "tenant_id": tenant,
        "occurred_at": NOON,
        "observed_at": NOON,
        "kind": kind,
        "record_id": record_id,
        "op": DirectoryOp.DELETE if record is None else DirectoryOp.PUT,
        "revision": Revision(NOON_MS),
        "record": record,
        "admitted_at": NOON,
        "submitted": Position(topic="rag.directory.submitted", partition=0, offset=0),
    }
    return DirectoryChanged(**(values | changes))


def world(*, tenant: Tenant | None = None, source: Source | None = None) -> DirectoryTable:
    """The tenant `acme` with its knowledge base `handbook` and its source `files`."""
    table = DirectoryTable()
    table.apply(directory_record(DirectoryKind.TENANT, ACME, tenant or Tenant(name="Acme"), tenant=SYSTEM_TENANT))
    table.apply(directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook")))
    files = source or Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK)
    table.apply(directory_record(DirectoryKind.SOURCE, FILES, files))
    return table


def head_of_revision(tenant: TenantId, document: DocumentId, revision: Revision) -> Head:
    """What a replica knows of a document that everyone may read."""
    return Head(
        tenant_id=tenant,
        document_id=document,
        knowledge_base=HANDBOOK,
        source=FILES,
        revision=revision,
        op=DocumentOp.UPSERTED,
        access=FOR_ALL,
        directory_position=3,
    )
