"""What a pass over everything has still to look at: of what is held, for what is new is known when it is met."""

from collections import Counter
from dataclasses import replace

from connectors.github.cursor import KINDS
from connectors.leaves import decoded
from connectors.parts import below
from connectors.protocol import Cursor, Left, Observed, SourceChange


class Unmet:
    """Counts down. Nothing is known of it for an empty cursor: neither is then what a listing will show."""

    def __init__(self, since: Cursor) -> None:
        self._left: Counter[int] = Counter()
        for name, raw in (part for kind in KINDS for part in below(since, kind)):
            repository_id = name.partition(":")[0]
            if repository_id.isdecimal():
                self._left[int(repository_id)] += len(decoded(raw))
        self._of = self._left.total()

    def met(self, repository_id: int) -> None:
        """Count one document that was held and is listed."""
        if self._left[repository_id] > 0:
            self._left[repository_id] -= 1

    def finished(self, repository_id: int) -> None:
        """Say that nothing of a repository is left: what was not met is gone, or could not be listed."""
        self._left.pop(repository_id, None)

    def left(self) -> Left | None:
        """Return what is left; None where nobody can tell."""
        left = self._left.total()
        return Left(items=left, of=self._of) if left else None

    def told(self, change: Observed) -> Observed:
        """Return a change with what is left after it."""
        return replace(change, left=self.left()) if isinstance(change, SourceChange) else change
