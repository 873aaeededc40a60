"""What a replica knows of the log: heads of documents and control data, and how current that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, DirectoryRecord
from schemas.events.documents import Access, DocumentOp
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId, TenantId

# Next offset to read, by topic and partition: everything below has been applied.
Positions: TypeAlias = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A document as of the replica's position, as far as the gate needs it."""

    tenant_id: TenantId
    document_id: DocumentId
    knowledge_base: KnowledgeBaseId
    source: SourceId
    revision: Revision
    op: DocumentOp
    access: Access
    directory_position: int  # the gate must have read directory.changed up to here
    complete: Mapping[tuple[GenerationName, Store], Revision] = field(default_factory=dict)  # newest complete revision


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """A directory record that exists."""

    tenant_id: TenantId
    kind: DirectoryKind
    record_id: str
    revision: Revision
    record: DirectoryRecord


class Directory(Protocol):
    """Control data, read from memory."""

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        """Return the record, None where there is none or it was deleted."""
        ...

    def list(self, tenant: TenantId, kind: DirectoryKind) -> Sequence[DirectoryEntry]:
        """Return all records of a kind, ordered by id."""
        ...

    def principals(self, tenant: TenantId, user: str) -> frozenset[Principal]:
        """Return `user:ID`, every group it is in, directly or through groups, and `everyone` unless it is a guest.

        Empty for a user that does not exist: nobody. Cycle-safe; cached until the directory changes.
        """
        ...

    def serving_generation(self) -> GenerationName | None:
        """Return the generation that the directory's newest switch names, None before the first."""
        ...


class KnowsRevisions(Protocol):
    """The part of `Heads` that stages use, as an aid: the host's replica may lag, or know nothing."""

    def head(self, tenant: TenantId, document: DocumentId) -> Head | None:
        """Return the newest committed state that this replica has applied."""
        ...


class Heads(Protocol):
    """Heads of all documents, with the positions they stand for."""

    def head(self, tenant: TenantId, document: DocumentId) -> Head | None:
        """Return the newest committed state that this replica has applied."""
        ...

    def heads(self, tenant: TenantId, documents: Sequence[DocumentId]) -> Mapping[DocumentId, Head]:
        """Return those that are known, read in one consistent snapshot."""
        ...

    def applied(self) -> Positions:
        """Return what this replica has applied of documents.changed, directory.changed and documents.progressed."""
        ...

    def directory_position(self) -> int:
        """Return the next offset of directory.changed."""
        ...

    def as_of(self) -> datetime:
        """Return the latest instant of which it is certain that everything appended before has been applied."""
        ...
