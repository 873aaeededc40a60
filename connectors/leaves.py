"""The cursor of a listing that is compared: what is held of each key, in leaves of neighbouring keys (ADR 0119).

A leaf is one part of the cursor, named by the smallest key that it may hold; it reaches to the next leaf's. Compressed,
a million keys of a hundred bytes are some tens of megabytes, and a pass decodes one leaf at a time.
"""

import json
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.parts import below
from connectors.protocol import Cursor, Listing

PART: Final = "k:"  # names of leaves begin with it: a key may begin with the runner's own mark
LEAF_ITEMS: Final = 128
_VERSION: Final = b"1"
_PLACED: Final = b"2"  # the same, and of some keys a place


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was submitted of an object: hashes of what tells its content, and its access, from another.

    `place`: where it is found, if that is not what its key says (ADR 0144). Without an access nobody knows what was
    submitted last (ADR 0207); content and place are those before.
    """

    content: str
    access: str
    place: str = ""


Items = dict[str, Held]


def known(held: Held | None) -> Held | None:
    """Return what is held to compare with; None where nothing is, or nobody knows what: it is submitted whole."""
    return held if held is not None and held.access else None


def unknown(cursor: Cursor, keys: Iterable[str]) -> dict[str, bytes | None]:
    """Return the parts of the cursor in which these are held, but as nobody knows what."""
    ledger, parts = Ledger(cursor), dict[str, bytes | None]()
    for key in sorted(keys):
        leaf, held = ledger.at(key)
        before = held or Held(content="", access="")
        _, noted = ledger.note(leaf, key, replace(before, access=""), settled=True)
        parts.update(noted)
    return parts


def encoded(items: Items) -> bytes:
    """Encode a leaf's items for the cursor."""
    rows = [
        [key, held.content, held.access, held.place] if held.place else [key, held.content, held.access]
        for key, held in items.items()
    ]
    version = _PLACED if any(held.place for held in items.values()) else _VERSION
    return version + zlib.compress(json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode(), 1)


def decoded(raw: bytes) -> Items:
    """Decode; nothing for another version's: those objects are then read again, which is harmless."""
    if not raw.startswith((_VERSION, _PLACED)):
        return {}
    rows = json.loads(zlib.decompress(raw[1:]))
    return {
        key: Held(content=content, access=access, place=place[0] if place else "")
        for key, content, access, *place in rows
    }


@dataclass(slots=True, kw_only=True)
class Note:
    """A change to one key of a leaf. `settled`: true once nothing can fail about this one item alone."""

    order: int
    key: str
    held: Held | None
    settled: bool


@dataclass(slots=True, kw_only=True)
class Leaf:
    """What the cursor said of a range of keys when the pass began, and what has changed since."""

    lower: str
    upper: str | None
    base: bytes
    spliced: bool = False  # an older part before this one still names keys of this range: never take this one away
    notes: list[Note] = field(default_factory=list)
    missing: "array[int]" = field(default_factory=lambda: array("H"))  # places in `items`
    missed_ns: "array[int]" = field(default_factory=lambda: array("q"))  # when the page without each was asked for

    def items(self) -> Items:
        """Return what the base says of this range, in order."""
        found = decoded(self.base) if self.base else {}
        return {
            key: held for key, held in found.items() if key >= self.lower and (self.upper is None or key < self.upper)
        }

    def state_after(self, note: Note) -> bytes | None:
        """Return this part of the cursor as it is once `note`, and what was yielded before it, is submitted."""
        items = self.items()
        for each in self.notes:
            if each.order > note.order or not (each.settled or each is note):
                continue
            if each.held is None:
                items.pop(each.key, None)
            else:
                items[each.key] = each.held
        if not items and not self.spliced:
            return None
        return encoded(dict(sorted(items.items())))


class NotedParts(Mapping[str, bytes | None]):
    """The parts of a cursor after one change, made when they are asked for.

    Whoever submits asks after the change was submitted. By then it is known which of the changes before it could be
    read: one that failed is left out, and found again by the next pass.
    """

    def __init__(self, leaf: Leaf, note: Note) -> None:
        self._leaf, self._note = leaf, note

    def __getitem__(self, part: str) -> bytes | None:
        if part != PART + self._leaf.lower:
            raise KeyError(part)
        return self._leaf.state_after(self._note)

    def __iter__(self) -> Iterator[str]:
        yield PART + self._leaf.lower

    def __len__(self) -> int:
        return 1


