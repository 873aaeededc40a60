"""Rate limits as sources state them, and what follows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clients.egress.conditional import Validators
from headwater.clients.egress.limits import Stated, limit_wait_s, says_limited, stated_limits
from headwater.clients.egress.pacing import reserve

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "stated"),
    [
        ({"retry-after": "7"}, Stated(retry_after_s=7.0)),
        ({"retry-after": "Tue, 01 Jan 2030 12:00:30 GMT"}, Stated(retry_after_s=30.0)),
        # The source's clock is an hour behind ours: its own Date counts.
        (
            {"retry-after": "Tue, 01 Jan 2030 11:00:30 GMT", "date": "Tue, 01 Jan 2030 11:00:00 GMT"},
            Stated(retry_after_s=30.0),
        ),
        ({"retry-after": "soon"}, Stated()),
        (
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 90)},
            Stated(remaining=0, reset_s=90.0),
        ),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2030-01-01T12:01Z"}, Stated(remaining=0, reset_s=60.0)),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "5"}, Stated(remaining=3, reset_s=5.0)),
        ({"ratelimit": "limit=10, remaining=0, reset=9"}, Stated(remaining=0, reset_s=9.0)),
        ({"ratelimit": '"burst";r=0;t=4, "daily";r=70;t=900'}, Stated(remaining=0, reset_s=4.0)),
    ],
)
def test_limits_are_read(headers: dict[str, str], stated: Stated) -> None:
    assert stated_limits(headers, now=NOW) == stated


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"]), st.text()
)


@given(headers=HEADERS, status=st.sampled_from([403, 429, 503]), repeats=st.integers(min_value=0, max_value=10_000))
def test_any_headers_give_a_wait_within_bounds(headers: dict[str, str], status: int, repeats: int) -> None:
    wait_s = limit_wait_s(status, stated_limits(headers, now=NOW), repeats=repeats)
    assert 1.0 <= wait_s <= 7 * 86_400.0


@pytest.mark.parametrize(
    ("status", "stated", "body", "limited"),
    [
        (429, Stated(), "", True),
        (503, Stated(retry_after_s=3.0), "", True),
        (503, Stated(), "", False),
        (403, Stated(), "you have exceeded a secondary rate limit", True),
        (403, Stated(retry_after_s=9.0), "", True),
        (403, Stated(remaining=0, reset_s=9.0), "", True),
        (403, Stated(remaining=12, reset_s=9.0), "no right to this", False),
        (404, Stated(retry_after_s=9.0), "rate limit exceeded", False),
    ],
)
def test_a_limit_is_told_from_a_refusal(status: int, stated: Stated, body: str, *, limited: bool) -> None:
    assert says_limited(status, stated, body) is limited


def test_waits_without_a_statement_grow_and_are_a_minute_for_a_secondary_limit() -> None:
    assert [limit_wait_s(403, Stated(), repeats=n) for n in (0, 1, 9)] == [60.0, 120.0, 900.0]
    assert [limit_wait_s(429, Stated(retry_after_s=0.0), repeats=n) for n in (0, 1, 9)] == [1.0, 2.0, 30.0]


@given(
    arrivals=st.lists(st.floats(min_value=0.0, max_value=3.0), min_size=1, max_size=60),
    interval_s=st.floats(min_value=0.01, max_value=2.0),
    burst=st.integers(min_value=1, max_value=8),
)
def test_no_time_sees_more_requests_than_the_budget(arrivals: list[float], interval_s: float, burst: int) -> None:
    now = free_at = 0.0
    begun: list[float] = []
    for gap in arrivals:
        now += gap
        free_at, wait_s = reserve(free_at=free_at, now=now, interval_s=interval_s, burst=burst)
        begun.append(now + wait_s)
    for first, start in enumerate(begun):
        for count, end in enumerate(begun[first:], start=1):
            assert count <= burst + (end - start) / interval_s + 1e-6


def test_validators_are_given_back_as_they_came_and_never_break_a_header() -> None:
    known = Validators.of({"etag": 'W/"a b"', "last-modified": "Tue, 01 Jan 2030 12:00:00 GMT"})
    assert known.conditions() == {"If-None-Match": 'W/"a b"', "If-Modified-Since": "Tue, 01 Jan 2030 12:00:00 GMT"}
    assert Validators.of({"etag": '"a"\r\nX: y'}) == Validators()
    assert Validators(etag='"new"').or_else(known).last_modified == known.last_modified
