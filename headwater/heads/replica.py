"""The replica's environment: what the follower writes and API processes read."""

import struct
from collections.abc import Iterator
from pathlib import Path

from headwater.heads.checkpoints import Checkpoints
from headwater.heads.environment import Environment, Transaction, writing
from headwater.heads.records import decode_head, decode_progress, document_bytes
from headwater.ports.heads import Head
from headwater.settings import HeadsSettings
from schemas.ids import DocumentId

LAYOUT = "replica-1"
_U64 = struct.Struct(">Q")


def replica_folder(settings: HeadsSettings) -> Path:
    """Return where the follower of this host keeps its environment."""
    return settings.folder / "replica"


class Replica:
    """The databases of one environment.

    `directory` holds a record per key behind the offset it came from, `directory_order` the key per offset: a reader
    that has seen everything up to an offset finds what came after it without looking at the rest.
    """

    def __init__(self, environment: Environment, *, create: bool) -> None:
        self.environment = environment
        self.checkpoints = Checkpoints(environment, create=create)
        self.heads = environment.open_db(b"heads", create=create)
        self.progress = environment.open_db(b"progress", create=create)
        self.directory = environment.open_db(b"directory", create=create)
        self.directory_order = environment.open_db(b"directory_order", create=create)

    def clear(self) -> None:
        """Forget everything, in place: readers stay attached and see that nothing is known."""
        with writing(self.environment) as txn:
            for db in (self.checkpoints.db, self.heads, self.progress, self.directory, self.directory_order):
                txn.drop(db, delete=False)

    def head(self, txn: Transaction, document: DocumentId) -> Head | None:
        """Return a document's head with its completed revisions."""
        try:
            key = document_bytes(document)
        except ValueError:
            return None
        value = txn.get(key, db=self.heads)
        if value is None:
            return None
        progress = dict(decode_progress(row[len(key) :], revision) for row, revision in self.progress_of(txn, key))
        return decode_head(document, value, progress)

    def progress_of(self, txn: Transaction, document: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the completed revisions of a document, as stored."""
        cursor = txn.cursor(db=self.progress)
        found = cursor.set_range(document)
        while found and cursor.key().startswith(document):
            yield cursor.key(), cursor.value()
            found = cursor.next()

    def put_directory(self, txn: Transaction, key: bytes, value: bytes | None, offset: int) -> None:
        """Store a directory record (None: its key is gone for good) that came from this offset."""
        previous = txn.get(key, db=self.directory)
        if previous is not None:
            txn.delete(previous[: _U64.size], db=self.directory_order)
        if value is None:
            txn.delete(key, db=self.directory)
            return
        txn.put(key, _U64.pack(offset) + value, db=self.directory)
        txn.put(_U64.pack(offset), key, db=self.directory_order)

    def directory_since(self, txn: Transaction, offset: int) -> Iterator[bytes]:
        """Yield the records that came from this offset or later, oldest first."""
        cursor = txn.cursor(db=self.directory_order)
        found = cursor.set_range(_U64.pack(offset))
        while found:
            stored = txn.get(cursor.value(), db=self.directory)
            if stored is not None:
                yield stored[_U64.size :]
            found = cursor.next()
