"""Backfill that was read ahead: tenants share it fairly, and nothing is settled twice for that."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from headwater.clients.kafka.records import Record

# Records of a partition between its position and the newest one that was read. Each is a bit of the commit's note:
# 4,000 are 1,000 hexadecimal digits of the 4,096 bytes that a broker takes, and reading overshoots by a batch.
WINDOW = 4_000
HELD_BYTES = 32 * 1024 * 1024  # of all partitions
# What a tenant may take in one round; a larger document saves up for several. Pages of text are smaller.
QUANTUM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a group commits of a partition: everything below `offset` is settled, and what `note` says above it."""

    offset: int
    note: str = ""  # bits of the offsets from `offset` on, hexadecimal, the lowest bit first; empty: none


class Window:
    """Which records of one partition are settled. They are read in order and settled in any."""

    def __init__(self, place: Place) -> None:
        self._open: dict[int, None] = {}  # read and not settled, in order
        self._next = place.offset  # to be read
        bits = int(place.note or "0", 16)
        self._settled = {place.offset + bit for bit in range(bits.bit_length()) if bits >> bit & 1}

    def read(self, offset: int) -> bool:
        """Note that a record was read; False for one that was settled, or read before."""
        if offset < self._next:
            return False
        self._next = offset + 1
        if offset in self._settled:
            return False
        self._open[offset] = None
        return True

    def is_open(self, offset: int) -> bool:
        """Say whether a record was read and is not settled."""
        return offset in self._open

    def after(self, settled: AbstractSet[int]) -> Place:
        """Return what to commit together with these."""
        offset = next((each for each in self._open if each not in settled), self._next)
        bits = 0
        for each in self._settled | settled:
            if each >= offset:
                bits |= 1 << (each - offset)
        return Place(offset=offset, note=f"{bits:x}" if bits else "")

    def settle(self, settled: AbstractSet[int]) -> None:
        """Note that these are committed."""
        for each in settled:
            self._open.pop(each, None)
        lowest = next(iter(self._open), self._next)
        self._settled = {each for each in self._settled | settled if each >= lowest}

    @property
    def span(self) -> int:
        """How many offsets lie between the first that is not settled and the next to be read."""
        return self._next - next(iter(self._open), self._next)


class Backlog:
    """Shares backfill out between tenants by deficit round robin (Shreedhar and Varghese, 1995), weighed in bytes.

    A tenant's records keep their order, and so do each document's. A worker reads as far ahead as the windows go;
    tenants whose records lie within them share fairly, one behind them waits until the windows have moved.
    """

    def __init__(self, cost: Callable[[Record], int]) -> None:
        self._cost = cost
        self._windows: dict[int, Window] = {}
        self._queues: dict[bytes, deque[tuple[Record, int]]] = {}  # by tenant, in the order of their turns
        self._deficits: dict[bytes, int] = {}
        self._held_bytes = 0

    def __bool__(self) -> bool:
        """Say whether anything waits."""
        return bool(self._queues)

    def begin(self, places: Mapping[int, Place]) -> None:
        """Start again from what is committed of each partition; what was read before is forgotten."""
        self._windows = {partition: Window(place) for partition, place in places.items()}
        self._queues.clear()
        self._deficits.clear()
        self._held_bytes = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take in what was read, in order."""
        for record in records:
            if self._windows[record.position.partition].read(record.position.offset):
                self._queue(record).append((record, self._cost(record)))
                self._held_bytes += _size(record)

    def take(self, *, at_most: int, room_bytes: int) -> list[Record]:
        """Return what is to be settled next: none without room, and the last one may go beyond it."""
        taken: list[Record] = []
        while self._queues and len(taken) < at_most and room_bytes > 0:
            tenant, queue = next(iter(self._queues.items()))
            record, cost = queue[0]
            if cost > self._deficits[tenant]:
                self._deficits[tenant] += QUANTUM_BYTES
                self._queues[tenant] = self._queues.pop(tenant)
                continue
            queue.popleft()
            taken.append(record)
            self._deficits[tenant] -= cost
            self._held_bytes -= _size(record)
            room_bytes -= cost
            if not queue:  # who has nothing to send saves nothing up
                del self._queues[tenant], self._deficits[tenant]
        return taken

    def put_back(self, taken: Sequence[Record]) -> None:
        """Let records be taken again in the same order: their transaction came to nothing."""
        for record in reversed(taken):
            if self._windows[record.position.partition].is_open(record.position.offset):
                self._queue(record).appendleft((record, self._cost(record)))
                self._held_bytes += _size(record)

    def places(self, taken: Iterable[Record]) -> dict[int, Place]:
        """Return what to commit of each partition together with these records."""
        return {partition: self._windows[partition].after(offsets) for partition, offsets in _offsets(taken).items()}

    def settle(self, taken: Iterable[Record]) -> None:
        """Note that these records are settled and committed."""
        for partition, offsets in _offsets(taken).items():
            self._windows[partition].settle(offsets)

    @property
    def full(self) -> frozenset[int]:
        """The partitions that are not to be read on for now."""
        if self._held_bytes >= HELD_BYTES:
            return frozenset(self._windows)
        return frozenset(partition for partition, window in self._windows.items() if window.span >= WINDOW)

    def _queue(self, record: Record) -> deque[tuple[Record, int]]:
        tenant = (record.key or b"").partition(b"/")[0]
        self._deficits.setdefault(tenant, QUANTUM_BYTES)
        return self._queues.setdefault(tenant, deque())


def _offsets(records: Iterable[Record]) -> dict[int, set[int]]:
    by_partition: dict[int, set[int]] = {}
    for record in records:
        by_partition.setdefault(record.position.partition, set()).add(record.position.offset)
    return by_partition


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
