"""What the calendar says beforehand: fees that come on the same day each month, closes, the young month.

Worth more than any statistic: without it the same detector has nine times the false alarms (`benchmarks/detection`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache

from exporter.periods import DAY, Month

MONTHS_BACK = (1, 2)
EDGE = 4
"""So many days before a month's end are counted from the end."""
WORKDAYS = 3
"""So many of the first and last weekdays of a month are counted as such: closes and payrolls skip weekends."""


@cache
def twins(day: date) -> tuple[int, ...]:
    """How many days before `day` its counterparts lie, one and two months back.

    The same day of the month, the same distance from its end, the same weekday-but-not-weekend from its start or end.
    """
    month = Month.of(day)
    found = {(day - other).days for back in MONTHS_BACK for other in _counterparts(day, month, month.back(back))}
    return tuple(sorted(found))


def _counterparts(day: date, month: Month, earlier: Month) -> Iterator[date]:
    first, last = earlier.first, earlier.next().first - DAY
    from_end = (month.next().first - day).days
    if day.day <= last.day:
        yield first.replace(day=day.day)
    if from_end <= EDGE:
        yield last - (from_end - 1) * DAY
    here, there = _workdays(month), _workdays(earlier)
    if day in here[:WORKDAYS]:
        yield there[here.index(day)]
    if day in here[-WORKDAYS:]:
        yield there[here.index(day) - len(here)]


@cache
def _workdays(month: Month) -> tuple[date, ...]:
    days = (month.first + n * DAY for n in range((month.next().first - month.first).days))
    return tuple(day for day in days if day.weekday() < 5)


@cache
def at_edge(day: date) -> bool:
    """Whether `day` is the first of a month or one of its last three: when most things happen once a month."""
    return day.day == 1 or (day + 3 * DAY).day <= 3
