"""Two clocks of a host: one that people read, and one that nobody can set."""

import time
from typing import Final

# Counts from the start of the host, sleep included, the same in all of its processes. macOS has no such clock that
# Python knows; its monotonic one stops during sleep, which only a laptop minds.
_STEADY: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def wall_ms() -> int:
    """Return the time in ms since 1970, as the host's clock shows it: it may be wrong, and it may jump."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return ms since the host started: it never jumps and never goes back."""
    return time.clock_gettime_ns(_STEADY) // 1_000_000
