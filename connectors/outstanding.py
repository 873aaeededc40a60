"""Items that could not be read, and when each is looked at again by itself: parts of the cursor that are the runner's.

A pass that meets such an item tries it anyway. A look of its own is for those that passes do not meet: what an
incremental pass failed to read does not change, so the next one does not see it. Looks grow rarer, and never end.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from connectors.parts import below

MARK: Final = "!failed/"  # then the external id
MOST_REMEMBERED: Final = 1_000  # what fails beyond waits for a pass that meets it: memory and cursor are bounded
LOOKED_AT_ONCE: Final = 100  # by one sync
FIRST_WAIT: Final = timedelta(minutes=5)  # doubled by each look that fails
LONGEST_WAIT: Final = timedelta(hours=6)
MAX_REASON: Final = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is remembered of one item. `looks`: at it alone, in vain."""

    looks: int
    due: str  # ISO 8601, UTC
    reason: str

    @classmethod
    def of(cls, state: bytes) -> Self | None:
        """Read it; None for another version's: the item then waits for a pass that meets it."""
        try:
            raw: Any = json.loads(state)
            return cls(looks=int(raw["looks"]), due=str(raw["due"]), reason=str(raw["reason"]))
        except (KeyError, TypeError, ValueError):
            return None

    def encoded(self) -> bytes:
        """Return the part of the cursor."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


class Outstanding:
    """What is outstanding in one sync. Tell it what fails and what is submitted, and save `news` after each batch."""

    def __init__(self, cursor: Mapping[str, bytes], now: datetime) -> None:
        self._now = now
        self._before = {
            external_id: mark for external_id, state in below(cursor, MARK) if (mark := Mark.of(state)) is not None
        }
        self._marks = dict(self._before)
        self._failed: set[str] = set()  # in this sync, of what is remembered
        self._looks: frozenset[str] = frozenset()
        self._changed: set[str] = set()

    def fail(self, external_id: str, reason: str) -> None:
        """Remember an item that cannot be read. Only a look at it alone makes the next one later."""
        known = self._before.get(external_id)
        if known is not None and external_id not in self._looks:
            self._put(external_id, known)
        elif known is not None or len(self._marks) < MOST_REMEMBERED:
            looks = known.looks + 1 if known is not None else 0
            wait = min(FIRST_WAIT * 2 ** min(looks, 16), LONGEST_WAIT)
            due = (self._now + wait).isoformat()
            self._put(external_id, Mark(looks=looks, due=due, reason=reason[:MAX_REASON]))
        if external_id in self._marks:
            self._failed.add(external_id)

    def submitted(self, external_ids: Iterable[str]) -> None:
        """Forget items of which something was submitted, but those that failed as well: their readers, say."""
        for external_id in external_ids:
            if external_id in self._marks and external_id not in self._failed:
                self._put(external_id, None)

    def look(self) -> Collection[str]:
        """Begin the looks that are due at what this sync has not met; return the longest waiting ones."""
        now = self._now.isoformat()
        due = sorted((mark.due, name) for name, mark in self._marks.items() if mark.due <= now)
        self._looks = frozenset([name for _, name in due if name not in self._failed][:LOOKED_AT_ONCE])
        return self._looks

    def looked(self) -> None:
        """End them: what did not fail is as the cursor says."""
        for external_id in self._looks - self._failed:
            self._put(external_id, None)

    def waiting(self) -> Mapping[str, str]:
        """Return the reasons, by id, of what is remembered and was not tried in this sync."""
        return {name: mark.reason for name, mark in sorted(self._marks.items()) if name not in self._failed}

    def news(self) -> dict[str, bytes | None]:
        """Return the parts of the cursor that changed since this was asked for."""
        changed, self._changed = self._changed, set()
        marks = {name: self._marks.get(name) for name in sorted(changed)}
        return {MARK + name: mark.encoded() if mark is not None else None for name, mark in marks.items()}

    def _put(self, external_id: str, mark: Mark | None) -> None:
        if mark == self._marks.get(external_id):
            return
        self._changed.add(external_id)
        if mark is None:
            del self._marks[external_id]
        else:
            self._marks[external_id] = mark
