"""What comes once a month: fees on a day of the month, closes on its last days, payrolls on its first weekdays.

A day of a month has counterparts in other months: the same day, the same distance from the end, the same weekday from
the start or the end. What two of them had beyond a plain day is expected again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache

import numpy as np

from exporter.analysis.forecasts.profile import Array
from exporter.periods import DAY, Month

EDGE = 4
"""So many days before a month's end are counted from the end."""
WORKDAYS = 3
"""So many of the first and last weekdays of a month are counted as such: closes and payrolls skip weekends."""
MONTHS = 3
"""So many months back are looked at."""

_ODD, _ODD_SHARE = 2.5, 0.10
"""So many spreads, and this share of the level, beyond a plain day: in two months, or …"""
_ODD_ONCE, _SHARE_ONCE = 6.0, 0.5
"""… so far where only one month is known, and then half of it is expected."""
CYCLE = 31
"""Every position in a month comes within so many days."""


def monthly(charges: Array, plain: Array, spread: Array, weekdays: Array, first: date) -> tuple[Array, Array]:
    """What the `CYCLE` days from `first` cost beyond plain days, and the past without such charges.

    `charges`, `plain`: days × series before `first`; the answers are CYCLE × series and days × series.
    """
    days, series = charges.shape
    beyond = charges - plain
    size = np.maximum(plain[-28:].mean(axis=0), 0)
    expected, rest = np.zeros((CYCLE, series)), charges.copy()
    for ahead in range(CYCLE):
        for columns in counterparts(first + ahead * DAY, first - days * DAY, first):
            above = beyond[list(columns)]
            factors = np.maximum(weekdays[[column % 7 for column in columns]], 0.2)
            fee, part = _fee(above, above / (spread * factors), size)
            stronger = np.abs(fee) > np.abs(expected[ahead])
            expected[ahead] = np.where(stronger, fee, expected[ahead])
            for column, belongs in zip(columns, part, strict=True):
                rest[column] = np.where(belongs, plain[column], rest[column])
    return expected, rest


def _fee(above: Array, off: Array, size: Array) -> tuple[Array, Array]:
    """What is expected of a position, and which of its counterparts (months × series) it shows in."""
    if len(above) == 1:
        once = (np.abs(off[0]) > _ODD_ONCE) & (np.abs(above[0]) > _SHARE_ONCE * size)
        return np.where(once, 0.5 * above[0], 0.0), once[None]
    fee, part = np.zeros(len(size)), np.zeros(above.shape, bool)
    for side in (1, -1):
        odd = (side * off > _ODD) & (side * above > _ODD_SHARE * size)
        often = odd.sum(axis=0) >= 2
        mean = np.where(odd, above, 0).sum(axis=0) / np.maximum(odd.sum(axis=0), 1)
        fee = np.where(often, mean, fee)
        part |= odd & often
    return fee, part


@cache
def counterparts(day: date, since: date, until: date) -> tuple[tuple[int, ...], ...]:
    """For each way to count a day in its month: days after `since` of its counterparts before `until`, newest first."""
    return tuple(found for place in _places(day) if (found := tuple(_before(day, place, since, until))))


def _before(day: date, place: tuple[str, int], since: date, until: date) -> Iterator[int]:
    month = Month.of(day)
    found = 0
    while found < MONTHS and (month := month.previous()).next().first > since:
        other = _day(place, month)
        if other is not None and since <= other < until:
            found += 1
            yield (other - since).days


def _places(day: date) -> Iterator[tuple[str, int]]:
    month = Month.of(day)
    yield "day", day.day
    if (from_end := (month.next().first - day).days) <= EDGE:
        yield "end", from_end
    workdays = _workdays(month)
    if day in workdays[:WORKDAYS]:
        yield "workday", workdays.index(day)
    if day in workdays[-WORKDAYS:]:
        yield "workday", workdays.index(day) - len(workdays)


def _day(place: tuple[str, int], month: Month) -> date | None:
    kind, number = place
    if kind == "workday":
        return _workdays(month)[number]
    day = month.first + (number - 1) * DAY if kind == "day" else month.next().first - number * DAY
    return day if Month.of(day) == month else None


@cache
def _workdays(month: Month) -> tuple[date, ...]:
    days = (month.first + n * DAY for n in range((month.next().first - month.first).days))
    return tuple(day for day in days if day.weekday() < 5)


def repeated(expected: Array, first: date, horizon: int) -> Array:
    """The monthly charges of so many days from `first`: beyond the cycle by their day of the month."""
    ahead = np.zeros((horizon, expected.shape[1]))
    ahead[: min(horizon, CYCLE)] = expected[:horizon]
    place: dict[int, int] = {}
    for number in range(CYCLE):
        place.setdefault((first + number * DAY).day, number)
    for number in range(CYCLE, horizon):
        day = first + number * DAY
        if (known := place.get(day.day)) is not None:
            ahead[number] = expected[known]
    return ahead
