"""The records that dead letters are about, where they lie in the log."""

from typing import Protocol

from schemas.events.base import Position


class Originals(Protocol):
    """Reads single records again."""

    async def read(self, position: Position) -> bytes | None:
        """Return a record's value; None where it is no longer in its topic, or was none of a committed transaction.

        Raises RetryableError when the broker does not answer.
        """
        ...
