"""How edits are spread over something of which nobody knows how long it takes."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

E = TypeVar("E")
SHORTEST_S: Final = 0.3
LONGEST_S: Final = 10.0
_SHARE: Final = 0.25  # of the time so far: after twenty seconds an edit each five


def pause_s(since_s: float) -> float:
    """Return how long to wait for the next edit, so long after the first one: few seconds see many, minutes enough."""
    return min(LONGEST_S, max(SHORTEST_S, _SHARE * since_s))


def make_until(over: threading.Event, edits: Sequence[E], make: Callable[[E], object], *, least: int) -> int:
    """Make edits until it is over or there are no more, and at least so many; return how many were made."""
    began_s, unhurried = time.monotonic(), threading.Event()
    for number, edit in enumerate(edits):
        if over.is_set() and number >= least:
            return number
        make(edit)
        if over.is_set():
            unhurried.wait(SHORTEST_S)
        else:
            over.wait(pause_s(time.monotonic() - began_s))
    return len(edits)
