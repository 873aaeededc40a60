"""Positions that an environment stands for, written in the same LMDB transaction as what was applied."""

import struct
from collections.abc import Iterator, Mapping

from headwater.heads.environment import Database, Environment, Transaction

_POSITION, _TOPIC_ID, _AS_OF, _STEADY = b"p", b"t", b"a", b"s"
_PARTITION = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class Checkpoints:
    """Next offsets by topic and partition, the topics' identities, and as of when all of it is current."""

    def __init__(self, environment: Environment, *, create: bool) -> None:
        self.db: Database = environment.open_db(b"meta", create=create)

    def positions(self, txn: Transaction) -> dict[str, dict[int, int]]:
        """Return the next offset to apply, by topic and partition."""
        found: dict[str, dict[int, int]] = {}
        for key, value in self._under(txn, _POSITION):
            topic, number = key[1 : -_PARTITION.size - 1].decode(), key[-_PARTITION.size :]
            found.setdefault(topic, {})[_PARTITION.unpack(number)[0]] = _U64.unpack(value)[0]
        return found

    def position(self, txn: Transaction, topic: str, partition: int) -> int:
        """Return one next offset, 0 where nothing was applied yet."""
        value = txn.get(_position_key(topic, partition), db=self.db)
        return 0 if value is None else int(_U64.unpack(value)[0])

    def set_positions(self, txn: Transaction, positions: Mapping[str, Mapping[int, int]]) -> None:
        """Record what has been applied."""
        for topic, offsets in positions.items():
            for partition, offset in offsets.items():
                txn.put(_position_key(topic, partition), _U64.pack(offset), db=self.db)

    def topic_ids(self, txn: Transaction) -> dict[str, str]:
        """Return the identities of the topics that were applied: a topic created anew has another one."""
        return {key[1:].decode(): bytes(value).decode() for key, value in self._under(txn, _TOPIC_ID)}

    def set_topic_ids(self, txn: Transaction, ids: Mapping[str, str]) -> None:
        """Record which topics these are."""
        for topic, identity in ids.items():
            txn.put(_TOPIC_ID + topic.encode(), identity.encode(), db=self.db)

    def as_of_ms(self, txn: Transaction) -> int:
        """Return the instant everything before which has been applied, in ms since 1970; 0 when unknown."""
        value = txn.get(_AS_OF, db=self.db)
        return 0 if value is None else int(_U64.unpack(value)[0])

    def steady_ms(self, txn: Transaction) -> int:
        """Return the same instant on the host's steady clock; 0 when unknown."""
        value = txn.get(_STEADY, db=self.db)
        return 0 if value is None else int(_U64.unpack(value)[0])

    def set_current(self, txn: Transaction, *, as_of_ms: int, steady_ms: int) -> None:
        """Record that everything appended before this instant has been applied: by the wall and the steady clock."""
        txn.put(_AS_OF, _U64.pack(as_of_ms), db=self.db)
        txn.put(_STEADY, _U64.pack(steady_ms), db=self.db)

    def _under(self, txn: Transaction, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = txn.cursor(db=self.db)
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            yield cursor.key(), cursor.value()
            found = cursor.next()


def _position_key(topic: str, partition: int) -> bytes:
    return _POSITION + topic.encode() + b"\0" + _PARTITION.pack(partition)
