"""LMDB environments that can be trusted after a crash, because what cannot be is thrown away and rebuilt from the log.

Commits are not flushed to disk: the log is the truth, and a killed process loses nothing (its pages belong to the
operating system). A crash of the whole machine may leave a torn file, so a small state file beside it says since which
boot it is open; after another boot without a clean close the file is deleted.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import lmdb

from headwater.errors import FatalError

Environment: TypeAlias = Any  # lmdb has no types
Transaction: TypeAlias = Any
Database: TypeAlias = Any

DATA_FILE = "data.mdb"
_MAX_DATABASES = 8
_MAX_READERS = 1_024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WritableEnvironment:
    """An environment with this process as its only writer. Use as a context manager.

    `layout` is the version of what is stored: an environment of another layout is deleted. Raises FatalError when
    another process writes to the folder.
    """

    def __init__(self, folder: Path, *, map_size_bytes: int, layout: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._state = folder / "state.json"
        self._layout = layout
        self._lock = _lock(folder)
        if not self._is_sound():
            for name in (DATA_FILE, "lock.mdb"):
                (folder / name).unlink(missing_ok=True)
        self._write_state(clean=False)
        self.lmdb: Environment = lmdb.open(
            str(folder),
            map_size=map_size_bytes,
            max_dbs=_MAX_DATABASES,
            max_readers=_MAX_READERS,
            mode=0o600,
            sync=False,
        )
        self._inode = (folder / DATA_FILE).stat().st_ino

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.lmdb.sync(True)  # noqa: FBT003 - positional in lmdb's interface
        self.lmdb.close()
        if self._is_present():  # or it says of a successor's folder, or of none, what is true of this one
            self._write_state(clean=True)
        os.close(self._lock)

    def check(self) -> None:
        """Free what killed readers held. Raises FatalError when the folder was deleted: a fresh start rebuilds it."""
        self.lmdb.reader_check()
        if not self._is_present():
            raise FatalError(f"{self._folder} was deleted or replaced while in use: start again to rebuild it")

    def _is_present(self) -> bool:
        try:
            return (self._folder / DATA_FILE).stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _is_sound(self) -> bool:
        try:
            state = json.loads(self._state.read_text())
        except (FileNotFoundError, ValueError):
            return False
        same_boot = state.get("boot") == _boot_id() is not None
        return state.get("layout") == self._layout and (state.get("clean") is True or same_boot)

    def _write_state(self, *, clean: bool) -> None:
        draft = self._state.with_suffix(".new")
        with draft.open("w") as file:
            json.dump({"layout": self._layout, "boot": _boot_id(), "clean": clean}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._state)


@contextmanager
def writing(environment: Environment) -> Iterator[Transaction]:
    """Write in one transaction, all or nothing. Raises FatalError when the environment is full."""
    try:
        with environment.begin(write=True) as txn:
            yield txn
    except lmdb.MapFullError as error:
        raise FatalError(f"{environment.path()} is full: raise HEADWATER_HEADS__MAP_SIZE_BYTES") from error


def open_reader(folder: Path) -> Environment | None:
    """Open an environment for reading beside its writer; None while there is none."""
    if not (folder / DATA_FILE).exists():
        return None
    try:
        return lmdb.open(
            str(folder), readonly=True, create=False, max_dbs=_MAX_DATABASES, max_readers=_MAX_READERS, lock=True
        )
    except lmdb.Error:  # its writer is creating it at this moment
        return None


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "writer.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise FatalError(
            f"another process writes to {folder}: one follower per folder; set HEADWATER_HEADS__FOLDER or the slot"
        ) from error
    return descriptor


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None
