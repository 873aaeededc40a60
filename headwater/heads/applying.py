"""Applies records of the log to the replica, with their offsets, in one LMDB transaction."""

from collections.abc import Collection

import structlog

from headwater.clients.kafka.consumer import next_offsets
from headwater.clients.kafka.records import Item, Record
from headwater.errors import FatalError
from headwater.heads.environment import Transaction, writing
from headwater.heads.records import (
    decode_revision,
    document_bytes,
    encode_head,
    encode_revision,
    progress_row_key,
)
from headwater.heads.replica import Replica
from headwater.heads.topics import FollowedTopics
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.base import Store
from schemas.events.documents import DocumentChanged, DocumentProgressed, ProgressOutcome
from schemas.ids import GenerationName

log = structlog.get_logger(__name__)


class Applier:
    """Brings a replica forward. Safe to repeat: records replace, progress only counts upwards."""

    def __init__(self, replica: Replica, topics: FollowedTopics) -> None:
        self._replica = replica
        self._topics = topics

    def apply(self, items: Collection[Item]) -> None:
        """Apply all items or none. Raises FatalError for a record of the log that this build cannot read."""
        with writing(self._replica.environment) as txn:
            for item in items:
                if isinstance(item, Record):
                    self._apply_record(txn, item)
            self._replica.checkpoints.set_positions(txn, next_offsets(items))

    def _apply_record(self, txn: Transaction, record: Record) -> None:
        topic = record.position.topic
        try:
            if topic == self._topics.changed:
                self._apply_document(txn, record)
            elif topic == self._topics.directory:
                if record.key is not None:
                    self._replica.put_directory(txn, record.key, record.value, record.position.offset)
            else:
                self._apply_progress(txn, record)
        except (ContractError, ValueError) as error:
            if topic != self._topics.progressed:
                # Going on would mean to show documents by permissions that may have been taken away.
                raise FatalError(f"{record.position}: this build cannot read it; roll out readers first") from error
            log.warning("progress_unreadable", topic=topic, partition=record.position.partition)

    def _apply_document(self, txn: Transaction, record: Record) -> None:
        if record.value is None:
            self._forget(txn, record.key or b"")
            return
        changed = decode(record.value, DocumentChanged)
        txn.put(document_bytes(changed.document_id), encode_head(changed), db=self._replica.heads)

    def _forget(self, txn: Transaction, key: bytes) -> None:
        document = document_bytes(key.decode().rpartition("/")[2])
        txn.delete(document, db=self._replica.heads)
        for row, _ in list(self._replica.progress_of(txn, document)):
            txn.delete(row, db=self._replica.progress)

    def _apply_progress(self, txn: Transaction, record: Record) -> None:
        if record.value is None:
            _, document, generation, store = (record.key or b"").decode().rsplit("/", 3)
            row = progress_row_key(document_bytes(document), GenerationName(generation), Store(store))
            txn.delete(row, db=self._replica.progress)
            return
        progressed = decode(record.value, DocumentProgressed)
        if progressed.outcome is ProgressOutcome.FAILED:
            return
        row = progress_row_key(document_bytes(progressed.document_id), progressed.generation, progressed.store)
        known = txn.get(row, db=self._replica.progress)
        # A worker that woke up late may report 8 after 9.
        if known is None or decode_revision(known) < progressed.revision:
            txn.put(row, encode_revision(progressed.revision), db=self._replica.progress)
