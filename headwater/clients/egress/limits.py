"""What a response says about rate limits, in the dialects that sources speak. Pure.

Retry-After (RFC 9110, 10.2.3), X-RateLimit-* (GitHub: epoch seconds; Atlassian: ISO 8601; others: seconds), and the
IETF draft's RateLimit-* and RateLimit in its older (`remaining=0, reset=7`) and newer (`"burst";r=0;t=7`) forms.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
FORBIDDEN: Final = 403

# GitHub's advice for a secondary limit without a stated time: at least a minute, then longer each time.
UNSTATED_SECONDARY_S: Final = 60.0
UNSTATED_S: Final = 2.0
LONGEST_UNSTATED_S: Final = 900.0
LONGEST_FLOOR_S: Final = 30.0  # a source that says "0 seconds" again and again is asked more and more rarely
_LONGEST_STATED_S: Final = 7 * 86_400.0  # nonsense beyond; also keeps the arithmetic of dates in range
_EPOCH: Final = 1_000_000_000.0  # a larger reset is a moment, a smaller one a duration
_EPOCH_MS: Final = 100_000_000_000.0
_SECONDARY: Final = re.compile(r"secondary rate limit|rate limit exceeded|abuse detection", re.IGNORECASE)
_REMAINING: Final = re.compile(r"\b(?:remaining|r)\s*=\s*(\d+)", re.IGNORECASE)
_RESET: Final = re.compile(r"\b(?:reset|t)\s*=\s*(\d+)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a source says of its limits; durations count from the response."""

    retry_after_s: float | None = None
    remaining: int | None = None
    reset_s: float | None = None

    @property
    def exhausted_for_s(self) -> float | None:
        """How long nothing more is allowed, if the source says that it is so."""
        return self.reset_s if self.remaining == 0 else None


def stated_limits(headers: Mapping[str, str], *, now: datetime) -> Stated:
    """Read a response's headers (names in lower case). What cannot be read counts as not said.

    Moments are compared with the response's own Date where it has one: the source's clock and ours may differ.
    """
    base = _moment(headers.get("date", "")) or now
    remaining, reset_s = _policy(headers.get("ratelimit", ""))
    for prefix in ("x-ratelimit-", "ratelimit-", "x-rate-limit-"):
        if remaining is None:
            remaining = _count(headers.get(f"{prefix}remaining", ""))
        if reset_s is None:
            reset_s = _until(headers.get(f"{prefix}reset", ""), base)
    return Stated(retry_after_s=_until(headers.get("retry-after", ""), base), remaining=remaining, reset_s=reset_s)


def says_limited(status: int, stated: Stated, body: str) -> bool:
    """Whether a response is a rate limit: a value to wait for, not an error."""
    if status == TOO_MANY:
        return True
    if status == UNAVAILABLE:
        return stated.retry_after_s is not None
    if status != FORBIDDEN:
        return False
    return stated.retry_after_s is not None or stated.exhausted_for_s is not None or bool(_SECONDARY.search(body))


def limit_wait_s(status: int, stated: Stated, *, repeats: int) -> float:
    """Return how long to wait after a response that `says_limited`, for the `repeats`-th time in a row (0: the first).

    As stated, if it is: Retry-After before the end of an exhausted window. Else growing from a minute (403) or two
    seconds. Never less than a second that doubles up to half a minute.
    """
    doubled = 2.0 ** min(repeats, 20)
    floor_s = min(doubled, LONGEST_FLOOR_S)
    said = stated.retry_after_s if stated.retry_after_s is not None else stated.exhausted_for_s
    if said is not None:
        return max(said, floor_s)
    first_s = UNSTATED_SECONDARY_S if status == FORBIDDEN else UNSTATED_S
    return min(first_s * doubled, LONGEST_UNSTATED_S)


def _policy(value: str) -> tuple[int | None, float | None]:
    """Read the draft's combined field: of several policies the one that allows least, then for longest."""
    found: list[tuple[int, float]] = []
    for part in _policies(value):
        remaining, reset = _REMAINING.search(part), _RESET.search(part)
        if remaining:
            found.append((int(remaining[1][:15]), min(float(reset[1][:15]), _LONGEST_STATED_S) if reset else math.nan))
    if not found:
        return None, None
    remaining_least, reset_s = min(found, key=lambda one: (one[0], -one[1] if one[1] == one[1] else 0.0))
    return remaining_least, None if math.isnan(reset_s) else reset_s


def _policies(value: str) -> list[str]:
    # The older form separates the members of one policy by commas, the newer one whole policies.
    return value.split(",") if ";" in value else [value]


def _count(value: str) -> int | None:
    return int(value[:15]) if value.isascii() and value.isdecimal() else None


def _until(value: str, base: datetime) -> float | None:
    """Return seconds from `base` until what is written: seconds, epoch seconds or ms, an HTTP date, or ISO 8601."""
    if _NUMBER.fullmatch(value):
        number = float(value)
        if number >= _EPOCH:
            number = number / (1000.0 if number >= _EPOCH_MS else 1.0) - base.timestamp()
        return min(max(number, 0.0), _LONGEST_STATED_S)
    moment = _moment(value)
    return None if moment is None else min(max((moment - base).total_seconds(), 0.0), _LONGEST_STATED_S)


def _moment(value: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(value)
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
