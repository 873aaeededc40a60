"""What a sync has to look at, and how several wishes become one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.events.syncs import SyncMode, SyncRequested

# Past this many named items all is looked at instead. So many looks are so many requests to the source, for which it
# lists a million items, and what waits for a run stays below 10 MiB (ADR 0201).
MAX_ITEMS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one run looks at. `|` is the least work that does what both do: associative, commutative, idempotent."""

    changes: bool = False  # what changed since the cursor
    permissions: bool = False
    full: bool = False  # everything; the others and the items are part of it
    items: frozenset[str] = frozenset()  # looked at beside what changed, which may not tell of deletions

    def __or__(self, other: "Work") -> "Work":
        return _normal(
            full=self.full or other.full,
            changes=self.changes or other.changes,
            permissions=self.permissions or other.permissions,
            items=self.items | other.items,
        )

    def covers(self, other: "Work") -> bool:
        """Say whether nothing of the other is left to do once this is done."""
        return self | other == self

    @property
    def mode(self) -> SyncMode:
        """The widest of its parts: what an operator is told."""
        if self.full:
            return SyncMode.FULL
        if self.changes:
            return SyncMode.INCREMENTAL
        return SyncMode.PERMISSIONS if self.permissions else SyncMode.ITEMS


CHANGES: Final = Work(changes=True)


def work_of(request: SyncRequested) -> Work:
    """Return what one request asks for."""
    match request.mode:
        case SyncMode.FULL:
            return _normal(full=True)
        case SyncMode.INCREMENTAL:
            return _normal(changes=True)
        case SyncMode.PERMISSIONS:
            return _normal(permissions=True)
        case SyncMode.ITEMS:
            return _normal(items=request.items)


def _normal(
    *,
    full: bool = False,
    changes: bool = False,
    permissions: bool = False,
    items: Iterable[str] = (),
) -> Work:
    """Return the one form of equal works: what is part of something wider is not named beside it."""
    named = frozenset(items)
    if full or len(named) > MAX_ITEMS:
        return Work(full=True)
    return Work(changes=changes, permissions=permissions, items=named)
