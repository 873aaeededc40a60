"""Files of a repository's default branch: the whole tree, or what a comparison of two commits names (ADR 0124)."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from connectors.filters import KeyFilter
from connectors.github.client import FileTooLargeError, GithubClient
from connectors.github.cursor import FILES, Shelf
from connectors.github.documents import UNREADABLE, Home
from connectors.github.ids import file_id
from connectors.github.models import Comparison, Touched
from connectors.leaves import Held, Leaf, Ledger, Note
from connectors.protocol import Deleted, ItemFailed, Observed, Patched, SourceChange, Upserted

_FILE_MODES: Final = frozenset({"100644", "100755", "100664"})  # no links (120000), no submodules (160000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file's content. `size_bytes`: None where only a download would tell."""

    sha: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One look at a repository's files. `seen_ns`: a time before it was asked for anything (ADR 0120)."""

    client: GithubClient
    home: Home
    shelf: Shelf
    keys: KeyFilter
    max_bytes: int
    seen_ns: int

    async def whole(self, commit: str) -> AsyncIterator[Observed]:
        """Compare all files of a commit with what is held; deletions come last, when the whole tree was read."""
        ledger = self.shelf.ledger(FILES)
        last = ""
        async for path, blob in self._walked(commit, ""):
            if path <= last:  # two names that JSON cannot tell apart
                continue
            last = path
            if self._is_document(path):
                leaf, held = ledger.take(path, self.seen_ns)
                for change in self._difference((ledger, leaf), path, blob, held):
                    yield change
        ledger.finish(self.seen_ns)
        for leaf, path, _ in ledger.missing():
            yield self._deletion((ledger, leaf), path)

    async def since(self, comparison: Comparison, commit: str) -> AsyncIterator[Observed]:
        """Look at the paths that a comparison names; deletions come last, so that a renamed file is never missing."""
        ledger = self.shelf.ledger(FILES)
        gone: list[str] = []
        for path, touched in sorted(_by_path(comparison).items()):
            if not self._is_document(path):
                continue
            blob = await self._blob(touched, commit) if touched is not None else None
            if blob is None:
                gone.append(path)
                continue
            leaf, held = ledger.at(path)
            for change in self._difference((ledger, leaf), path, blob, held):
                yield change
        for path in gone:
            leaf, held = ledger.at(path)
            if held is not None:
                yield self._deletion((ledger, leaf), path)

    async def one(self, path: str, commit: str) -> AsyncIterator[Observed]:
        """Look at one path, as a notification asks."""
        ledger = self.shelf.ledger(FILES)
        leaf, held = ledger.at(path)
        entry = await self.client.entry(self.home.repository, path, commit) if self._is_document(path) else None
        if entry is not None and entry.type == "file":
            for change in self._difference((ledger, leaf), path, Blob(sha=entry.sha, size_bytes=entry.size), held):
                yield change
        elif held is not None:
            yield self._deletion((ledger, leaf), path)

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
        if touched.sha is not None and _is_surely_a_file(touched):
            return Blob(sha=touched.sha, size_bytes=None)
        entry = await self.client.entry(self.home.repository, touched.filename, commit)
        if entry is None or entry.type != "file":
            return None
        return Blob(sha=entry.sha, size_bytes=entry.size)

    def _is_document(self, path: str) -> bool:
        return PurePosixPath(path).suffix.lower() not in UNREADABLE and self.keys.takes(path)

    def _difference(self, at: tuple[Ledger, Leaf], path: str, blob: Blob, held: Held | None) -> list[Observed]:
        now = Held(content=blob.sha, access=self.home.token)
        if held == now:
            return []
        if held is not None and held.content == now.content:
            _, parts = self.shelf.note(FILES, at, path, now, settled=True)
            return [self._change(path, Patched(patch=self.home.moved_file(path)), parts)]
        if blob.size_bytes is not None and blob.size_bytes > self.max_bytes:
            error = FileTooLargeError(
                f"{path}: {blob.size_bytes} bytes, at most {self.max_bytes}; raise max_bytes or exclude it"
            )
            return [ItemFailed(external_id=file_id(self.home.repository.id, path), error=error)]
        note, parts = self.shelf.note(FILES, at, path, now, settled=False)
        return [self._change(path, Upserted(state=self.home.file(path), content=self._opener(blob, note)), parts)]

    def _deletion(self, at: tuple[Ledger, Leaf], path: str) -> SourceChange:
        _, parts = self.shelf.note(FILES, at, path, None, settled=True)
        return self._change(path, Deleted(), parts)

    def _change(self, path: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None]) -> SourceChange:
        return SourceChange(
            external_id=file_id(self.home.repository.id, path),
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


def _by_path(comparison: Comparison) -> dict[str, Touched | None]:
    """Return what each path is afterwards; None: nothing."""
    found: dict[str, Touched | None] = {
        each.previous_filename: None for each in comparison.files if each.previous_filename and each.status == "renamed"
    }
    for each in comparison.files:
        found[each.filename] = None if each.status == "removed" else each
    return found


def _is_surely_a_file(touched: Touched) -> bool:
    """Say whether a difference is that of a file's lines.

    A link is one line without an end, a submodule one line that names its commit, and both are told without a patch
    where only the name or the mode changed.
    """
    if touched.patch is None:
        return touched.changes > 0
    added = [line for line in touched.patch.splitlines() if line.startswith("+")]
    return len(added) > 1 or (
        len(added) == 1
        and "No newline at end of file" not in touched.patch
        and not added[0].startswith("+Subproject commit ")
    )
