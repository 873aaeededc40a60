"""Where a repository's files are: most at the path that is their key, a renamed one at another (ADR 0144). Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, Generic, TypeVar

from connectors.github.ids import first_path, key_again
from connectors.leaves import Held, Leaf
from headwater.content.detection import suffix_of

MOST_PLACED: Final = 10_000  # documents that are kept at another path than their first, a repository
MOST_NEW: Final = 10_000  # new paths of one tree that wait until it is known which are gone

Row = tuple[Leaf, str, Held]  # what a cursor says of one document
N = TypeVar("N")


class Places:
    """Which document is at a path. Memory: those that are at another path than their key's."""

    def __init__(self, placed: Iterable[tuple[str, Held]], *, most: int = MOST_PLACED) -> None:
        self._most = most
        self._path_by_key = {key: held.place for key, held in placed}
        self._key_by_path = {path: key for key, path in self._path_by_key.items()}

    def key_at(self, path: str) -> str:
        """Return the key of the document that is at a path, or that a new one there would have: a free one."""
        known = self._key_by_path.get(path)
        if known is not None:
            return known
        key, ordinal = path, 1
        while key in self._path_by_key:
            ordinal += 1
            key = key_again(path, ordinal)
        return key

    def is_placed(self, key: str) -> bool:
        """Say whether a document is at another path than its key's."""
        return key in self._path_by_key

    def path_of(self, key: str) -> str:
        """Return where a document is that is held."""
        return self._path_by_key.get(key, key)

    def accepts(self, key: str, path: str) -> bool:
        """Say whether a document may be kept at another path.

        Not where the name ends otherwise: a document's id tells how its content is read.
        """
        is_room = len(self._path_by_key) < self._most or key in self._path_by_key
        return is_room and suffix_of(first_path(key)) == suffix_of(path)

    def move(self, key: str, path: str) -> None:
        """Note where a document is from now on."""
        old = self._path_by_key.pop(key, None)
        if old is not None and self._key_by_path.get(old) == key:
            del self._key_by_path[old]
        if path != key:
            self._path_by_key[key], self._key_by_path[path] = path, key


@dataclass(slots=True, kw_only=True)
class Newcomers(Generic[N]):
    """New paths of a tree, with whatever is known of each, until it is known which paths are gone."""

    most: int = MOST_NEW
    waiting: dict[str, tuple[str, N]] = field(default_factory=dict)  # path -> content's hash, the rest

    def add(self, path: str, content: str, known: N) -> None:
        """Let one wait."""
        self.waiting[path] = (content, known)

    @property
    def is_full(self) -> bool:
        """Say whether no more may wait."""
        return len(self.waiting) >= self.most

    def drained(self) -> Sequence[N]:
        """Return what waited; nothing waits any more."""
        found = [known for _, known in self.waiting.values()]
        self.waiting.clear()
        return found

    def renamed(self, gone: Callable[[], Iterable[Row]], places: Places) -> dict[str, Row]:
        """Return, by new path, the document that has moved there.

        Exactly one path with a content came and one went; with the same name, if several did. Others are no renames.
        """
        found: dict[str, Row] = {}
        for named in (True, False):
            taken = {key for _, key, _ in found.values()}
            came: dict[tuple[str, str], str | None] = {}
            for path, (content, _) in self.waiting.items():
                if path not in found:
                    token = _token(content, path, named=named)
                    came[token] = None if token in came else path
            went: dict[tuple[str, str], Row | None] = {}
            for row in gone():
                token = _token(row[2].content, places.path_of(row[1]), named=named)
                if token in came and row[1] not in taken:
                    went[token] = None if token in went else row
            pairs = ((came[token], row) for token, row in went.items())
            found |= {path: row for path, row in pairs if path is not None and row is not None}
        return found


def _token(content: str, path: str, *, named: bool) -> tuple[str, str]:
    return content, PurePosixPath(path).name if named else suffix_of(path)
