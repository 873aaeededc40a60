"""A wiki as Confluence keeps one: spaces, pages, restrictions, groups in groups; who may view what is decided anew."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from tests.support.egress import FakeClock

CURRENT, TRASHED = "current", "trashed"


@dataclass(slots=True, kw_only=True)
class Restricted:
    """Whom a restriction or a permission names."""

    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)


@dataclass(slots=True, kw_only=True)
class Group:
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)  # in it


@dataclass(slots=True, kw_only=True)
class Space:
    key: str
    readers: Restricted = field(default_factory=Restricted)
    anonymous: bool = False
    status: str = CURRENT


@dataclass(slots=True, kw_only=True)
class Piece:
    """A page, blog post, comment or attachment; in Cloud a folder, whiteboard, database or embed, with pages in it."""

    id: str
    kind: str
    space: str
    title: str
    body: str
    parent: str | None  # of a comment or an attachment: what it belongs to
    modified_at: datetime
    version: int = 1
    status: str = CURRENT
    labels: set[str] = field(default_factory=set)
    restriction: Restricted = field(default_factory=Restricted)
    media_type: str = "text/plain"


@dataclass(slots=True)
class Wiki:
    """The site's state; every edit takes a second."""

    clock: FakeClock
    users: dict[str, str] = field(default_factory=dict)  # name -> e-mail
    groups: dict[str, Group] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    pieces: dict[str, Piece] = field(default_factory=dict)
    anonymous: bool = False  # the site's own switch: without it no space is open
    skew: timedelta = timedelta()  # of its clock to the connector's
    _ids: Iterator[int] = field(default_factory=lambda: count(1001))

    def write(self, space: str, title: str, body: str, *, parent: str | None = None, kind: str = "page") -> str:
        """Make a piece; return its id."""
        piece = Piece(
            id=f"{'att' if kind == 'attachment' else ''}{next(self._ids)}",
            kind=kind,
            space=space,
            title=title,
            body=body,
            parent=parent,
            modified_at=self._passed(),
        )
        self.pieces[piece.id] = piece
        return piece.id

    def edit(self, piece_id: str, body: str | None = None, *, title: str | None = None) -> None:
        """Make a new version."""
        piece = self.pieces[piece_id]
        piece.body = piece.body if body is None else body
        piece.title = title or piece.title
        piece.version += 1
        piece.modified_at = self._passed()

    def forget(self, piece_id: str) -> None:
        """Remove an older version, as retention does; the newer ones are numbered anew."""
        self.pieces[piece_id].version = max(1, self.pieces[piece_id].version - 1)

    def move(self, piece_id: str, parent: str | None) -> None:
        """Put a page below another: neither version nor time tell. Refused below itself."""
        above = parent
        while above is not None:
            if above == piece_id:
                return
            above = self.pieces[above].parent
        self.pieces[piece_id].parent = parent
        space = self.pieces[parent].space if parent is not None else self.pieces[piece_id].space
        for each in [piece_id, *self.below(piece_id)]:
            self.pieces[each].space = space

    def trash(self, piece_id: str) -> None:
        """Put a piece away; pages below go up by one, comments and attachments go with it."""
        piece = self.pieces[piece_id]
        for each in self.pieces.values():
            if each.parent == piece_id and each.kind == "page":
                each.parent = piece.parent
            elif each.parent == piece_id:
                self.trash(each.id)
        piece.status = TRASHED

    def restore(self, piece_id: str) -> None:
        """Take a piece out of the trash: its version and time are what they were."""
        piece = self.pieces[piece_id]
        if piece.parent is not None and self.pieces.get(piece.parent, piece).status != CURRENT:
            piece.parent = None if piece.kind == "page" else piece.parent
        piece.status = CURRENT

    def purge(self, piece_id: str) -> None:
        """Remove a piece for good."""
        self.trash(piece_id)
        gone = [each.id for each in self.pieces.values() if each.parent == piece_id and each.kind != "page"]
        for each in [piece_id, *gone]:
            self.pieces.pop(each, None)

    def below(self, piece_id: str) -> list[str]:
        """Return all that is below a piece, at any depth."""
        found = [each.id for each in self.pieces.values() if each.parent == piece_id]
        return found + [deeper for each in found for deeper in self.below(each)]

    def above(self, piece_id: str) -> list[str]:
        """Return what is above a piece, from the top down."""
        parent = self.pieces[piece_id].parent
        return [*self.above(parent), parent] if parent is not None else []

    def alive(self, piece_id: str) -> bool:
        """Say whether a piece is there: so is all that it belongs to."""
        chain = [piece_id, *self.above(piece_id)]
        return all(each in self.pieces and self.pieces[each].status == CURRENT for each in chain)

    def groups_of(self, user: str) -> set[str]:
        """Return the groups that a user is in: directly, and the ones that these are in."""
        found = {name for name, group in self.groups.items() if user in group.users}
        while True:
            outer = {name for name, group in self.groups.items() if group.groups & found} - found
            if not outer:
                return found
            found |= outer

    def now(self) -> datetime:
        """Return the time at the site."""
        return self.clock.now() + self.skew

    def may_view(self, user: str | None, piece_id: str) -> bool:
        """Decide as Confluence does; None is somebody without an account."""
        if not self.alive(piece_id):
            return False
        space = self.spaces[self.pieces[piece_id].space]
        opened = self.anonymous and space.anonymous
        if not opened and not self._named(user, space.readers):
            return False
        restrictions = [self.pieces[each].restriction for each in (piece_id, *self.above(piece_id))]
        return all(self._named(user, each) for each in restrictions if each)

    def nested_ancestors(self, group: str) -> set[str]:
        """Return the groups that a group is in, at any depth."""
        found: set[str] = set()
        waiting = {group}
        while waiting:
            waiting = {name for name, each in self.groups.items() if each.groups & waiting} - found
            found |= waiting
        return found

    def _named(self, user: str | None, restricted: Restricted) -> bool:
        if user is None:
            return False
        return user in restricted.users or not restricted.groups.isdisjoint(self.groups_of(user))

    def _passed(self) -> datetime:
        self.clock.passed_s += 1
        return self.now()
