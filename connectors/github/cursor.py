"""The cursor: for each repository what was seen last, and leaves of what is held of its documents.

`r:ID` a repository, `f:`, `i:`, `l:`, `d:`, `w:ID:...` leaves of files, issues, releases, discussions and wikis
(`connectors.leaves`), `b:ID` which look at files was the last to begin, `g:GROUP` a mirrored group.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from connectors.github.client import Seen
from connectors.leaves import Held, Leaf, Ledger, Note, decoded
from connectors.parts import below
from connectors.protocol import Cursor, CursorMoved, Deleted, Listing, SourceChange

REPOSITORY: Final = "r:"
FILES: Final = "f:"
ISSUES: Final = "i:"
RELEASES: Final = "l:"
DISCUSSIONS: Final = "d:"
WIKIS: Final = "w:"
KINDS: Final = (FILES, ISSUES, RELEASES, DISCUSSIONS, WIKIS)
BEGUN: Final = "b:"
GROUP: Final = "g:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryState:
    """Where one repository is resumed. True once all that was yielded of it is submitted."""

    token: str = ""  # of what each of its documents says of it: name, branch, readers
    head: str | None = None  # the commit whose files are held
    head_etag: str | None = None
    begun: str = ""  # the last look at files that had begun by then
    since: str | None = None  # issues that were updated before are held
    issues_etag: str | None = None
    comments: Seen = ()  # of each of their listings: those that were updated before are read, and the page's ETag
    discussions_since: str | None = None  # those that were updated before are held
    releases: Seen = ()  # the pages of their listing
    wiki: str | None = None  # the commit whose pages are held
    listed_s: int = 0  # when all issues and discussions were listed last, by our clock (ADR 0209)
    unread: tuple[str, ...] = ()  # parts that must be looked at as a whole, and could not be (ADR 0146)

    @classmethod
    def of(cls, since: Cursor, repository_id: int) -> Self:
        """Read it; an empty one where nothing is known, or what another version wrote."""
        try:
            raw: Any = json.loads(since[f"{REPOSITORY}{repository_id}"])
            releases, comments = (tuple((at, etag) for at, etag in raw.pop(n, ())) for n in ("releases", "comments"))
            return cls(**raw | {"unread": tuple(raw.get("unread", ()))}, releases=releases, comments=comments)
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    def is_worth_noting(self, known: "RepositoryState") -> bool:
        """Say whether it must be noted though no document changed.

        Not for the releases' pages: they change with each download of an asset.
        """
        return replace(self, releases=known.releases) != known

    def encoded(self) -> bytes:
        """Encode it for the cursor."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


def known_repositories(since: Cursor) -> frozenset[int]:
    """Return ids of all repositories of which something is held."""
    parts = (name.split(":", 2)[1] for name in since if name.startswith((REPOSITORY, *KINDS)))
    return frozenset(int(part) for part in parts if part.isdecimal())


def held_documents(since: Cursor) -> Counter[int]:
    """Return how many documents are held of each repository. Every leaf is decoded, one at a time."""
    held: Counter[int] = Counter()
    for name, raw in (part for kind in KINDS for part in below(since, kind)):
        repository_id = name.partition(":")[0]
        if repository_id.isdecimal():
            held[int(repository_id)] += len(decoded(raw))
    return held


