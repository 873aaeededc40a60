"""What git's server answers: packets, packs, trees, read by dulwich within limits (ADR 0145). Pure.

Whoever may write to a wiki decides what is in it, so nothing is unpacked before it is known how large it will be: a
few bytes may stand for gigabytes, by compression, by a delta that repeats itself, or by a folder in many places.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Final, TypeVar

from dulwich.errors import ApplyDeltaError, FileFormatException, GitProtocolError
from dulwich.object_format import SHA1
from dulwich.objects import Commit, ObjectID, ShaFile, Tree
from dulwich.pack import (
    DELTA_TYPES,
    PackData,
    PackInflater,
    UnresolvedDeltas,
    read_pack_header_at,
    take_msb_bytes_at,
    unpack_object_at,
)
from dulwich.protocol import Protocol

from headwater.errors import PoisonError

K = TypeVar("K", bound=ShaFile)
FOLDER: Final = 0o040000
FILES: Final = frozenset({0o100644, 0o100755, 0o100664})  # no links (120000), no submodules (160000)
_HEADER: Final = 12  # bytes of a pack before its first object


class BrokenPackError(PoisonError):
    """An answer that is none of git's, or does not hold what was asked for."""


class PackTooLargeError(PoisonError):
    """More than the limit, as sent or unpacked."""


def packets(body: bytes) -> Iterator[bytes | None]:
    """Yield the packets of an answer; None where a part of it ends."""
    source = BytesIO(body)
    protocol = Protocol(source.read, _written)
    with _translated():
        while source.tell() < len(body):
            yield protocol.read_pkt_line()


def unpacked(pack: bytes, *, max_bytes: int) -> Mapping[str, ShaFile]:
    """Return the objects of a pack by the hashes of their contents, which are computed and not believed.

    Raises PackTooLargeError where they are more than `max_bytes` together, BrokenPackError for what is no pack.
    """
    with _translated():
        _measure(pack, max_bytes)
        data = PackData.from_file(BytesIO(pack), SHA1)
        try:
            return {each.id.decode(): each for each in PackInflater.for_pack_data(data)}
        finally:
            data.close()


def tree_files(objects: Mapping[str, ShaFile], commit: str, *, max_bytes: int) -> Mapping[str, str]:
    """Return path and content's hash of all files of a commit. Raises PackTooLargeError past `max_bytes` of paths."""
    found: dict[str, str] = {}
    size = 0
    with _translated():
        folders = [("", _as(Commit, objects[commit]).tree)]
        while folders:
            above, tree = folders.pop()
            for entry in _as(Tree, objects[tree.decode()]).iteritems():
                path = above + entry.path.decode(errors="replace")
                size += len(path)
                if size > max_bytes:
                    raise PackTooLargeError(f"names of more than {max_bytes} bytes")
                if entry.mode == FOLDER:
                    folders.append((f"{path}/", ObjectID(entry.sha)))
                elif entry.mode in FILES:
                    found[path] = entry.sha.decode()
    return found


def _measure(pack: bytes, max_bytes: int) -> None:
    """Raise PackTooLargeError before what would be too large is unpacked."""
    left, offset = max_bytes, _HEADER
    _, count = read_pack_header_at(pack)
    for _ in range(count):
        head, _, _ = take_msb_bytes_at(pack, offset)
        left -= (head[0] & 15) | (_number(head[1:]) << 4)
        _check(left, max_bytes)
        each, offset = unpack_object_at(pack, offset, SHA1.hash_func)
        if each.pack_type_num in DELTA_TYPES:
            left -= _made_by(b"".join(each.decomp_chunks))
            _check(left, max_bytes)


def _check(left: int, max_bytes: int) -> None:
    if left < 0:
        raise PackTooLargeError(f"more than {max_bytes} bytes")


def _made_by(delta: bytes) -> int:
    """Return the size of what a delta makes: it begins with the sizes of its base and of its result."""
    _, at, _ = take_msb_bytes_at(delta, 0)
    result, _, _ = take_msb_bytes_at(delta, at)
    return _number(result)


def _number(digits: list[int]) -> int:
    """Return a number that git writes with seven bits in a byte, the lowest ones first."""
    return sum((digit & 127) << 7 * place for place, digit in enumerate(digits))


def _as(kind: type[K], found: ShaFile) -> K:
    if not isinstance(found, kind):
        raise BrokenPackError("git's server named one kind of object and sent another; try again later")
    return found


def _written(_: bytes) -> int:
    return 0  # an answer is read alone


@contextmanager
def _translated() -> Iterator[None]:
    """Translate what dulwich raises for bytes that it does not understand; some of it by `assert`."""
    try:
        yield
    except (
        ApplyDeltaError,
        AssertionError,
        FileFormatException,
        GitProtocolError,
        LookupError,
        UnresolvedDeltas,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        raise BrokenPackError(
            f"git's server sent what is no answer of git's ({type(error).__name__}); try again later"
        ) from error
