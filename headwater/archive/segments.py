"""A segment: records of one topic as they lay in the log, in an Avro container that any Avro tool can read.

Values are the original bytes. A segment is named by the SHA-256 of its file, so the same records are stored once and a
changed byte is noticed.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from headwater.clients.kafka.records import Headers, Record
from headwater.errors import FatalError

_SCHEMA: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ArchivedRecord",
        "namespace": "headwater.archive",
        "fields": [
            {"name": "partition", "type": "int"},
            {"name": "offset", "type": "long"},
            {"name": "timestamp_ms", "type": ["null", "long"]},
            {"name": "key", "type": "bytes"},
            {"name": "value", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Header",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": "bytes"}],
                    },
                },
            },
        ],
    }
)
_SYNC_MARKER: Final = b"headwater-backup"  # 16 bytes; a random one would give equal records unequal names


class SegmentDamagedError(FatalError):
    """A segment's bytes are not what its name says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRecord:
    """One record: where it lay, and everything that Kafka kept of it. A `value` of None is a tombstone."""

    partition: int
    offset: int
    timestamp_ms: int | None
    key: bytes
    value: bytes | None
    headers: Headers = ()

    @classmethod
    def of(cls, record: Record) -> "ArchivedRecord":
        """Take a record from the log. Raises FatalError for one without a key: a compacted topic has none."""
        if record.key is None:
            raise FatalError(f"{record.position}: a record without a key cannot be in a compacted topic")
        return cls(
            partition=record.position.partition,
            offset=record.position.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


def newest_by_key(records: Iterable[ArchivedRecord]) -> list[ArchivedRecord]:
    """Return the last record of each key, in the order in which they were appended."""
    newest: dict[bytes, ArchivedRecord] = {}
    for record in records:
        newest.pop(record.key, None)  # so that the key moves to the end: the order is that of the newest records
        newest[record.key] = record
    return list(newest.values())


def encode_segment(records: Iterable[ArchivedRecord]) -> bytes:
    """Encode records; equal records, equal bytes."""
    file = io.BytesIO()
    fastavro.writer(file, _SCHEMA, map(_row, records), codec="deflate", sync_marker=_SYNC_MARKER)
    return file.getvalue()


def decode_segment(data: bytes, *, sha256: str) -> Iterator[ArchivedRecord]:
    """Yield a segment's records in order. Raises SegmentDamagedError before the first where the hash differs."""
    if segment_name(data) != sha256:
        raise SegmentDamagedError(f"segment {sha256}: its bytes have another hash; restore from an earlier run")
    for row in fastavro.reader(io.BytesIO(data), reader_schema=_SCHEMA):
        yield _record(row)


def segment_name(data: bytes) -> str:
    """Return what a segment with these bytes is called."""
    return hashlib.sha256(data).hexdigest()


def _row(record: ArchivedRecord) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key,
        "value": record.value,
        "headers": [{"name": name, "value": value} for name, value in record.headers],
    }


def _record(row: Any) -> ArchivedRecord:
    headers = tuple((each["name"], each["value"]) for each in row["headers"])
    return ArchivedRecord(**(row | {"headers": headers}))
