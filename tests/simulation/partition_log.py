"""One partition of the simulated log: entries by offset, what readers see of them, compaction and retention."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from headwater.clients.kafka.records import Headers

Partition = tuple[str, int]


class State(Enum):
    """Of an entry that was written in a transaction."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()
    MARKER = auto()


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One offset of a partition."""

    offset: int
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    at_s: float  # when readers of committed records could see it
    state: State


@dataclass(slots=True, eq=False)
class PartitionLog:
    """Entries in order of their offsets; compaction leaves holes."""

    entries: list[Entry] = field(default_factory=list)
    start: int = 0
    next: int = 0
    open_offsets: set[int] = field(default_factory=set)  # of transactions that have not ended

    def stable(self) -> int:
        """Return the end for readers of committed records."""
        return min(self.open_offsets) if self.open_offsets else self.next

    def from_offset(self, offset: int) -> Iterable[Entry]:
        """Return entries from an offset on."""
        low, high = 0, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            if self.entries[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return self.entries[low:]

    def end(self, *, committed: bool) -> int:
        """Return the end for readers of committed records, or for all."""
        return self.stable() if committed else self.next

    def read(self, offset: int, *, committed: bool, limit: int) -> tuple[list[Entry], int]:
        """Return entries from an offset on, and the next offset to read from, behind markers and what was aborted."""
        end = self.end(committed=committed)
        if offset >= end:
            return [], offset
        found: list[Entry] = []
        for entry in self.from_offset(offset):
            if entry.offset >= end or len(found) == limit:
                return found, entry.offset
            if entry.state is State.MARKER or (committed and entry.state is State.ABORTED):
                continue
            found.append(entry)
        return found, max(end, offset)

    def compact(self, *, now_s: float, min_age_s: float) -> None:
        """Keep the newest entry of each key, and everything that is younger than the minimum lag."""
        stable = self.stable()
        newest = {
            each.key: each.offset for each in self.entries if each.state is State.COMMITTED and each.offset < stable
        }
        self.entries = [
            each
            for each in self.entries
            if each.offset >= stable
            or now_s - each.at_s < min_age_s
            or (each.state is State.COMMITTED and newest[each.key] == each.offset)
        ]

    def expire(self, *, now_s: float, min_age_s: float) -> None:
        """Remove what is older than the retention."""
        stable = self.stable()
        self.entries = [each for each in self.entries if each.offset >= stable or now_s - each.at_s < min_age_s]
        self.start = self.entries[0].offset if self.entries else self.next
