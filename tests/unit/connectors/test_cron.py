"""Schedules fire when crontab(5) says, each source at its own moment, and once for all that was missed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.worker.cron import Cron, ScheduleError, is_due, jitter_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "now", "fired"),
    [
        ("* * * * *", "2026-03-02T09:15:42", "2026-03-02T09:15"),
        ("*/15 * * * *", "2026-03-02T09:14", "2026-03-02T09:00"),
        ("30 2 * * *", "2026-03-02T02:29", "2026-03-01T02:30"),
        ("0 0 1 * *", "2026-03-31T12:00", "2026-03-01T00:00"),
        ("0 9-17/4 * * 1-5", "2026-03-01T20:00", "2026-02-27T17:00"),  # a Sunday: Friday's last
        ("0 0 * * 7", "2026-03-07T00:00", "2026-03-01T00:00"),  # 7 is Sunday, too
        ("0 0 13 * 5", "2026-03-12T00:00", "2026-03-06T00:00"),  # the 13th or any Friday
        ("0 0 29 2 *", "2026-03-02T00:00", "2024-02-29T00:00"),
        ("5,10 0 * * *", "2026-03-02T00:07", "2026-03-02T00:05"),
    ],
)
def test_it_fires_as_crontab_says(expression: str, now: str, fired: str) -> None:
    assert Cron.parse(expression).newest(at(now)) == at(fired)


def test_a_day_that_never_comes_never_fires() -> None:
    assert Cron.parse("0 0 31 2 *").newest(at("2026-03-02T00:00")) is None


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day"),
        ("* * * jan *", "month"),
        ("* * * * 1-8", "weekday"),
        ("5-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("*/-5 * * * *", "minute"),
    ],
)
def test_a_wrong_field_is_named(expression: str, named: str) -> None:
    with pytest.raises(ScheduleError, match=named):
        Cron.parse(expression)


EXPRESSIONS = st.sampled_from(["* * * * *", "*/7 * * * *", "13 */5 * * *", "0 3 * * 1", "30 4 1,15 * 5"])
TIMES = st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 1, 1)).map(  # noqa: DTZ001 - hypothesis wants it naive
    lambda naive: naive.replace(tzinfo=UTC)
)


@given(EXPRESSIONS, TIMES, st.integers(0, 3_000))
def test_between_two_firings_it_is_due_exactly_once(expression: str, now: datetime, minutes: int) -> None:
    cron, jitter = Cron.parse(expression), jitter_of("acme/wiki", up_to_s=60)
    fired = cron.newest(now - jitter)
    assert fired is not None
    assert fired + jitter <= now
    later = now + timedelta(minutes=minutes)
    assert is_due(cron, jitter=jitter, last=now, now=later) == (cron.newest(later - jitter) != fired)
    assert is_due(cron, jitter=jitter, last=None, now=now)


def test_jitter_is_a_sources_own_for_ever_and_spread() -> None:
    delays = [jitter_of(f"acme/{number}", up_to_s=60).total_seconds() for number in range(1_000)]
    assert delays == [jitter_of(f"acme/{number}", up_to_s=60).total_seconds() for number in range(1_000)]
    assert all(0 <= delay < 60 for delay in delays)
    assert [sum(low <= delay < low + 15 for delay in delays) > 200 for low in (0, 15, 30, 45)] == [True] * 4
