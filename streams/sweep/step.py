"""What may go, and when: no clock, no network."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headwater.clients.kafka.records import Record
from schemas.events.base import Store
from schemas.events.documents import DocumentProgressed, ProgressOutcome
from schemas.ids import DocumentId, GenerationName, Revision, TenantId

Partition: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Rows of a document below a revision are not needed any more in one store."""

    tenant_id: TenantId
    document_id: DocumentId
    store: Store
    than: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A record that was read and is not done yet; without a removal it only carries the position on."""

    offset: int
    due_ms: int  # on the sweeper's own monotonic clock
    removal: Removal | None


def removal_of(event: DocumentProgressed, *, generation: GenerationName) -> Removal | None:
    """Return what a report lets go: rows older than what is complete, or gone. A failure lets nothing go."""
    if event.generation != generation or event.outcome is ProgressOutcome.FAILED:
        return None
    return Removal(tenant_id=event.tenant_id, document_id=event.document_id, store=event.store, than=event.revision)


def newest(removals: Iterable[Removal]) -> Sequence[Removal]:
    """Return one removal per document and store: the highest revision covers the others."""
    highest: dict[tuple[DocumentId, Store], Removal] = {}
    for removal in removals:
        key = (removal.document_id, removal.store)
        if key not in highest or highest[key].than < removal.than:
            highest[key] = removal
    return tuple(highest.values())


class Backlog:
    """Records read ahead per partition, in order, until their grace has passed."""

    def __init__(self, *, grace_ms: int) -> None:
        self._grace_ms = grace_ms
        self._waiting: dict[Partition, deque[Waiting]] = {}

    def add(self, record: Record, removal: Removal | None, *, now_ms: int) -> None:
        """Take a record in; a removal waits until the grace after it was read.

        Not after it was written: that would compare the clocks of two machines, and a sweeper whose clock runs ahead
        would remove rows that a replica within its staleness budget still shows (ADR 0070).
        """
        due_ms = now_ms if removal is None else now_ms + self._grace_ms
        position = record.position
        waiting = self._waiting.setdefault((position.topic, position.partition), deque())
        waiting.append(Waiting(offset=position.offset, due_ms=due_ms, removal=removal))

    def forget_all_but(self, assigned: Iterable[Partition]) -> None:
        """Drop partitions that another worker has now: it reads them from the committed position."""
        kept = frozenset(assigned)
        self._waiting = {partition: waiting for partition, waiting in self._waiting.items() if partition in kept}

    def due(self, *, now_ms: int, at_most: int) -> Mapping[Partition, Sequence[Waiting]]:
        """Return, per partition, the first records that are due, in order; they stay until `done`."""
        ready: dict[Partition, list[Waiting]] = {}
        for partition, waiting in self._waiting.items():
            first: list[Waiting] = []
            for each in waiting:
                if each.due_ms > now_ms or len(first) == at_most:
                    break
                first.append(each)
            if first:
                ready[partition] = first
        return ready

    def done(self, finished: Mapping[Partition, Sequence[Waiting]]) -> None:
        """Let go of what `due` returned."""
        for partition, waiting in finished.items():
            for _ in waiting:
                self._waiting[partition].popleft()

    def next_due_ms(self) -> int | None:
        """Return when the earliest partition has something due, None when nothing waits."""
        return min((waiting[0].due_ms for waiting in self._waiting.values() if waiting), default=None)

    def size(self, partition: Partition) -> int:
        """Return how many records of a partition wait."""
        return len(self._waiting.get(partition, ()))