class Shelf:
    """What is held of one repository, and what a pass notes of it."""

    def __init__(self, since: Cursor, repository_id: int) -> None:
        self._since, self._id = since, repository_id
        self._notes: list[Note] = []
        self._looks: dict[str, Ledger] = {}
        self.begun = since.get(f"{BEGUN}{repository_id}", b"").decode()  # the last look that had something of files
        self.met: Callable[[], None] = _uncounted  # is called for each document that is held and listed

    def begin(self, look: str) -> Iterator[CursorMoved]:
        """Yield that a look at files has something, before that: if it is cut off, the next one knows."""
        if look != self.begun:
            self.begun = look
            yield CursorMoved(cursor={f"{BEGUN}{self._id}": look.encode()})

    def ledger(self, kind: str) -> Ledger:
        """Return what is held of a kind. A ledger serves one walk, or looks at single keys."""
        return _Counted(dict(below(self._since, f"{kind}{self._id}:")), self.met)

    def looks(self, kind: str) -> Ledger:
        """Return the ledger that looks at single keys share: what one noted of a leaf, the next one notes too."""
        if kind not in self._looks:
            self._looks[kind] = self.ledger(kind)
        return self._looks[kind]

    def note(
        self, kind: str, at: tuple[Ledger, Leaf], key: str, held: Held | None, *, settled: bool
    ) -> tuple[Note, Mapping[str, bytes | None]]:
        """Note a change that is about to be yielded, and return what its cursor will be."""
        ledger, leaf = at
        note, parts = ledger.note(leaf, key, held, settled=settled)
        self._notes.append(note)
        return note, _Below(parts, f"{kind}{self._id}:")

    def closing(self, parts: Mapping[str, bytes | None], state: RepositoryState) -> Mapping[str, bytes | None]:
        """Return the cursor of the last change: its parts, and the state if all contents before it could be read."""
        return _Closing(parts, {f"{REPOSITORY}{self._id}": state.encoded()}, self._settled)

    def forgetting(self, parts: Mapping[str, bytes | None]) -> Mapping[str, bytes | None]:
        """Return the cursor of the last deletion: nothing is left of the repository."""
        alone = (f"{REPOSITORY}{self._id}", f"{BEGUN}{self._id}")
        kinds = [f"{kind}{self._id}:" for kind in KINDS]
        names = [name for name in alone if name in self._since]
        names += [kind + name for kind in kinds for name, _ in below(self._since, kind)]
        return _Closing(parts, dict.fromkeys(names), self._settled)

    def _settled(self) -> bool:
        return all(note.settled for note in self._notes)


def deleted(
    shelf: Shelf, kind: str, external_id: Callable[[str], str], seen_ns: int, listing: Listing | None = None
) -> Iterator[SourceChange]:
    """Yield the deletion of all that is held of a kind, for a `listing` or because it is switched off."""
    ledger = shelf.ledger(kind)
    ledger.finish(seen_ns)
    for leaf, key, _ in ledger.missing():
        _, parts = shelf.note(kind, (ledger, leaf), key, None, settled=True)
        yield SourceChange(
            external_id=external_id(key),
            what=Deleted(listing=listing),
            source_version=seen_ns,
            occurred_at=datetime.fromtimestamp(seen_ns / 1e9, tz=UTC),
            cursor=parts,
        )


def _uncounted() -> None:
    """Nobody counts."""


class _Counted(Ledger):
    """A ledger that says what it met."""

    def __init__(self, cursor: Cursor, met: Callable[[], None]) -> None:
        super().__init__(cursor)
        self._met = met

    def take(self, key: str, seen_ns: int) -> tuple[Leaf, Held | None]:
        leaf, held = super().take(key, seen_ns)
        if held is not None:
            self._met()
        return leaf, held


class _Below(Mapping[str, bytes | None]):
    """Parts under longer names, made when they are asked for."""

    def __init__(self, parts: Mapping[str, bytes | None], prefix: str) -> None:
        self._parts, self._prefix = parts, prefix

    def __getitem__(self, part: str) -> bytes | None:
        if not part.startswith(self._prefix):
            raise KeyError(part)
        return self._parts[part.removeprefix(self._prefix)]

    def __iter__(self) -> Iterator[str]:
        return (self._prefix + part for part in self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class _Closing(Mapping[str, bytes | None]):
    """Parts, and more that replace them if something holds by the time they are asked for."""

    def __init__(
        self, parts: Mapping[str, bytes | None], more: Mapping[str, bytes | None], holds: Callable[[], bool]
    ) -> None:
        self._parts, self._more, self._holds = parts, more, holds

    def _now(self) -> dict[str, bytes | None]:
        return {**self._parts, **(self._more if self._holds() else {})}

    def __getitem__(self, part: str) -> bytes | None:
        return self._now()[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A group as it was mirrored last, and what recognises that it still is so."""

    inputs: str  # what else than listings its members follow from
    seen: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, since: Cursor, group_id: str) -> Self | None:
        """Read it; None where nothing is known."""
        try:
            raw: Any = json.loads(since[f"{GROUP}{group_id}"])
            return cls(inputs=raw["inputs"], seen=tuple((url, etag) for url, etag in raw["seen"]))
        except (KeyError, TypeError, ValueError):
            return None

    def encoded(self) -> bytes:
        """Encode it for the cursor."""
        return json.dumps({"inputs": self.inputs, "seen": self.seen}, separators=(",", ":")).encode()
