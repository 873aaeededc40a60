"""The cursor: what is held of each document, and where the reader resumes."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from connectors.airbyte.messages import State
from connectors.parts import Parts, below
from connectors.protocol import Cursor
from headwater.errors import FatalError

ITEM: Final = "i:"  # before an external id: some names of parts are the runner's own
STATE: Final = "s:"  # before a stream's name; alone where the reader has one state for all
MAX_STATE_BYTES: Final = 512 * 1024  # compressed: one record of the log takes 1 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was submitted of a document: hashes of what tells its state, and its access, from another."""

    content: str
    access: str

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Decode."""
        content, _, access = raw.decode().partition(" ")
        return cls(content=content, access=access)

    def to_bytes(self) -> bytes:
        """Encode for the cursor."""
        return f"{self.content} {self.access}".encode()


def held_in(cursor: Cursor) -> Parts:
    """Return what is held, by external id."""
    return Parts(below(cursor, ITEM))


def part_of(state: State) -> Mapping[str, bytes]:
    """Return the part of the cursor that a state is. Raise FatalError for one that the log cannot take."""
    raw = zlib.compress(json.dumps(state.message, separators=(",", ":")).encode())
    if len(raw) > MAX_STATE_BYTES:
        raise FatalError(
            f"the reader's state takes {len(raw)} bytes compressed, at most {MAX_STATE_BYTES}; "
            "name fewer streams, or read them with `mode: full`"
        )
    return {STATE + (state.stream or ""): raw}


def states_for(cursor: Cursor, streams: set[str]) -> list[Any] | None:
    """Return the states that the reader gets back, of these streams alone; None where there is none."""
    wanted = {"", *streams}
    return [
        json.loads(zlib.decompress(raw)) for stream, raw in sorted(below(cursor, STATE)) if stream in wanted
    ] or None
