"""Tells one bad document from a bad deploy."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from streams.harness.errors import BreakerOpenError


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When unexpected errors stop a stage."""

    window: int = 200  # newest events that are looked at
    at_least: int = 20  # fewer than this say nothing
    share: float = 0.5  # mean over tenants of the share of their events that ended unexpectedly


class Breaker:
    """Counts how the newest events ended.

    The share is averaged over tenants, so that one tenant with a thousand odd documents weighs no more than any other,
    while an installation with a single tenant is protected as well. Expected poison counts as a good end.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._ends: deque[tuple[str, bool]] = deque(maxlen=policy.window)

    def expected(self, tenant: str) -> None:
        """Record an event that ended in a way that was foreseen."""
        self._ends.append((tenant, False))

    def unexpected(self, tenant: str) -> None:
        """Record one that did not. Raises BreakerOpenError when there are too many."""
        self._ends.append((tenant, True))
        share = _mean_share(self._ends)
        if len(self._ends) >= self._policy.at_least and share >= self._policy.share:
            raise BreakerOpenError(
                f"{share:.0%} of the last {len(self._ends)} events (averaged over tenants) ended with errors that "
                "nobody foresaw: this build is broken; roll it back, then submit the parked documents again"
            )


def _mean_share(ends: Iterable[tuple[str, bool]]) -> float:
    by_tenant: dict[str, list[bool]] = {}
    for tenant, unexpected in ends:
        by_tenant.setdefault(tenant, []).append(unexpected)
    return sum(sum(each) / len(each) for each in by_tenant.values()) / len(by_tenant)
