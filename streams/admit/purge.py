"""Deletes the documents of a deleted knowledge base or tenant, and of a source that was deleted with its documents.

The gate hides those of a knowledge base or a tenant as soon as it has read the directory. The deletions follow here, a
bounded transaction at a time between two polls, so that live submissions wait for one of them at the most. Where it
stopped is not written down: a scan that begins anew finds what is deleted already and passes over it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryChanged, DirectoryKind
from schemas.events.documents import DocumentChanged
from schemas.ids import TenantId
from streams.admit.context import Context
from streams.admit.heads import AdmissionHeads
from streams.admit.limits import is_deletable
from streams.admit.outcomes import DocumentHead
from streams.admit.step import deletion_of
from streams.admit.stored import purge_key

# A head takes about 50 µs to decode: a scan of this many holds up live submissions for 25 ms.
SCAN = 500
# Documents under a hold or in retention stay, hidden. They are looked at again this often.
AGAIN_AFTER_MS = 3_600_000


@dataclass(slots=True, kw_only=True, eq=False)
class Purge:
    """The deletion of one directory record, carried out in one partition."""

    partition: int
    change: DirectoryChanged
    offset: int  # of `change` in directory.changed
    after: bytes = b""  # key of the last head looked at
    kept: int = 0
    not_before_ms: int = 0

    def concerns(self, record: DocumentChanged) -> bool:
        """Say whether a document was in what is deleted, admitted before the writer had seen the deletion.

        What was admitted later lies in a knowledge base, or comes from a source, that was created anew under its name.
        """
        if record.directory_position > self.offset:
            return False
        if self.change.kind is DirectoryKind.TENANT:
            return record.tenant_id == self.change.record_id
        container = record.source if self.change.kind is DirectoryKind.SOURCE else record.knowledge_base
        return record.tenant_id == self.change.tenant_id and container == self.change.record_id


class Purges:
    """What is still to be deleted in the partitions that this worker owns."""

    def __init__(self, heads: AdmissionHeads, directory_topic: str) -> None:
        self._heads = heads
        self._topic = directory_topic
        self._waiting: list[Purge] = []
        self._planned: set[tuple[int, bytes, int]] = set()

    def plan(
        self,
        deletions: Mapping[tuple[TenantId, DirectoryKind, str], tuple[int, DirectoryChanged]],
        partitions: Iterable[int],
    ) -> None:
        """Add the deletions that have not been carried out in these partitions yet."""
        for partition in partitions:
            for offset, change in deletions.values():
                key = purge_key(partition, change)
                if (partition, key, offset) in self._planned:
                    continue
                self._planned.add((partition, key, offset))
                if self._heads.purged(key) < offset:
                    self._waiting.append(Purge(partition=partition, change=change, offset=offset))

    def forget(self) -> None:
        """Drop all plans: the partitions have changed."""
        self._waiting.clear()
        self._planned.clear()

    def due(self, now_ms: int) -> Purge | None:
        """Return the purge to go on with, None when nothing is to be done now."""
        return next((purge for purge in self._waiting if purge.not_before_ms <= now_ms), None)

    def scan(self, purge: Purge, context: Context) -> tuple[list[tuple[DocumentHead, DocumentChanged]], bytes]:
        """Return the next deletions, with the heads that they follow, and the key to go on from; empty at the end."""
        found, after = [], b""
        for key, head in self._heads.scan(purge.partition, purge.after, limit=SCAN):
            after = key
            if not head.exists or not purge.concerns(head.record):
                continue
            if is_deletable(head.record, context.now):
                found.append((head, _deletion(purge, head, context)))
            else:
                purge.kept += 1
        return found, after

    def advance(self, purge: Purge, after: bytes, *, now_ms: int) -> None:
        """Go on from a key, once the deletions before it are committed. An empty key: the partition is through."""
        purge.after = after
        if after:
            return
        if purge.kept:
            purge.kept, purge.not_before_ms = 0, now_ms + AGAIN_AFTER_MS
        else:
            self._waiting.remove(purge)
            self._heads.set_purged(purge_key(purge.partition, purge.change), purge.offset)

    def position(self, purge: Purge) -> Position:
        """Return what stands for the submission in the deletions: the directory's record."""
        return Position(topic=self._topic, partition=0, offset=purge.offset)


def _deletion(purge: Purge, head: DocumentHead, context: Context) -> DocumentChanged:
    return replace(
        deletion_of(head.naming_submissions(), context, lane=Lane.LIVE),
        occurred_at=purge.change.occurred_at,
        observed_at=purge.change.observed_at,
    )
