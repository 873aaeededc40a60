"""The directory as it will be once the open transaction is committed."""

from headwater.heads.directory_table import DirectoryTable
from headwater.ports.heads import DirectoryEntry
from schemas.events.directory import DirectoryChanged, DirectoryKind
from schemas.ids import TenantId


class DirectoryOverlay:
    """What commands of this transaction changed, before what is committed."""

    def __init__(self, committed: DirectoryTable) -> None:
        self._committed = committed
        self._changed = DirectoryTable()

    def apply(self, record: DirectoryChanged) -> None:
        """Take in a record that this transaction appends."""
        self._changed.apply(record)

    def latest(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryChanged | None:
        """Return the newest record of a key, deletions included."""
        changed = self._changed.latest(tenant, kind, record_id)
        return changed or self._committed.latest(tenant, kind, record_id)

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        """Return the record, None where there is none or it was deleted."""
        if self._changed.latest(tenant, kind, record_id) is not None:
            return self._changed.get(tenant, kind, record_id)
        return self._committed.get(tenant, kind, record_id)
