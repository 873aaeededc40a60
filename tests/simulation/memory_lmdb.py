"""LMDB in memory: the part of its interface that heads and journals use, with transactions that undo."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self


class Database:
    """Keys in order, and their values."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self.values:
            insort(self.keys, key)
        self.values[key] = value

    def delete(self, key: bytes) -> bool:
        if key not in self.values:
            return False
        del self.values[key]
        del self.keys[bisect_left(self.keys, key)]
        return True


class Cursor:
    """A place among the keys of one database."""

    def __init__(self, transaction: "Transaction", database: Database) -> None:
        self._transaction, self._database, self._at = transaction, database, 0
        self._keys, self._values = database.keys, database.values

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys with their values."""
        return iter([(key, self._values[key]) for key in self._keys])

    def set_range(self, key: bytes) -> bool:
        self._at = bisect_left(self._keys, key)
        return self._at < len(self._keys)

    def next(self) -> bool:
        self._at += 1
        return self._at < len(self._keys)

    def key(self) -> bytes:
        return self._keys[self._at] if self._at < len(self._keys) else b""

    def value(self) -> bytes:
        return self._values[self._keys[self._at]] if self._at < len(self._keys) else b""

    def delete(self) -> bool:
        self._transaction.delete(self.key(), db=self._database)
        return self._at < len(self._keys)


class Transaction:
    """All or nothing. What a dead process writes is nothing."""

    def __init__(self, environment: "MemoryEnvironment", *, ignored: bool) -> None:
        self._environment, self._ignored = environment, ignored
        self._undo: list[tuple[Database, bytes, bytes | None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None and not self._ignored:
            return
        for database, key, before in reversed(self._undo):
            if before is None:
                database.delete(key)
            else:
                database.put(key, before)

    def get(self, key: bytes, default: bytes | None = None, db: Database | None = None) -> bytes | None:
        return self._of(db).values.get(bytes(key), default)

    def put(self, key: bytes, value: bytes, db: Database | None = None) -> bool:
        database = self._of(db)
        self._undo.append((database, bytes(key), database.values.get(bytes(key))))
        database.put(bytes(key), bytes(value))
        return True

    def delete(self, key: bytes, value: bytes = b"", db: Database | None = None) -> bool:
        database = self._of(db)
        before = database.values.get(bytes(key))
        if before is None:
            return False
        self._undo.append((database, bytes(key), before))
        return database.delete(bytes(key))

    def drop(self, db: Database, *, delete: bool = True) -> None:
        for key in list(db.keys):
            self.delete(key, db=db)

    def cursor(self, db: Database | None = None) -> Cursor:
        return Cursor(self, self._of(db))

    def _of(self, db: Database | None) -> Database:
        return self._environment.open_db(None) if db is None else db


class MemoryEnvironment:
    """One environment, as one process has it open."""

    def __init__(
        self, databases: dict[bytes | None, Database] | None = None, is_dead: Callable[[], bool] = lambda: False
    ) -> None:
        self._databases: dict[bytes | None, Database] = {} if databases is None else databases
        self._is_dead = is_dead

    def opened_by(self, is_dead: Callable[[], bool]) -> "MemoryEnvironment":
        """Return the same data, for a process whose writes count until it is dead."""
        return MemoryEnvironment(self._databases, is_dead)

    def empty(self) -> None:
        """Lose everything, in place."""
        for database in self._databases.values():
            database.values.clear()
            database.keys.clear()

    def open_db(self, name: bytes | None, **_: Any) -> Database:
        return self._databases.setdefault(name, Database())

    def begin(self, *, write: bool = False, **_: Any) -> Transaction:
        return Transaction(self, ignored=write and self._is_dead())

    def path(self) -> str:
        return "memory"

    def close(self) -> None:
        """Nothing to close."""


class MemoryFolder:
    """Stands for `WritableEnvironment`: what one process writes and others may read."""

    def __init__(self, environment: MemoryEnvironment) -> None:
        self.lmdb = environment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Kept: the next process of this folder goes on with it."""

    def check(self) -> None:
        """Always there."""
