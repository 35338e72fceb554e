"""The place of a day in its month, and the same place of another month: what comes once a month comes by one of them.

The same day of the month; the same distance from its end; the same weekday-but-not-weekend from its start or its end,
for closes and payrolls skip weekends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import Enum
from functools import cache
from typing import NamedTuple

from exporter.periods import DAY, Month

EDGE = 4
"""So many days before a month's end are counted from the end."""
WORKDAYS = 3
"""So many of the first and last weekdays of a month are counted as such."""


class Counted(Enum):
    """How a day is counted."""

    DAY = "day of the month"
    END = "day before the next month"
    WORKDAY = "weekday of the month, from its end where negative"


class Place(NamedTuple):
    """One way to say which day of a month it is."""

    counted: Counted
    number: int

    def of(self, month: Month) -> date | None:
        """The day of this place in a month; None where it is too short."""
        if self.counted is Counted.WORKDAY:
            return _workdays(month)[self.number]
        first, after = month.first, month.next().first
        day = first + (self.number - 1) * DAY if self.counted is Counted.DAY else after - self.number * DAY
        return day if first <= day < after else None


def places(day: date) -> Iterator[Place]:
    """Every place of a day in its month, the likeliest to mean something first."""
    month = Month.of(day)
    yield Place(Counted.DAY, day.day)
    if (from_end := (month.next().first - day).days) <= EDGE:
        yield Place(Counted.END, from_end)
    workdays = _workdays(month)
    if day in workdays[:WORKDAYS]:
        yield Place(Counted.WORKDAY, workdays.index(day))
    if day in workdays[-WORKDAYS:]:
        yield Place(Counted.WORKDAY, workdays.index(day) - len(workdays))


@cache
def _workdays(month: Month) -> tuple[date, ...]:
    days = (month.first + n * DAY for n in range((month.next().first - month.first).days))
    return tuple(day for day in days if day.weekday() < 5)
