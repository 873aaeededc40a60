"""Control data in memory, materialised from `rag.directory.changed`."""

from collections.abc import Iterable, Sequence

from headwater.ports.heads import DirectoryEntry
from schemas.events.directory import (
    DirectoryChanged,
    DirectoryKind,
    DirectoryOp,
    Generation,
    GenerationState,
    Group,
    User,
)
from schemas.ids import EVERYONE, SYSTEM_TENANT, GenerationName, Principal, TenantId

_Key = tuple[TenantId, DirectoryKind, str]
_MEMBERSHIP = frozenset({DirectoryKind.USER, DirectoryKind.GROUP})


class DirectoryTable:
    """Implements the port `Directory`. Not thread-safe: belongs to one loop."""

    def __init__(self) -> None:
        self._latest: dict[_Key, DirectoryChanged] = {}
        self._entries: dict[tuple[TenantId, DirectoryKind], dict[str, DirectoryEntry]] = {}
        self._groups_of: dict[tuple[TenantId, Principal], set[Principal]] = {}
        self._closures: dict[tuple[TenantId, str], frozenset[Principal]] = {}

    def apply(self, record: DirectoryChanged) -> None:
        """Take in the next record of the log."""
        key = (record.tenant_id, record.kind, record.record_id)
        self._unlink(key)
        self._latest[key] = record
        entries = self._entries.setdefault((record.tenant_id, record.kind), {})
        entries.pop(record.record_id, None)
        if record.op is DirectoryOp.PUT and record.record is not None:
            entries[record.record_id] = DirectoryEntry(
                tenant_id=record.tenant_id,
                kind=record.kind,
                record_id=record.record_id,
                revision=record.revision,
                record=record.record,
            )
            self._link(record)
        if record.kind in _MEMBERSHIP:
            self._closures.clear()

    def latest(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryChanged | None:
        """Return the newest record of a key, deletions included."""
        return self._latest.get((tenant, kind, record_id))

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        """Return the record, None where there is none or it was deleted."""
        return self._entries.get((tenant, kind), {}).get(record_id)

    def list(self, tenant: TenantId, kind: DirectoryKind) -> Sequence[DirectoryEntry]:
        """Return all records of a kind, ordered by id."""
        entries = self._entries.get((tenant, kind), {})
        return [entries[record_id] for record_id in sorted(entries)]

    def principals(self, tenant: TenantId, user: str) -> frozenset[Principal]:
        """Return who a user is, groups closed over nesting. Cycle-safe; cached until users or groups change."""
        found = self._closures.get((tenant, user))
        if found is None:
            found = self._closures[tenant, user] = self._closure(tenant, user)
        return found

    def serving_generation(self) -> GenerationName | None:
        """Return the generation that was switched to last."""
        generations = self._entries.get((SYSTEM_TENANT, DirectoryKind.GENERATION), {}).values()
        serving = [
            (entry.record.switched, entry.revision, entry.record.name)
            for entry in generations
            if isinstance(entry.record, Generation) and entry.record.state is GenerationState.SERVING
        ]
        return max(serving)[-1] if serving else None

    def _closure(self, tenant: TenantId, user: str) -> frozenset[Principal]:
        entry = self.get(tenant, DirectoryKind.USER, user)
        if entry is None or not isinstance(entry.record, User):
            return frozenset()
        start = {Principal(f"user:{user}")} | (set() if entry.record.guest else {EVERYONE})
        return frozenset(self._reachable(tenant, start))

    def _reachable(self, tenant: TenantId, start: Iterable[Principal]) -> set[Principal]:
        seen, frontier = set(start), list(start)
        while frontier:
            for group in self._groups_of.get((tenant, frontier.pop()), ()):
                if group not in seen:
                    seen.add(group)
                    frontier.append(group)
        return seen

    def _link(self, record: DirectoryChanged) -> None:
        if isinstance(record.record, Group):
            for member in record.record.members:
                self._groups_of.setdefault((record.tenant_id, member), set()).add(_group(record.record_id))

    def _unlink(self, key: _Key) -> None:
        previous = self._latest.get(key)
        if previous is not None and isinstance(previous.record, Group):
            for member in previous.record.members:
                self._groups_of.get((key[0], member), set()).discard(_group(key[2]))


def _group(record_id: str) -> Principal:
    return Principal(f"group:{record_id}")
