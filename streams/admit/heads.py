"""Admission's heads: full state of every document of the partitions that this worker owns.

Decisions of a transaction go to an overlay, which the decisions after them see. `persist` writes it with the log's
position once the transaction is committed, `discard` forgets it, so the store holds committed records only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from headwater.heads.checkpoints import Checkpoints
from headwater.heads.environment import Environment, writing
from schemas.codec import encode
from schemas.events.base import Lane, Position
from schemas.events.documents import DocumentChanged, DocumentOp
from schemas.ids import DocumentId, SourceId, TenantId
from streams.admit import stored
from streams.admit.context import Usage
from streams.admit.outcomes import DocumentHead

LAYOUT = "admission-2"


class AdmissionHeads:
    """Heads and counters of one worker, by partition of the document topics. Belongs to one thread."""

    def __init__(self, environment: Environment, *, changed: str, directory: str) -> None:
        self._environment = environment
        self._changed = changed
        self._directory = directory
        self._heads = environment.open_db(b"heads")
        self._waiting = environment.open_db(b"waiting")  # deletions, as their topic has them
        self._counters = environment.open_db(b"counters")
        self._purges = environment.open_db(b"purges")
        self._checkpoints = Checkpoints(environment, create=True)
        self._new_heads: dict[bytes, tuple[DocumentHead, bytes] | None] = {}  # None: erased
        self._new_counters: dict[bytes, tuple[int, int]] = {}
        self._next: dict[int, int] = {}

    def get(self, partition: int, document: DocumentId) -> DocumentHead | None:
        """Return a document's head, the overlay's where it has one."""
        key = stored.head_key(partition, document)
        if key in self._new_heads:
            new = self._new_heads[key]
            return None if new is None else new[0]
        with self._environment.begin() as txn:
            value = txn.get(key, db=self._heads)
            return None if value is None else stored.decode_head(value, txn.get(key, db=self._waiting))

    def usage(self, partition: int, tenant: TenantId, source: SourceId, *, now_ms: int) -> Usage:
        """Return what a partition holds of a tenant and a source, and what the source has deleted in it lately."""
        return stored.usage_of(
            self._pair(stored.tenant_key(partition, tenant)),
            self._pair(stored.source_key(partition, tenant, source)),
            self._pair(stored.hour_key(partition, tenant, source)),
            self._pair(stored.day_key(partition, tenant, source)),
            now_ms=now_ms,
        )

    def put(self, partition: int, head: DocumentHead, record: bytes, *, previous: DocumentHead | None) -> None:
        """Take in a new record: `record` is `head.record` as the log has it, `previous` the head that it follows."""
        self._count(partition, None if previous is None else previous.record, head.record)
        self._new_heads[stored.head_key(partition, head.record.document_id)] = (head, record)

    def learn(self, partition: int, head: DocumentHead) -> None:
        """Take into the overlay what a dropped submission taught; the record stays."""
        key = stored.head_key(partition, head.record.document_id)
        if key in self._new_heads:
            new = self._new_heads[key]
            record = None if new is None else new[1]
        else:
            value = self._value(key)
            record = None if value is None else stored.record_bytes(value)
        if record is None:
            raise KeyError(f"document {head.record.document_id} has no head in partition {partition}")
        self._new_heads[key] = (head, record)

    def erase(self, partition: int, document: str) -> None:
        """Take into the overlay that the log has a tombstone for this document."""
        self._new_heads[stored.head_key(partition, document)] = None

    def restore(self, position: Position, value: bytes | None, key: bytes, record: DocumentChanged | None) -> None:
        """Take in a record that was read from the log: `value` as it lies there, decoded as `record`; None: erased."""
        partition = position.partition
        self._next[partition] = position.offset + 1
        if record is None or value is None:
            self.erase(partition, key.decode().rpartition("/")[2])
            return
        previous = self.get(partition, record.document_id)
        self.put(partition, _restored(record, previous, directory=self._directory), value, previous=previous)

    def restore_waiting(self, partition: int, deletions: Mapping[str, bytes]) -> None:
        """Know these deletions to wait, by document, and no others: all that their topic has of the partition."""
        prefix = stored.partition_prefix(partition)
        with writing(self._environment) as txn:
            _clear(txn.cursor(db=self._waiting), prefix)
            for document, value in deletions.items():
                txn.put(stored.head_key(partition, document), value, db=self._waiting)

    def advance(self, partition: int, next_offset: int) -> None:
        """Note how far the log is known."""
        self._next[partition] = max(next_offset, self._next.get(partition, 0))

    def position(self, partition: int) -> int:
        """Return the next offset of the log that this store does not know."""
        with self._environment.begin() as txn:
            return self._checkpoints.position(txn, self._changed, partition)

    def persist(self) -> None:
        """Write the overlay and the positions in one LMDB transaction, then forget it."""
        if self._new_heads or self._next:
            with writing(self._environment) as txn:
                for key, new in self._new_heads.items():
                    if new is None:
                        txn.delete(key, db=self._heads)
                    else:
                        txn.put(key, stored.encode_head(*new), db=self._heads)
                    if new is None or new[0].waiting is None:
                        txn.delete(key, db=self._waiting)
                    else:
                        txn.put(key, encode(new[0].waiting), db=self._waiting)
                for key, pair in self._new_counters.items():
                    txn.put(key, stored.pack_pair(*pair), db=self._counters)
                self._checkpoints.set_positions(txn, {self._changed: self._next})
        self.discard()

    def discard(self) -> None:
        """Forget the overlay: its transaction was aborted."""
        self._new_heads.clear()
        self._new_counters.clear()
        self._next = {}

    def forget(self, partition: int) -> None:
        """Throw away what is known of one partition, before it is read from the beginning."""
        prefix = stored.partition_prefix(partition)
        with writing(self._environment) as txn:
            for db in (self._heads, self._waiting, self._counters, self._purges):
                _clear(txn.cursor(db=db), prefix)
            self._checkpoints.set_positions(txn, {self._changed: {partition: 0}})

    def forget_all(self) -> None:
        """Throw away everything: it was made from another log."""
        with writing(self._environment) as txn:
            for db in (self._heads, self._waiting, self._counters, self._purges, self._checkpoints.db):
                txn.drop(db, delete=False)

    def topic_ids(self) -> dict[str, str]:
        """Return the identity of the log that this store was made from."""
        with self._environment.begin() as txn:
            return self._checkpoints.topic_ids(txn)

    def set_topic_ids(self, ids: dict[str, str]) -> None:
        """Record which log this store is made from."""
        with writing(self._environment) as txn:
            self._checkpoints.set_topic_ids(txn, ids)

    def scan(self, partition: int, after: bytes, *, limit: int) -> Iterator[tuple[bytes, DocumentHead]]:
        """Yield up to `limit` committed heads of a partition behind a key, in key order."""
        prefix = stored.partition_prefix(partition)
        with self._environment.begin() as txn:
            cursor = txn.cursor(db=self._heads)
            found = cursor.set_range(max(prefix, after + b"\0" if after else b""))
            while found and limit > 0 and cursor.key().startswith(prefix):
                key = bytes(cursor.key())
                yield key, stored.decode_head(cursor.value(), txn.get(key, db=self._waiting))
                limit -= 1
                found = cursor.next()

    def purged(self, key: bytes) -> int:
        """Return the directory offset up to which the deletions under this key are done, -1 for none."""
        with self._environment.begin() as txn:
            return stored.unpack_pair(txn.get(key, db=self._purges) or stored.pack_pair(-1, 0))[0]

    def set_purged(self, key: bytes, offset: int) -> None:
        """Remember that the deletions which this directory offset asked for are in the log."""
        with writing(self._environment) as txn:
            txn.put(key, stored.pack_pair(offset, 0), db=self._purges)

    def _value(self, key: bytes) -> bytes | None:
        with self._environment.begin() as txn:
            value: bytes | None = txn.get(key, db=self._heads)
            return value

    def _pair(self, key: bytes) -> tuple[int, int]:
        if key in self._new_counters:
            return self._new_counters[key]
        with self._environment.begin() as txn:
            return stored.unpack_pair(txn.get(key, db=self._counters))

    def _count(self, partition: int, previous: DocumentChanged | None, record: DocumentChanged) -> None:
        before, after = _weight(previous), _weight(record)
        if before != after:
            key = stored.tenant_key(partition, record.tenant_id)
            documents, size = self._pair(key)
            self._new_counters[key] = (documents + after[0] - before[0], size + after[1] - before[1])
        if before[0] != after[0]:
            key = stored.source_key(partition, record.tenant_id, record.source)
            self._new_counters[key] = (self._pair(key)[0] + after[0] - before[0], 0)
        if _is_deleting(previous, record) and not record.approved and not stored.is_purge(record, self._directory):
            at_ms = int(record.admitted_at.timestamp() * 1000)
            self._count_deletion(stored.hour_key(partition, record.tenant_id, record.source), stored.hour_of(at_ms))
            self._count_deletion(stored.day_key(partition, record.tenant_id, record.source), stored.day_of(at_ms))

    def _count_deletion(self, key: bytes, period: int) -> None:
        known_period, deletions = self._pair(key)
        self._new_counters[key] = (period, deletions + 1 if period == known_period else 1)


def _clear(cursor: Any, prefix: bytes) -> None:
    found = cursor.set_range(prefix)
    while found and cursor.key().startswith(prefix):
        found = cursor.delete()


def _weight(record: DocumentChanged | None) -> tuple[int, int]:
    if record is None or record.op is DocumentOp.DELETED:
        return (0, 0)
    return (1, 0 if record.content is None else record.content.size_bytes)


def _is_deleting(previous: DocumentChanged | None, record: DocumentChanged) -> bool:
    """Say whether a record takes a document away; a deletion that runs again takes none."""
    return record.op is DocumentOp.DELETED and (previous is None or previous.op is not DocumentOp.DELETED)


def _restored(record: DocumentChanged, previous: DocumentHead | None, *, directory: str) -> DocumentHead:
    """A record names the newest submission of each lane; one of before v2 its own alone, and what was known stays."""
    base = DocumentHead(record=record, seen_version=None) if previous is None else replace(previous, record=record)
    versions = [version for version in (base.seen_version, record.source_version) if version is not None]
    named = {Lane.LIVE: record.live_offset, Lane.BACKFILL: record.backfill_offset}
    if not stored.is_purge(record, directory):
        named[record.lane] = record.submitted.offset
    live, backfill = named[Lane.LIVE], named[Lane.BACKFILL]
    return replace(
        base,
        seen_version=max(versions, default=None),
        live_offset=base.live_offset if live is None else live,
        backfill_offset=base.backfill_offset if backfill is None else backfill,
    )