class Ledger:
    """Walks the cursor beside a listing. Keys come in order: `take` each that is listed, then `finish`."""

    def __init__(self, cursor: Cursor, *, leaf_items: int = LEAF_ITEMS) -> None:
        self._leaf_items = leaf_items
        self._parts = dict(below(cursor, PART))
        self._lowers = sorted(self._parts)
        self._next = 0  # of the leaves in the cursor, the one not yet reached
        self._leaf: Leaf | None = None
        self._base: list[tuple[str, Held]] = []
        self._place = 0  # in the base
        self._offset = 0  # of the base's first item here, in the leaf's own base
        self._taken = 0  # keys listed in the leaf
        self._stayed = self._came = self._went = 0  # keys: held and listed, listed alone, held alone
        self._order = 0
        self._with_missing: list[Leaf] = []
        self._looked: dict[str, Leaf] = {}

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is held."""
        return not any(decoded(raw) for raw in self._parts.values())

    def take(self, key: str, seen_ns: int) -> tuple[Leaf, Held | None]:
        """Return the leaf that a listed key belongs to, and what is held of it; keys passed over are missing."""
        self._pass_over(key, seen_ns)
        leaf = self._leaf_for(key)
        self._taken += 1
        if self._place < len(self._base) and self._base[self._place][0] == key:
            self._place += 1
            self._stayed += 1
            return leaf, self._base[self._place - 1][1]
        self._came += 1
        return leaf, None

    def finish(self, seen_ns: int) -> None:
        """All that was not reached is missing."""
        self._pass_over(None, seen_ns)

    def listing(self, name: str, *, elsewhere: int = 0, unreadable: int = 0) -> Listing:
        """Return what the listing came to, once it is finished.

        `elsewhere`: keys that were listed without being taken. `unreadable`: new ones that are not going to be held.
        """
        shown = self._stayed + self._came + elsewhere - unreadable
        return Listing(name=name, known=self._stayed + self._went, shown=shown)

    def missing(self) -> Iterator[tuple[Leaf, str, int]]:
        """Yield each key that was held and not listed, with its leaf and when that was asked."""
        for leaf in self._with_missing:
            keys = list(leaf.items())
            for place, seen_ns in zip(leaf.missing, leaf.missed_ns, strict=True):
                yield leaf, keys[place], seen_ns

    def missed(self) -> Iterator[tuple[Leaf, str, Held]]:
        """Yield the same, with what is held of each."""
        for leaf in self._with_missing:
            rows = list(leaf.items().items())
            for place in leaf.missing:
                yield leaf, *rows[place]

    def placed(self) -> Iterator[tuple[str, Held]]:
        """Yield each key whose object is found elsewhere. Leaves without any are not decoded."""
        for place, lower in enumerate(self._lowers):
            if self._parts[lower].startswith(_PLACED):
                yield from ((key, held) for key, held in self._loaded(place).items().items() if held.place)

    def at(self, key: str) -> tuple[Leaf, Held | None]:
        """Return leaf and state of one key, whatever the order, as this ledger has noted it. For looks at objects."""
        place = bisect_right(self._lowers, key)
        lower = self._lowers[place - 1] if place else key
        leaf = self._looked.get(lower)
        if leaf is None:
            upper = self._lowers[0] if self._lowers else None
            leaf = self._loaded(place - 1) if place else Leaf(lower=key, upper=upper, base=b"")
            # Whether a part before this one overlaps is known to whole passes only: an empty one stays.
            leaf.spliced = bool(place)
            self._looked[lower] = leaf
            if not place:  # what comes behind it and before all others is its, too
                self._lowers.insert(0, key)
                self._parts[key] = leaf.base
        held = leaf.items().get(key)
        for note in leaf.notes:
            if note.key == key:
                held = note.held
        return leaf, held

    def note(self, leaf: Leaf, key: str, held: Held | None, *, settled: bool) -> tuple[Note, NotedParts]:
        """Note a change that is about to be yielded, and return what its cursor will be."""
        self._order += 1
        note = Note(order=self._order, key=key, held=held, settled=settled)
        leaf.notes.append(note)
        return note, NotedParts(leaf, note)

    def _pass_over(self, key: str | None, seen_ns: int) -> None:
        """Reach the leaf of `key`; what is held before it was not listed."""
        while True:
            while self._place < len(self._base) and (key is None or self._base[self._place][0] < key):
                leaf = self._leaf_for(self._base[self._place][0])
                if not leaf.missing:
                    self._with_missing.append(leaf)
                leaf.missing.append(self._place - self._offset)
                leaf.missed_ns.append(seen_ns)
                self._went += 1
                self._place += 1
            if self._place < len(self._base) or self._next == len(self._lowers):
                return
            if key is not None and self._lowers[self._next] > key:
                return
            self._enter(self._next)

    def _enter(self, place: int) -> None:
        leaf = self._loaded(place)
        leaf.spliced = self._overlaps(leaf.lower)
        self._leaf, self._next, self._taken = leaf, place + 1, 0
        self._base, self._place, self._offset = list(leaf.items().items()), 0, 0

    def _overlaps(self, lower: str) -> bool:
        """Say whether the leaf before names, in the cursor, keys that are another's by now."""
        if self._leaf is None or not self._leaf.base:
            return False
        return any(key >= lower for key in decoded(self._leaf.base))

    def _loaded(self, place: int) -> Leaf:
        lower = self._lowers[place]
        upper = self._lowers[place + 1] if place + 1 < len(self._lowers) else None
        return Leaf(lower=lower, upper=upper, base=self._parts[lower])

    def _leaf_for(self, key: str) -> Leaf:
        """Return the leaf that has come to `key`: a new one before the first, or cut off where one has grown."""
        current = self._leaf
        if current is None:
            self._leaf = current = Leaf(lower=key, upper=self._lowers[0] if self._lowers else None, base=b"")
        elif self._taken >= (2 * self._leaf_items if self._place < len(self._base) else self._leaf_items):
            left = self._place < len(self._base)
            base = current.base if left else b""
            self._taken, self._offset = 0, self._place
            self._leaf = current = Leaf(lower=key, upper=current.upper, base=base, spliced=left)
        return current
