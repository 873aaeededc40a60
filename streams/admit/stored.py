"""How admission's heads and counters are stored: the log record itself, behind what the log does not say."""

import struct

from schemas.codec import decode
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DeletionQuarantined, DocumentChanged
from streams.admit.context import Usage
from streams.admit.outcomes import DocumentHead

_LEARNT = struct.Struct(">qq?q")  # live offset, backfill offset, whether a version was seen, that version
_PARTITION = struct.Struct(">H")
_PAIR = struct.Struct(">qq")
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


def partition_prefix(partition: int) -> bytes:
    """Return what the keys of one partition begin with."""
    return _PARTITION.pack(partition)


def head_key(partition: int, document: str) -> bytes:
    """Return a head's key: its partition and the 16 bytes of its id. Raises ValueError for what is no id."""
    return _PARTITION.pack(partition) + bytes.fromhex(document)


def encode_head(head: DocumentHead, record: bytes) -> bytes:
    """Encode a head; `record` is `head.record` as the log has it."""
    seen = head.seen_version
    return _LEARNT.pack(head.live_offset, head.backfill_offset, seen is not None, seen or 0) + record


def decode_head(value: bytes, waiting: bytes | None) -> DocumentHead:
    """Decode what `encode_head` made, and the deletion that waits, as its topic has it.

    A version that only the waiting deletion names was seen too: that is not in the log of documents.
    """
    live, backfill, has_version, version = _LEARNT.unpack_from(value)
    deletion = None if waiting is None else decode(waiting, DeletionQuarantined)
    seen = [version] if has_version else []
    if deletion is not None and deletion.source_version is not None:
        seen.append(deletion.source_version)
    return DocumentHead(
        record=decode(record_bytes(value), DocumentChanged),
        seen_version=max(seen, default=None),
        live_offset=live,
        backfill_offset=backfill,
        waiting=deletion,
    )


def record_bytes(value: bytes) -> bytes:
    """Return the log record inside a stored head."""
    return bytes(value[_LEARNT.size :])


def tenant_key(partition: int, tenant: str) -> bytes:
    """Return the key of a tenant's counters: documents and bytes of content."""
    return _PARTITION.pack(partition) + b"t" + tenant.encode()


def source_key(partition: int, tenant: str, source: str) -> bytes:
    """Return the key of a source's counter: its documents, and nothing."""
    return _PARTITION.pack(partition) + b"n" + f"{tenant}/{source}".encode()


def hour_key(partition: int, tenant: str, source: str) -> bytes:
    """Return the key of a source's counters: the hour, and its deletions within it."""
    return _PARTITION.pack(partition) + b"s" + f"{tenant}/{source}".encode()


def day_key(partition: int, tenant: str, source: str) -> bytes:
    """Return the key of a source's counters: the day, and its deletions within it."""
    return _PARTITION.pack(partition) + b"d" + f"{tenant}/{source}".encode()


def pack_pair(first: int, second: int) -> bytes:
    """Encode two counters."""
    return _PAIR.pack(first, second)


def unpack_pair(value: bytes | None) -> tuple[int, int]:
    """Decode two counters, zeros where there are none."""
    return (0, 0) if value is None else _PAIR.unpack(value)


def hour_of(at_ms: int) -> int:
    """Return the hour that an instant lies in: deletion budgets are renewed at full hours."""
    return at_ms // _HOUR_MS


def day_of(at_ms: int) -> int:
    """Return the day that an instant lies in, in UTC."""
    return at_ms // _DAY_MS


def usage_of(
    tenant: tuple[int, int], source: tuple[int, int], hour: tuple[int, int], day: tuple[int, int], *, now_ms: int
) -> Usage:
    """Return counters as the decision sees them: deletions of a past hour or day are forgotten."""
    return Usage(
        documents=tenant[0],
        content_bytes=tenant[1],
        source_documents=source[0],
        deletions=hour[1] if hour[0] == hour_of(now_ms) else 0,
        deletions_today=day[1] if day[0] == day_of(now_ms) else 0,
    )


def is_purge(record: DocumentChanged, directory_topic: str) -> bool:
    """Say whether a deletion followed from the directory, not from the source: it costs no budget."""
    return record.submitted.topic == directory_topic


def purge_key(partition: int, change: DirectoryChanged) -> bytes:
    """Return the key that remembers how far the documents of a deleted record are deleted in one partition."""
    return _PARTITION.pack(partition) + f"{change.tenant_id}/{change.kind.value}/{change.record_id}".encode()
