"""The newest record of each key over many segments, without holding them: two passes and a scratch index on disk."""

import hashlib
import struct
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from headwater.archive.manifests import SegmentRef
from headwater.archive.runs import segment_object
from headwater.archive.segments import ArchivedRecord, decode_segment
from headwater.blobs.scratch import scratch
from headwater.ports.archive import ArchiveStore

_NUMBER: Final = struct.Struct(">Q")


class NewestRecords:
    """Reads a topic's segments twice: to learn which record of each key is the last, then to yield those."""

    def __init__(self, archive: ArchiveStore, segments: Sequence[SegmentRef], index: Any) -> None:
        self._archive = archive
        self._segments = segments
        self._index = index

    @classmethod
    @contextmanager
    def open(cls, archive: ArchiveStore, segments: Sequence[SegmentRef], folder: Path) -> Iterator["NewestRecords"]:
        """Open with an index in a folder of its own below `folder`, removed at the end."""
        with scratch(folder) as index:
            yield cls(archive, segments, index)

    async def learn(self) -> int:
        """Read all segments once; return how many keys there are, erased ones included."""
        number = 0
        for segment in self._segments:
            with self._index.begin(write=True) as txn:
                async for record in self._records(segment):
                    txn.put(_name(record.key), _NUMBER.pack(number))
                    number += 1
        return int(self._index.stat()["entries"])

    def leave_out(self, keys: Iterable[bytes]) -> None:
        """Yield no record of these keys."""
        with self._index.begin(write=True) as txn:
            for key in keys:
                txn.delete(_name(key))

    async def records(self) -> AsyncIterator[ArchivedRecord]:
        """Yield the last record of each key in the order of the segments; erased keys are left out."""
        number = 0
        for segment in self._segments:
            async for record in self._records(segment):
                if record.value is not None and self._is_last(record.key, number):
                    yield record
                number += 1

    def _is_last(self, key: bytes, number: int) -> bool:
        with self._index.begin() as txn:
            return bool(txn.get(_name(key)) == _NUMBER.pack(number))

    async def _records(self, segment: SegmentRef) -> AsyncIterator[ArchivedRecord]:
        data = await self._archive.get(segment_object(segment.sha256))
        for record in decode_segment(data, sha256=segment.sha256):
            yield record


def _name(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()  # LMDB takes 511 bytes; a cursor's part may be a path of thousands
