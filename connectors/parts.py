"""Small states by name that lie in a temporary file: a million of them take disk, and hardly any memory (ADR 0200)."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final
from weakref import finalize

from headwater.errors import RetryableError

CACHE_KIB: Final = 4 * 1024  # of a file; few of them are open at once
PAGE_ROWS: Final = 1_000
_PREPARED: Final = (
    # The file is of this process alone and lost with it, so there is nothing to journal.
    "PRAGMA journal_mode = OFF",
    f"PRAGMA cache_size = -{CACHE_KIB}",
    "CREATE TABLE parts (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID",
)


_PUT: Final = "INSERT OR REPLACE INTO parts VALUES (?, ?)"
_FROM: Final = "SELECT name, state FROM parts WHERE name >= ? ORDER BY name LIMIT ?"
_AFTER: Final = "SELECT name, state FROM parts WHERE name > ? ORDER BY name LIMIT ?"


class NoRoomError(RetryableError):
    """The temporary file cannot be written."""

    def __init__(self, error: sqlite3.DatabaseError) -> None:
        super().__init__(
            f"the temporary file of a cursor: {error}; make room in the folder for temporary files (TMPDIR)"
        )


class Parts(MutableMapping[str, bytes]):
    """States by name, in the order of the names' code points. For one thread.

    May be changed while it is iterated: what lies behind is seen as it is by then. The file has no name and is gone
    with the process. Everything raises NoRoomError where the folder for temporary files is full.
    """

    def __init__(self, parts: Iterable[tuple[str, bytes]] = ()) -> None:
        # An empty name: SQLite makes a file, removes its name at once, and writes to it what its cache cannot hold.
        # Of one thread, but for its end: what nobody refers to is collected in whichever thread is at it.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        finalize(self, self._database.close)
        for statement in _PREPARED:
            self._run(statement)
        try:
            self._database.executemany(_PUT, parts)
        except sqlite3.DatabaseError as error:
            raise NoRoomError(error) from error

    def __getitem__(self, name: str) -> bytes:
        found = self._run("SELECT state FROM parts WHERE name = ?", name)
        if not found:
            raise KeyError(name)
        state: bytes = found[0][0]
        return state

    def __setitem__(self, name: str, state: bytes) -> None:
        self._run(_PUT, name, state)

    def __delitem__(self, name: str) -> None:
        if not self._run("DELETE FROM parts WHERE name = ? RETURNING name", name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.below(""))

    def __len__(self) -> int:
        """Count them: the longer, the more there are."""
        count: int = self._run("SELECT count(*) FROM parts")[0][0]
        return count

    def __bool__(self) -> bool:
        return bool(self._run("SELECT 1 FROM parts LIMIT 1"))

    def below(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield names that begin with the prefix, less that, and their states."""
        page = self._run(_FROM, prefix, PAGE_ROWS)
        while True:
            # Read at once: a statement that is still open while the table changes may show what it likes.
            for name, state in page:
                if not name.startswith(prefix):
                    return
                yield name.removeprefix(prefix), state
            if len(page) < PAGE_ROWS:
                return
            page = self._run(_AFTER, page[-1][0], PAGE_ROWS)

    def _run(self, statement: str, *values: str | bytes | int) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise NoRoomError(error) from error


def below(parts: Mapping[str, bytes], prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield names that begin with the prefix, less that, and their states; of Parts the others are not looked at."""
    if isinstance(parts, Parts):
        return parts.below(prefix)
    return ((name.removeprefix(prefix), state) for name, state in parts.items() if name.startswith(prefix))
