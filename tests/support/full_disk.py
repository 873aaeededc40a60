"""A blob store in a folder whose disk fills up: run as a process of its own, which prints what it saw as JSON.

`tmpfs FOLDER` mounts a small file system there (in a mount namespace of its own: see `unshare`) and fills it to the
last byte. `limit FOLDER` forbids this process to write past the 64th KiB of a file, which needs no right at all.
"""

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headwater.clients.blobs import INLINE_BYTES, ObjectBlobStore, read_all
from headwater.errors import HeadwaterError
from headwater.settings import BlobSettings
from schemas.ids import TenantId
from tests.support.blobs import pieces_of

ACME = TenantId("acme")
_ROOM_BYTES = 32 * 1024 * 1024
_LIMIT_BYTES = 64 * 1024
SMALL, LARGE = b"s" * (1024 * 1024), b"l" * (INLINE_BYTES * 2)  # written at once; streamed under another name first


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of one content."""

    error: str | None  # base class of what the write raised without room
    says: str | None
    left: list[str]  # files that were not there before it
    kept: bool  # what was written before could still be read
    written: bool  # the same write, once there was room, and it could be read


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def _limited(_: Path) -> Iterator[None]:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT_BYTES, most))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def _see(blobs: ObjectBlobStore, folder: Path, content: bytes, without_room: Callable[[Path], Any]) -> Seen:
    kept, error = await blobs.write(ACME, pieces_of(b"kept")), None
    before = _files(folder / "blobs")
    with without_room(folder):
        try:
            await blobs.write(ACME, pieces_of(content))
        except HeadwaterError as raised:
            error = raised
        left = sorted(_files(folder / "blobs") - before)
        still_there = await read_all(blobs, ACME, kept) == b"kept"
    ref = await blobs.write(ACME, pieces_of(content))
    return Seen(
        error=None if error is None else type(error).__name__,
        says=None if error is None else str(error),
        left=left,
        kept=still_there,
        written=await read_all(blobs, ACME, ref) == content,
    )


async def _see_all(how: str, folder: Path) -> None:
    blobs = ObjectBlobStore(BlobSettings(url=f"file:{folder / 'blobs'}"))
    without_room = {"tmpfs": _filled, "limit": _limited}[how]
    seen = [await _see(blobs, folder, content, without_room) for content in (SMALL, LARGE)]
    sys.stdout.write(json.dumps([asdict(each) for each in seen]))


def _main(how: str, folder: Path) -> None:
    if how == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM_BYTES}", "none", str(folder)], check=True)
    asyncio.run(_see_all(how, folder))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
