"""Everything besides submission and head that a decision depends on: given as a value, so that decisions are pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from headwater.ports.heads import DirectoryEntry
from headwater.settings import LimitSettings
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, KnowledgeBase, Source, Tenant
from schemas.ids import SYSTEM_TENANT, KnowledgeBaseId, SourceId, TenantId


class ControlData(Protocol):
    """The part of the directory that admission asks."""

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        """Return the record, None where there is none or it was deleted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one partition holds of a tenant and of a source, and what the source has deleted in it."""

    documents: int = 0  # of the tenant
    content_bytes: int = 0  # of the tenant
    source_documents: int = 0
    deletions: int = 0  # of the source, during the current hour
    deletions_today: int = 0  # of the source; days are those of UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One decision's surroundings."""

    now_ms: int
    position: Position  # of the submission
    directory: ControlData
    directory_position: int  # next offset of directory.changed that `directory` has read up to
    partitions: int  # of the document topics: limits are shared out over them
    usage: Callable[[TenantId, SourceId], Usage]  # of this partition
    limits: LimitSettings = field(default_factory=LimitSettings)
    region: str | None = None  # where this installation keeps content; None: anywhere

    @property
    def now(self) -> datetime:
        """The same instant as `now_ms`."""
        return datetime.fromtimestamp(self.now_ms / 1000, tz=UTC)

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return the tenant's record."""
        entry = self.directory.get(SYSTEM_TENANT, DirectoryKind.TENANT, tenant)
        return entry.record if entry is not None and isinstance(entry.record, Tenant) else None

    def source(self, tenant: TenantId, source: SourceId) -> Source | None:
        """Return the source's record."""
        entry = self.directory.get(tenant, DirectoryKind.SOURCE, source)
        return entry.record if entry is not None and isinstance(entry.record, Source) else None

    def knowledge_base(self, tenant: TenantId, knowledge_base: KnowledgeBaseId) -> KnowledgeBase | None:
        """Return the knowledge base's record."""
        entry = self.directory.get(tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_base)
        return entry.record if entry is not None and isinstance(entry.record, KnowledgeBase) else None

    def share(self, limit: int) -> int:
        """Return one partition's share of a limit, rounded up so that a small limit does not shut a partition."""
        return -(-limit // self.partitions)
