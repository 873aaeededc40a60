"""A wiki as git serves it: commits of pages, and protocol version 2 as far as a reader of one commit needs it.

What `tests/unit/connectors/github/test_git.py` holds of it, it holds of git itself too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from dulwich.object_format import SHA1
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import write_pack_objects
from dulwich.protocol import Protocol, pkt_line

FILE, FOLDER = 0o100644, 0o040000
SIDEBAND_BYTES = 65515  # of one packet


@dataclass(slots=True)
class FakeWiki:
    """Pages and their history. What is set on it holds for the answers that follow."""

    objects: dict[bytes, ShaFile] = field(default_factory=dict)
    head: bytes | None = None
    is_written: bool = False  # there is something to clone
    filters: bool = True  # false: contents come along, whatever was asked for

    def files(self) -> dict[str, bytes]:
        """Return the pages as they are."""
        if self.head is None:
            return {}
        commit = self.objects[self.head]
        assert isinstance(commit, Commit)
        return {
            path: blob.data
            for path, mode, blob in self._below(commit.tree, "")
            if isinstance(blob, Blob) and mode == FILE
        }

    def put(self, path: str, content: bytes) -> None:
        """Make or edit a page."""
        self.commit({**self.files(), path: content})

    def remove(self, *paths: str) -> None:
        """Take pages away."""
        self.commit({path: content for path, content in self.files().items() if path not in paths})

    def move(self, old: str, new: str) -> None:
        """Rename a page."""
        files = self.files()
        files[new] = files.pop(old)
        self.commit(files)

    def commit(self, files: Mapping[str, bytes], *, links: Sequence[str] = (), forced: bool = False) -> None:
        """Put a commit on top, or in place of, the branch."""
        parents = [self.head] if self.head is not None and not forced else []
        commit = Commit()
        commit.tree = self._tree({**files, **dict.fromkeys(links, b"Home.md")}, links)
        commit.parents = [ObjectID(each) for each in parents]
        commit.author = commit.committer = b"Ann <ann@acme.test>"
        commit.author_time = commit.commit_time = len(self.objects)
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"Edited"
        self.head, self.is_written = self._kept(commit), True

    def forget(self) -> None:
        """Collect what the branch does not lead to any more."""
        assert self.head is not None
        commit = self.objects[self.head]
        assert isinstance(commit, Commit)
        live = {self.head: commit, commit.tree: self.objects[commit.tree]}
        self.objects = live | {each.id: each for _, _, each in self._below(commit.tree, "")}

    def answer(self, asked: bytes) -> bytes:
        """Answer `ls-refs` and `fetch`."""
        source = BytesIO(asked)
        protocol = Protocol(source.read, lambda _: None)
        said = [protocol.read_pkt_line() for _ in iter(lambda: source.tell() < len(asked), False)]
        words = [(line or b"").strip() for line in said]
        if b"command=ls-refs" in words:
            assert b"ref-prefix HEAD" in words
            return (pkt_line(self.head + b" HEAD\n") if self.head else b"") + pkt_line(None)
        assert b"command=fetch" in words
        assert b"done" in words
        wanted = next(line.removeprefix(b"want ") for line in words if line.startswith(b"want "))
        if wanted not in self.objects:
            return pkt_line(b"ERR upload-pack: not our ref " + wanted) + pkt_line(None)
        shallow = b"deepen 1" in words
        head = [pkt_line(b"shallow-info\n"), pkt_line(b"shallow " + wanted), b"0001"] if shallow else []
        history = [wanted] if shallow else self._history(wanted)
        filtered = self.filters and b"filter blob:none" in words
        sent = [each for commit in history for each in self._sent(commit, without_contents=filtered)]
        return b"".join([*head, pkt_line(b"packfile\n"), *_banded(_packed(sent)), pkt_line(None)])

    def _history(self, wanted: bytes) -> Iterator[bytes]:
        yield wanted
        found = self.objects[wanted]
        for parent in found.parents if isinstance(found, Commit) else ():
            yield from self._history(parent)

    def _sent(self, wanted: bytes, *, without_contents: bool) -> Iterator[ShaFile]:
        found = self.objects[wanted]
        yield found
        if isinstance(found, Commit):
            yield self.objects[found.tree]
            for _, mode, each in self._below(found.tree, ""):
                if mode == FOLDER or not without_contents:
                    yield each

    def _below(self, tree: bytes, above: str) -> Iterator[tuple[str, int, ShaFile]]:
        found = self.objects[tree]
        assert isinstance(found, Tree)
        for entry in found.iteritems():
            path = above + entry.path.decode()
            yield path, entry.mode, self.objects[entry.sha]
            if entry.mode == FOLDER:
                yield from self._below(entry.sha, f"{path}/")

    def _tree(self, files: Mapping[str, bytes], links: Sequence[str]) -> ObjectID:
        tree = Tree()
        for folder in {path.partition("/")[0] for path in files if "/" in path}:
            below = {path.partition("/")[2]: each for path, each in files.items() if path.startswith(f"{folder}/")}
            tree.add(folder.encode(), FOLDER, self._tree(below, [each.partition("/")[2] for each in links]))
        for path, content in files.items():
            if "/" not in path:
                tree.add(path.encode(), 0o120000 if path in links else FILE, self._kept(Blob.from_string(content)))
        return self._kept(tree)

    def _kept(self, made: ShaFile) -> ObjectID:
        self.objects[made.id] = made
        return made.id


def _packed(objects: Sequence[ShaFile]) -> bytes:
    written = BytesIO()
    write_pack_objects(written, list({each.id: each for each in objects}.values()), SHA1)
    return written.getvalue()


def _banded(pack: bytes) -> Iterator[bytes]:
    yield pkt_line(b"\x02Enumerating objects\n")
    for first in range(0, len(pack), SIDEBAND_BYTES):
        yield pkt_line(b"\x01" + pack[first : first + SIDEBAND_BYTES])
