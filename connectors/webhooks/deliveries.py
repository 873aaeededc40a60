"""Which deliveries were taken lately: senders repeat what they did not hear an answer to."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MOST: Final = 10_000  # about 3 MB
FOR_S: Final = 3_600.0


class RecentDeliveries:
    """Remembers names for an hour, the newest 10,000 of them. One process's memory: another one does not know them.

    What slips through costs one more request, which coalesces with those that wait.
    """

    def __init__(self, *, most: int = MOST, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most, self._monotonic = most, monotonic
        self._taken: OrderedDict[Hashable, float] = OrderedDict()

    def __contains__(self, name: Hashable) -> bool:
        taken_at = self._taken.get(name)
        return taken_at is not None and self._monotonic() - taken_at < FOR_S

    def add(self, name: Hashable) -> None:
        """Note that a delivery is in the log: not before, for its repetition would be dropped."""
        self._taken.pop(name, None)
        self._taken[name] = self._monotonic()
        while len(self._taken) > self._most:
            self._taken.popitem(last=False)
