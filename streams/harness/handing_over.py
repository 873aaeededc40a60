"""Work that a stage hands over to itself, by a topic of its own, names the record that it came from."""

from typing import Final

from headwater.telemetry.tracing import Headers
from schemas.events.base import Position

_HEADER: Final = "changed"


def position_header(position: Position) -> Headers:
    """Return the header that says where the handed over work lies in the log."""
    return ((_HEADER, f"{position.topic}/{position.partition}/{position.offset}".encode()),)


def handed_over_from(headers: Headers) -> Position | None:
    """Read what `position_header` wrote; None where there is nothing of its making."""
    try:
        topic, partition, offset = dict(headers)[_HEADER].decode().rsplit("/", 2)
        return Position(topic=topic, partition=int(partition), offset=int(offset))
    except (KeyError, ValueError):
        return None
