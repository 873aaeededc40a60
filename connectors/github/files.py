"""Files of a repository's default branch: the whole tree, or what a comparison of two commits names (ADR 0124)."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from connectors.filters import KeyFilter
from connectors.github.client import FileTooLargeError, GithubClient
from connectors.github.comparing import by_path, is_left, is_surely_a_file
from connectors.github.cursor import FILES, Shelf
from connectors.github.documents import UNREADABLE, Home
from connectors.github.folders import Folders
from connectors.github.ids import file_id, is_path
from connectors.github.models import Comparison, Touched
from connectors.github.places import Newcomers, Places, Row
from connectors.leaves import Held, Leaf, Ledger, Note, known
from connectors.protocol import Deleted, ItemFailed, Listing, Observed, Patched, SourceChange, Upserted

_FILE_MODES: Final = frozenset({"100644", "100755", "100664"})  # no links (120000), no submodules (160000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file's content. `size_bytes`: None where only a download would tell."""

    sha: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A path of one look, and what is held of the document that is there."""

    ledger: Ledger
    leaf: Leaf
    key: str
    path: str
    held: Held | None
    instead_of: str | None = None  # the key of a new document, where one has moved here

    def of(self, row: Row) -> "Spot":
        """Return this path with the document that has moved there."""
        leaf, key, held = row
        return replace(self, leaf=leaf, key=key, held=held, instead_of=self.key)


@dataclass(slots=True, kw_only=True)
class Files:
    """One look at a repository's files. `seen_ns`: a time before it was asked for anything (ADR 0120)."""

    client: GithubClient
    home: Home
    shelf: Shelf
    keys: KeyFilter
    max_bytes: int
    seen_ns: int
    is_clean: bool = True  # no look was cut off: all that was submitted is held
    _ledger: Ledger = field(init=False)
    _places: Places = field(init=False)
    _folders: Folders = field(init=False)
    _is_open: bool = field(init=False, default=False)

    def _open(self) -> None:
        """Find what is held; not before there is something to look at."""
        if not self._is_open:
            self._ledger, self._is_open = self.shelf.ledger(FILES), True
            self._places = Places(self._ledger.placed())
            self._folders = Folders(client=self.client, repository=self.home.repository)

    async def whole(self, commit: str) -> AsyncIterator[Observed]:
        """Compare all files of a commit with what is held; deletions come last, when the whole tree was read."""
        self._open()
        new, waits = Newcomers[tuple[Spot, Blob]](), not self._ledger.is_empty
        here: dict[str, Blob] = {}  # what is at the paths of renamed files: their keys are in another order
        last = ""
        async for path, blob in self._walked(commit, ""):
            if path <= last:  # two names that JSON cannot tell apart
                continue
            last = path
            if not self._is_document(path):
                continue
            key = self._places.key_at(path)
            if self._places.is_placed(key):
                here[path] = blob
                continue
            leaf, held = self._ledger.take(key, self.seen_ns)
            spot = Spot(ledger=self._ledger, leaf=leaf, key=key, path=path, held=held)
            if held is None and waits:
                new.add(path, blob.sha, (spot, blob))
                waits = not new.is_full  # too many to tell renames
                ready = () if waits else new.drained()
            else:
                ready = ((spot, blob),)
            for each in ready:
                for change in self._difference(*each):
                    yield change
        self._ledger.finish(self.seen_ns)
        for change in self._missed(here, new):
            yield change

    def _missed(self, here: Mapping[str, Blob], new: Newcomers[tuple[Spot, Blob]]) -> Iterator[Observed]:
        """Yield what differs at the paths of renamed files, what is new there, and what is gone."""
        stay = {self._places.key_at(path) for path in here}
        for row in self._ledger.missed():
            spot = self._spot(row)
            if spot.key in stay:
                yield from self._difference(spot, here[spot.path])
        moved = new.renamed(lambda: (row for row in self._ledger.missed() if row[1] not in stay), self._places)
        for spot, blob in new.drained():
            there = spot
            if spot.path in moved and self._places.accepts(moved[spot.path][1], spot.path):
                there = spot.of(moved[spot.path])
                stay.add(there.key)
            yield from self._difference(there, blob)
        listing = self._ledger.listing(self.home.listing_of("files"), elsewhere=len(here))
        for row in self._ledger.missed():
            if row[1] not in stay:
                yield self._deletion(self._spot(row), listing)

    async def since(self, comparison: Comparison, commit: str) -> AsyncIterator[Observed]:
        """Look at the paths that a comparison names; deletions come last, so that a renamed file is never missing."""
        self._open()
        after = by_path(comparison)
        gone: list[str] = []
        for path, touched in sorted(after.items()):
            if not self._is_document(path):
                continue
            blob = await self._blob(touched, commit) if touched is not None else None
            if touched is None or blob is None:
                gone.append(path)
                continue
            spot = self._at(path)
            if spot.held is None and is_left(touched, after):
                spot = self._followed(spot, touched)
            for change in self._difference(spot, blob):
                yield change
        for path in gone:
            spot = self._at(path)
            if spot.held is not None:
                yield self._deletion(spot)

    async def one(self, key: str, commit: str, known: str | None) -> AsyncIterator[Observed]:
        """Look at one document, as a notification asks: that of this id, and what is at the path that the id names.

        `known`: the commit that is held, if this one is to be compared with it. An id that no path leads to is deleted,
        also where nothing is held of it: its document may have come back from a backup or by `undo`.
        """
        self._open()
        leaf, held = self._ledger.at(key)
        leads, path = held is not None, ""
        if held is not None:
            spot, blob = self._spot((leaf, key, held)), None
            if self._places.key_at(spot.path) == key:  # else another is there, and nobody knows where this one was last
                spot, blob = await self._touched(spot, commit, known)
            path = spot.path
            for change in self._settled(spot, blob):
                yield change
        if is_path(key) and path != key:
            spot, blob = await self._touched(self._at(key), commit, known)
            leads = leads or (spot.key == key and blob is not None)
            for change in self._settled(spot, blob):
                yield change
        if not leads:
            yield self._change(key, Deleted(), {})

    def _settled(self, spot: Spot, blob: Blob | None) -> list[Observed]:
        if blob is not None:
            return self._difference(spot, blob)
        return [self._deletion(spot)] if spot.held is not None else []

    async def _touched(self, spot: Spot, commit: str, known: str | None) -> tuple[Spot, Blob | None]:
        """Return a document with its content, at another path if it was renamed; None where there is none."""
        blob = await self._entry(spot.path, commit) if self._is_document(spot.path) else None
        if blob is not None or spot.held is None or known is None or commit == known:
            return spot, blob
        comparison = await self.client.compare(self.home.repository, known, commit)
        after = by_path(comparison) if comparison is not None else {}
        for path, touched in sorted(after.items()):
            if touched is not None and touched.previous_filename == spot.path and is_left(touched, after):
                there, found = self._at(path), await self._blob(touched, commit)
                if there.held is None and found is not None and self._is_document(path):
                    there = self._followed(there, touched)
                    return (there, found) if there.key == spot.key else (spot, None)
        return spot, None

    def _spot(self, row: Row) -> Spot:
        leaf, key, held = row
        return Spot(ledger=self._ledger, leaf=leaf, key=key, path=held.place or key, held=held)

    def _at(self, path: str) -> Spot:
        key = self._places.key_at(path)
        leaf, held = self._ledger.at(key)
        return Spot(ledger=self._ledger, leaf=leaf, key=key, path=path, held=held)

    def _followed(self, spot: Spot, touched: Touched) -> Spot:
        """Return a path with the document that git says was renamed to it, if that can be kept there."""
        old = self._at(touched.previous_filename or "")
        if old.held is None or not self._places.accepts(old.key, spot.path):
            return spot
        if not self.is_clean and old.held.content != touched.sha:
            return spot
        return spot.of((old.leaf, old.key, old.held))

    async def _walked(self, sha: str, folder: str) -> AsyncIterator[tuple[str, Blob]]:
        """Yield all files of a tree by path, in the order of paths. A truncated tree is walked folder by folder."""
        tree = await self.client.tree(self.home.repository, sha, recursive=True)
        if not tree.truncated:
            for entry in sorted(tree.tree, key=lambda each: each.path):
                if entry.mode in _FILE_MODES:
                    yield folder + entry.path, Blob(sha=entry.sha, size_bytes=entry.size)
            return
        tree = await self.client.tree(self.home.repository, sha, recursive=False)
        # As git orders: a folder as if its name ended in a slash. So paths come in their order.
        for entry in sorted(tree.tree, key=lambda each: f"{each.path}/" if each.type == "tree" else each.path):
            if entry.type == "tree":
                async for found in self._walked(entry.sha, f"{folder}{entry.path}/"):
                    yield found
            elif entry.mode in _FILE_MODES:
                yield folder + entry.path, Blob(sha=entry.sha, size_bytes=entry.size)

    async def _blob(self, touched: Touched, commit: str) -> Blob | None:
        """Return the content of a path that is there after a comparison; None for a link or a submodule.

        A comparison tells no modes. What may be no file is asked for.
        """
        if touched.sha is not None and is_surely_a_file(touched):
            return Blob(sha=touched.sha, size_bytes=None)
        return await self._entry(touched.filename, commit)

    async def _entry(self, path: str, commit: str) -> Blob | None:
        entry = await self._folders.entry(path, commit)
        return Blob(sha=entry.sha, size_bytes=entry.size) if entry is not None and entry.mode in _FILE_MODES else None

    def _is_document(self, path: str) -> bool:
        return PurePosixPath(path).suffix.lower() not in UNREADABLE and self.keys.takes(path)

    def _difference(self, spot: Spot, blob: Blob) -> list[Observed]:
        """Return what to submit of a path. What moved says so before its content is read, which may fail.

        After a look that was cut off nobody knows whether its document was deleted, and whether this path was
        submitted as new: then all of it is submitted, and what the path would have been is deleted.
        """
        path, held, found = spot.path, spot.held, list[Observed]()
        now = Held(content=blob.sha, access=self.home.token, place="" if path == spot.key else path)
        self._places.move(spot.key, path)
        if held is not None and spot.instead_of is not None and not (self.is_clean and known(held)):
            found.append(self._change(spot.instead_of, Deleted(), {}))
            held = None
        elif held is not None and spot.instead_of is not None:
            held = replace(now, content=held.content)
            _, parts = self._note(spot, held, settled=True)
            found.append(self._change(spot.key, Patched(patch=self.home.renamed_file(path)), parts))
        held = known(held)
        if held == now:
            return found
        if held is not None and held.content == now.content:
            _, parts = self._note(spot, now, settled=True)
            return [self._change(spot.key, Patched(patch=self.home.moved_file(path)), parts)]
        if blob.size_bytes is not None and blob.size_bytes > self.max_bytes:
            error = FileTooLargeError(
                f"{path}: {blob.size_bytes} bytes, at most {self.max_bytes}; raise max_bytes or exclude it"
            )
            found += [self._deletion(spot)] if held is None and spot.held is not None else []
            return [*found, ItemFailed(external_id=file_id(self.home.repository.id, spot.key), error=error)]
        note, parts = self._note(spot, now, settled=False)
        what = Upserted(state=self.home.file(path), content=self._opener(blob, note))
        return [*found, self._change(spot.key, what, parts)]

    def _deletion(self, spot: Spot, listing: Listing | None = None) -> SourceChange:
        _, parts = self._note(spot, None, settled=True)
        return self._change(spot.key, Deleted(listing=listing), parts)

    def _note(self, spot: Spot, held: Held | None, *, settled: bool) -> tuple[Note, Mapping[str, bytes | None]]:
        return self.shelf.note(FILES, (spot.ledger, spot.leaf), spot.key, held, settled=settled)

    def _change(self, key: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None]) -> SourceChange:
        return SourceChange(
            external_id=file_id(self.home.repository.id, key),
            what=what,
            source_version=self.seen_ns,
            occurred_at=datetime.fromtimestamp(self.seen_ns / 1e9, tz=UTC),
            cursor=parts,
        )

    def _opener(self, blob: Blob, note: Note) -> Callable[[], AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            try:
                async for piece in self.client.content(self.home.repository, blob.sha, max_bytes=self.max_bytes):
                    yield piece
            except FileTooLargeError:
                note.settled = True  # as long as the content is this one: it is reported once
                raise
            note.settled = True

        return read
