"""What lies in a folder tree: files with what tells whether they changed, and who may read them."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Self

from connectors.filesystem.rules import RULE_FILE, folder_access
from connectors.rules import FolderRuleError
from headwater.errors import PoisonError, RetryableError
from schemas.events.documents import NOBODY, Access


class UnreadableNameError(PoisonError):
    """A name that is no text. Renaming mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What tells whether a file changed without reading it, and whether its access did."""

    modified_ns: int
    changed_ns: int  # the inode's: a restored modification time does not hide a change
    size: int
    inode: int
    access: str

    def to_bytes(self) -> bytes:
        """Encode for the cursor."""
        return json.dumps([self.modified_ns, self.changed_ns, self.size, self.inode, self.access]).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self | None:
        """Decode; None for another version's: the file is then read again, which is harmless."""
        try:
            modified_ns, changed_ns, size, inode, access = json.loads(raw)
        except ValueError:
            return None
        return cls(modified_ns=modified_ns, changed_ns=changed_ns, size=size, inode=inode, access=access)

    @classmethod
    def of(cls, stat: os.stat_result, *, access: str) -> Self:
        """Take the fingerprint of a file as it is now."""
        return cls(
            modified_ns=stat.st_mtime_ns,
            changed_ns=stat.st_ctime_ns,
            size=stat.st_size,
            inode=stat.st_ino,
            access=access,
        )

    def is_of(self, stat: os.stat_result) -> bool:
        """Say whether the file is still the one, and in the state, that was found."""
        return self == Fingerprint.of(stat, access=self.access)

    def same_content(self, other: "Fingerprint") -> bool:
        """Say whether the content cannot have changed; access may have."""
        return replace(self, access="") == replace(other, access="")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file of the tree. `external_id` is its path below the root, with forward slashes."""

    external_id: str
    path: Path
    access: Access
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What an administrator must mend, and why: a rule file, with its folder for nobody until then, or a name."""

    external_id: str
    error: PoisonError


def access_of(root: Path, folder: Path) -> Access:
    """Return the access of a folder's documents by the rule files from the root down to it."""
    access = folder_access(NOBODY, root / RULE_FILE)
    current = root
    for part in folder.relative_to(root).parts:
        current = current / part
        access = folder_access(access, current / RULE_FILE)
    return access


def scan(root: Path, start: Path) -> Iterator[FoundFile | Unread]:
    """Walk from `start`, a file or folder at or below `root`; what is hidden or a link is passed over.

    A path that vanishes during the walk is not there: no error. Raises RetryableError for what may not be looked at.
    """
    try:
        yield from _scan(root, start)
    except PermissionError as error:  # as of a folder whose names may be read and nothing else
        raise _denied(Path(error.filename or start), error) from error


def _scan(root: Path, start: Path) -> Iterator[FoundFile | Unread]:
    if start.is_symlink() or _is_hidden(start.relative_to(root).parts):
        return
    if not _is_text(start.name):
        yield _unnamed(root, start)
        return
    folder = start if start.is_dir() else start.parent
    try:
        access = access_of(root, folder)
    except FolderRuleError as error:
        access = NOBODY
        yield Unread(external_id=folder.relative_to(root).as_posix(), error=error)
    if start.is_dir():
        yield from _walk(root, start, access)
    elif (found := _file(root, start, access)) is not None:
        yield found


def _walk(root: Path, folder: Path, access: Access) -> Iterator[FoundFile | Unread]:
    for name, is_folder in _entries(folder):
        path = folder / name
        if not _is_text(name):
            yield _unnamed(root, path)
        elif is_folder:
            below = access
            try:
                below = folder_access(access, path / RULE_FILE)
            except FolderRuleError as error:
                below = NOBODY
                yield Unread(external_id=path.relative_to(root).as_posix(), error=error)
            yield from _walk(root, path, below)
        elif (found := _file(root, path, access)) is not None:
            yield found


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield name, and whether it is a folder, of what is neither hidden nor a link, in order.

    All is listed before the first is told: a folder that changes while it is read for minutes may leave some out.
    """
    try:
        with os.scandir(folder) as entries:
            # Names, not entries: a million of those, each with its path, would be more than a sync may take.
            found = sorted(
                entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
                for entry in entries
                if not _is_hidden((entry.name,)) and not entry.is_symlink()
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:  # what lies below is not known: it must not look as if it were gone
        raise _denied(folder, error) from error
    for name in found:
        yield name.removesuffix("/"), name.endswith("/")


def _file(root: Path, path: Path, access: Access) -> FoundFile | None:
    try:
        stat = path.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not S_ISREG(stat.st_mode):
        return None
    return FoundFile(
        external_id=path.relative_to(root).as_posix(),
        path=path,
        access=access,
        fingerprint=Fingerprint.of(stat, access=_access_hash(access)),
    )


def _denied(path: Path, error: OSError) -> RetryableError:
    return RetryableError(
        f"path {path}: cannot be read ({error.strerror}); grant the connector access. Nothing is deleted"
    )


def _unnamed(root: Path, path: Path) -> Unread:
    shown = os.fsencode(path.relative_to(root)).decode(errors="replace")
    return Unread(external_id=shown, error=UnreadableNameError(f"{shown}: the name is not UTF-8; rename it"))


def _is_text(name: str) -> bool:
    """Say whether a name is text: Python keeps what is not UTF-8 as halves of characters, which nothing can encode."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _access_hash(access: Access) -> str:
    return hashlib.sha256(repr(access).encode()).hexdigest()[:16]


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)
