"""Windows, days, months: all calendar arithmetic of the project, and nothing else.

Every instant is an aware UTC `datetime`; every window is half open, `[start, end)`. A *day* is a UTC day. A billing
month may be cut in another zone (Google Cloud bills by Pacific months, Huawei Cloud by Beijing months), so `Month`
turns into a window only together with a zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Grain(StrEnum):
    """How finely charges are kept. No two of them ever share a table."""

    DAY = "day"
    HOUR = "hour"
    ACCOUNT_DAY = "account_day"
    """Days by account and charge category alone, of a source that cannot say which account used which service."""


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone; instants are aware")
    return instant.astimezone(UTC)


def midnight(day: date) -> datetime:
    """The instant at which a UTC day begins."""
    return datetime.combine(day, time.min, UTC)


def day_of(instant: datetime) -> date:
    """The UTC day that an instant lies in."""
    return _utc(instant).date()


def settled_until(now: datetime, settles_after: timedelta) -> datetime:
    """End of the newest UTC day that ended at least `settles_after` ago."""
    return midnight(day_of(now - settles_after))


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open stretch of time, `[start, end)`, in UTC. May be empty (`start == end`), never reversed."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _utc(self.start))
        object.__setattr__(self, "end", _utc(self.end))
        if self.end < self.start:
            raise ValueError(f"a window cannot end ({self.end:%Y-%m-%d %H:%M}) before it starts ({self.start})")

    @classmethod
    def of_days(cls, first: date, until: date) -> Window:
        """Whole UTC days from `first`, included, to `until`, excluded."""
        return cls(midnight(first), midnight(until))

    @classmethod
    def of_day(cls, day: date) -> Window:
        """One UTC day."""
        return cls.of_days(day, day + DAY)

    @property
    def empty(self) -> bool:
        """Whether nothing lies in it."""
        return self.start == self.end

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def covers(self, other: Window) -> bool:
        """Whether every instant of `other` lies in this window."""
        return other.empty or (self.start <= other.start and other.end <= self.end)

    def meet(self, other: Window) -> Window | None:
        """The part that both share, or None where they share nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

    def join(self, other: Window) -> Window:
        """The smallest window that holds both."""
        return Window(min(self.start, other.start), max(self.end, other.end))

    def days(self) -> Iterator[date]:
        """Every UTC day that the window touches, in order."""
        day = self.start.date()
        while midnight(day) < self.end:
            yield day
            day += DAY

    def whole_days(self) -> Window:
        """The window widened to whole UTC days."""
        floor = midnight(self.start.date())
        last = midnight(self.end.date())
        return Window(floor, last if last == self.end else last + DAY)

    def months(self) -> Iterator[Month]:
        """Every UTC month that the window touches, in order."""
        month = Month.containing(self.start)
        while month.window().start < self.end:
            yield month
            month = month.next()

    def by_month(self) -> dict[Month, Window]:
        """The window cut into UTC months, in order; at its edges parts of months."""
        parts = {month: self.meet(month.window()) for month in self.months()}
        return {month: part for month, part in parts.items() if part is not None}

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%MZ}/{self.end:%Y-%m-%dT%H:%MZ}"


ALWAYS = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))
"""The window that leaves nothing out."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month, written `2024-09`. Which instants it holds depends on the zone it is cut in."""

    year: int
    number: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 12:
            raise ValueError(f"a month is 1 to 12, not {self.number}")

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    @classmethod
    def containing(cls, instant: datetime, zone: tzinfo = UTC) -> Month:
        """The month that an instant lies in, as the clocks of `zone` show it."""
        return cls.of(_utc(instant).astimezone(zone).date())

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2024-09`; ValueError for anything else."""
        match = re.fullmatch(r"(\d{4})-(\d{2})", text)
        if not match:
            raise ValueError(f"{text!r} is not a month such as 2024-09")
        return cls(int(match[1]), int(match[2]))

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def previous(self) -> Month:
        """The month before."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    def back(self, months: int) -> Month:
        """The month so many months before."""
        index = self.year * 12 + self.number - 1 - months
        return Month(index // 12, index % 12 + 1)

    def window(self, zone: tzinfo = UTC) -> Window:
        """From its first midnight to the next month's, as the clocks of `zone` show them."""
        edges = (datetime.combine(month.first, time.min, zone).astimezone(UTC) for month in (self, self.next()))
        return Window(*edges)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


class Cycle(StrEnum):
    """How often a budget starts anew."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


_MONTHS = {Cycle.MONTHLY: 1, Cycle.QUARTERLY: 3, Cycle.YEARLY: 12}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Periods of whole UTC days that tile the calendar, before and after `anchor`, on which one of them begins.

    A month without the anchor's day begins its period on its last day: after 31 January come 28 February and 31 March.
    """

    cycle: Cycle
    anchor: date = date(2024, 1, 1)
    """A Monday, a first of the month, of a quarter and of a year."""

    def containing(self, day: date) -> Window:
        """The period that a UTC day lies in."""
        months = _MONTHS.get(self.cycle)
        if months is None:
            length = 7 if self.cycle is Cycle.WEEKLY else 1
            first = day - timedelta(days=(day - self.anchor).days % length)
            return Window.of_days(first, first + timedelta(days=length))
        index = (_count(day) - _count(self.anchor)) // months
        if self._first(index, months) > day:
            index -= 1
        return Window.of_days(self._first(index, months), self._first(index + 1, months))

    def before(self, period: Window) -> Window:
        """The period before one."""
        return self.containing(day_of(period.start - DAY))

    def between(self, first: date, until: date) -> Iterator[Window]:
        """Every period that touches the days from `first`, included, to `until`, excluded, in order."""
        while first < until:
            period = self.containing(first)
            yield period
            first = day_of(period.end)

    def _first(self, index: int, months: int) -> date:
        """The first day of the period that begins `index` periods after the anchor's."""
        month = Month.of(self.anchor).back(-index * months)
        return min(month.first + timedelta(days=self.anchor.day - 1), month.next().first - DAY)


def _count(day: date) -> int:
    return day.year * 12 + day.month - 1
