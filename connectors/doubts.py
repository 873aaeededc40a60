"""Listings that show suspiciously little: their deletions wait for an administrator, whatever the budget (ADR 0190)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from connectors.parts import below
from connectors.protocol import Cursor, Deleted, Listing, SourceChange
from headwater.settings import ConnectorSettings

MARK: Final = "!short/"  # part of the cursor, then the listing's name: how much was known before its deletions began

MAX_NAME: Final = 200  # characters, of a doubt: each deletion carries it


def doubt_of(listing: Listing, settings: ConnectorSettings) -> str | None:
    """Say in words why a listing is not believed; None where it is."""
    known, shown = listing.known, listing.shown
    if known < settings.short_listing_from or shown >= known * settings.short_listing_share:
        return None
    named = f"the listing of {listing.name[:MAX_NAME]}" if listing.name else "the listing"
    return f"{named} showed {shown} documents, where {known} were known"


class Doubts:
    """What is doubted in one reading. Tell it the changes, and save `news` before they are submitted.

    A connector forgets what it has deleted. So a reading that goes on where another was cut off knows less than that
    one did, and would believe what is left of its deletions: marks in the cursor say how much was known.
    """

    def __init__(self, cursor: Cursor, settings: ConnectorSettings) -> None:
        self._settings = settings
        self._marks = {name: int(state) for name, state in below(cursor, MARK) if state.isdigit()}
        self._changed: set[str] = set()
        self._begun: dict[str, Listing] = {}  # the newest of each name whose deletions have begun in this reading
        self._doubts: dict[str, str | None] = {}

    def judged(self, changes: Iterable[SourceChange]) -> list[str | None]:
        """Return why each of the changes must wait; None for what need not: no deletion, or told of by itself."""
        return [self._judged(each.what.listing) if isinstance(each.what, Deleted) else None for each in changes]

    def end(self, *, whole: bool) -> None:
        """The reading came to its end, so its listings are worked off; after a `whole` one those of others are too."""
        for name in list(self._marks):
            if whole or name in self._begun:
                self._put(name, None)

    def news(self) -> dict[str, bytes | None]:
        """Return the parts of the cursor that changed since this was asked for."""
        changed, self._changed = self._changed, set()
        known = {name: self._marks.get(name) for name in sorted(changed)}
        return {MARK + name: None if count is None else str(count).encode() for name, count in known.items()}

    def _judged(self, listing: Listing | None) -> str | None:
        if listing is None:
            return None
        if listing is not self._begun.get(listing.name):
            self._begin(listing)
        return self._doubts[listing.name]

    def _begin(self, listing: Listing) -> None:
        name = listing.name
        # Deletions come in order: an earlier listing of this reading is worked off, whatever is marked of it.
        cut_off = 0 if name in self._begun else self._marks.get(name, 0)
        known = max(listing.known, cut_off)
        doubt = doubt_of(replace(listing, known=known), self._settings)
        self._begun[name], self._doubts[name] = listing, doubt
        self._put(name, None if doubt is None else known)

    def _put(self, name: str, known: int | None) -> None:
        if known == self._marks.get(name):
            return
        self._changed.add(name)
        if known is None:
            del self._marks[name]
        else:
            self._marks[name] = known
