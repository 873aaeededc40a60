"""What a source may do to whoever reads it. A harness has the hooks, or says in `lacks` why they mean nothing there."""

from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

REPEATS: Final = "items that come twice"
CLOCK: Final = "a clock that is off"
DATES_BACK: Final = "edits that are dated back"
CREDENTIALS: Final = "credentials that expire"


@runtime_checkable
class Repeats(Protocol):
    """A listing in which an item may come twice."""

    def repeat_items(self) -> None:
        """Let every listing from now on show items twice, across its pages where it has pages."""
        ...


@runtime_checkable
class KeepsTime(Protocol):
    """A source that dates what it has by a clock of its own."""

    def set_clock(self, ahead: timedelta) -> None:
        """Let its clock be so far ahead of ours, negative: behind. Said before anything is made."""
        ...


@runtime_checkable
class DatesBack(Protocol):
    """A source that may date an edit before what it has told of already."""

    def put_late(self, name: str, text: str) -> None:
        """Make or edit an item, dated as far back as it may be where nothing is to be missed."""
        ...


@runtime_checkable
class AsksForCredentials(Protocol):
    """A source that asks who reads it."""

    def expire(self) -> None:
        """Refuse the credentials from the next request on."""
        ...

    def renew(self) -> None:
        """Take them again."""
        ...
