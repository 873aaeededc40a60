"""How many documents the last complete listing of a bucket had: what the next one is measured by."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from connectors.protocol import Cursor, CursorMoved, Left, Observed, SourceChange

_PART: Final = "listed"  # of the cursor; the leaves' names begin otherwise


class LastListing:
    """Tells what a listing has left. Nothing before one was complete: a store does not say how much it holds."""

    def __init__(self, since: Cursor) -> None:
        known = since.get(_PART, b"")
        self._count = int(known) if known.isdigit() else 0

    def left(self, listed: int) -> Left | None:
        """Return what is left after so many; None once there are more than there were."""
        return Left(items=self._count - listed, of=self._count) if listed < self._count else None

    def told(self, change: Observed, listed: int) -> Observed:
        """Return a change with what is left after it."""
        return replace(change, left=self.left(listed)) if isinstance(change, SourceChange) else change

    def replaced(self, listed: int) -> Iterator[CursorMoved]:
        """Yield that a listing was complete with so many, if that is another number."""
        if listed != self._count:
            yield CursorMoved(cursor={_PART: str(listed).encode()})
