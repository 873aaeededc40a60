"""What GitHub's API answers in place of what was asked for: limits, outages, refusals."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Something to answer instead, once."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Said so"


def primary_limit(seconds: int) -> Answer:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + seconds)}
    return Answer(status=403, headers=headers, message="API rate limit exceeded")


SECONDARY_LIMIT = Answer(status=403, headers={"Retry-After": "30"}, message="You have exceeded a secondary rate limit")


@dataclass(slots=True, kw_only=True)
class Allowance:
    """GitHub's primary limit: so many answers with a body in a window that begins with the first, by a test's clock.

    What is answered with 304 is not counted. Moments are told by the host's clock, as the answers' own dates are.
    """

    requests: int
    window_s: int
    now: Callable[[], float]
    used: int = 0
    _ends_at: float = -math.inf

    def is_used_up(self) -> bool:
        if self.now() >= self._ends_at:
            self._ends_at, self.used = self.now() + self.window_s, 0
        return self.used >= self.requests

    def headers(self) -> Mapping[str, str]:
        ends_at = math.ceil(time.time() + self._ends_at - self.now())
        return {"X-RateLimit-Remaining": str(self.requests - self.used), "X-RateLimit-Reset": str(ends_at)}

    def refusal(self) -> Answer:
        return Answer(status=403, headers=self.headers(), message="API rate limit exceeded")


class RefusedError(Exception):
    """What is answered with a status alone."""

    def __init__(self, status: int, location: str | None = None) -> None:
        self.status, self.location = status, location
