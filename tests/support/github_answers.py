"""What GitHub's API answers in place of what was asked for: limits, outages, refusals."""

import time
from collections.abc import Mapping
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


class RefusedError(Exception):
    """What is answered with a status alone."""

    def __init__(self, status: int, location: str | None = None) -> None:
        self.status, self.location = status, location
