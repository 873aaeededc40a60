"""Records as the rest of Headwater sees them, free of vendor types."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from schemas.events import Position

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
Offsets: TypeAlias = dict[str, dict[int, int]]  # topic -> partition -> offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a topic. A `value` of None is a tombstone."""

    position: Position
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionEnd:
    """Everything that was in the partition has been read: current as of now. `position.offset` is the next offset."""

    position: Position


Item: TypeAlias = Record | PartitionEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record to be sent. `partition_key` chooses the partition where the key does not (progress events)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    partition_key: bytes | None = None


def position_of(message: Message) -> Position:
    """Return where a message lies."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("the message was never stored: only delivered and consumed messages have a position")
    return Position(topic=topic, partition=partition, offset=offset)


def record_of(message: Message) -> Record:
    """Convert a consumed message."""
    kind, timestamp = message.timestamp()
    return Record(
        position=position_of(message),
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple(_headers(message.headers() or ())),
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
    )


def _headers(pairs: Any) -> Iterable[tuple[str, bytes]]:
    for name, value in pairs:
        yield name, value if isinstance(value, bytes) else (value or "").encode()


def _bytes(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else str(value).encode()
