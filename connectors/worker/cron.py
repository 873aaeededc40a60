"""Schedules: cron expressions of five fields, in UTC. Pure.

The dialect is that of crontab(5): numbers, `*`, ranges, lists and steps; where both days are restricted, either one
will do. Names of months and days, `@daily` and seconds are not part of it.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self

from headwater.errors import FatalError

_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
# The 29th of February comes once in eight years around 2100; nothing that ever fires does so more rarely.
_LOOK_BACK_DAYS: Final = 8 * 366 + 1
_SUNDAY_TWICE: Final = 7


class ScheduleError(FatalError):
    """A schedule that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A parsed expression."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool  # the day of the month is not restricted
    any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression. Raises ScheduleError that names the field."""
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ScheduleError(f"schedule {text!r}: needs five fields: minute hour day month weekday, in UTC")
        minutes, hours, days, months, weekdays = (
            _field(part, name=name, low=low, high=high) for part, (name, low, high) in zip(parts, _FIELDS, strict=True)
        )
        return cls(
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % _SUNDAY_TWICE for day in weekdays),
            any_day=parts[2].startswith("*"),
            any_weekday=parts[4].startswith("*"),
        )

    def newest(self, at: datetime) -> datetime | None:
        """Return the newest moment, at or before `at`, at which it fires; None where it never does."""
        moment = at.astimezone(UTC).replace(second=0, microsecond=0)
        latest = moment.time()
        for _ in range(_LOOK_BACK_DAYS):
            if self._is_on(moment.date()):
                fired = self._newest_time(latest)
                if fired is not None:
                    return datetime.combine(moment.date(), fired, tzinfo=UTC)
            moment, latest = moment - timedelta(days=1), time(23, 59)
        return None

    def _newest_time(self, latest: time) -> time | None:
        for hour in sorted((each for each in self.hours if each <= latest.hour), reverse=True):
            last = latest.minute if hour == latest.hour else 59
            minutes = [each for each in self.minutes if each <= last]
            if minutes:
                return time(hour, max(minutes))
        return None

    def _is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % _SUNDAY_TWICE in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday


def jitter_of(name: str, *, up_to_s: float) -> timedelta:
    """Return a source's own delay: the same in every process and for ever, spread evenly over the sources."""
    part = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return timedelta(seconds=part * up_to_s)


def is_due(cron: Cron, *, jitter: timedelta, last: datetime | None, now: datetime) -> bool:
    """Say whether a sync is due that nobody has asked for since. What was missed is made good by one."""
    fired = cron.newest(now - jitter)
    return fired is not None and (last is None or fired + jitter > last)


def _field(text: str, *, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin, end = (low, high) if span == "*" else (int(first), int(last or (high if step else first)))
            found.update(range(begin, end + 1, int(step or 1)))
        except ValueError as error:
            raise ScheduleError(f"schedule, {name}: {part!r} is no number, range, `*` or step") from error
        if not (low <= begin <= end <= high) or step.startswith("-"):
            raise ScheduleError(f"schedule, {name}: {part!r} is not within {low} to {high}")
    return frozenset(found)
