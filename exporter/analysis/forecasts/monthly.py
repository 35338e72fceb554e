"""What comes once a month: fees on a day of the month, closes on its last days, payrolls on its first weekdays.

A day has counterparts in other months (`places.py`). What two of them had beyond a plain day is expected again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.forecasts.profile import TINY, WEEK, Array
from exporter.analysis.places import Place, places
from exporter.periods import DAY, Month

MONTHS = 3
"""So many months say what comes, and …"""
LONGEST = 6
"""… so many which place of a day in its month it comes by."""

_ODD, _ODD_SHARE = 2.5, 0.10
"""So many spreads, and this share of the level, beyond a plain day: in two months, or …"""
_ODD_ONCE, _SHARE_ONCE = 6.0, 0.5
"""… so far where only one month is known, and then half of it is expected."""
_STEADIER = 0.7
"""Shares must be so much closer to each other than amounts to be what is repeated."""
_LATER = 0.1
"""Of two places that as many months agree about, the first of `places` it is."""
_LEAST_FACTOR = 0.2
CYCLE = 31
"""Every position in a month comes within so many days."""


def monthly(
    charges: Array, plain: Array, spread: Array, weekdays: Array, after: Array, first: date
) -> tuple[Array, Array]:
    """What the `CYCLE` days from `first` cost beyond plain days, and the past without such charges.

    `charges`, `plain`: days × series before `first`; `after`: the plain days from it on, CYCLE × series, as is the
    first answer; the second is days × series.
    """
    days, series = charges.shape
    beyond = charges - plain
    odd = _Odd.of(beyond, spread, weekdays, np.maximum(plain[-28:].mean(axis=0), 0))
    days_ahead = [
        [_Look.of(odd, rank, columns) for rank, columns in counterparts(first + ahead * DAY, first - days * DAY, first)]
        for ahead in range(CYCLE)
    ]
    # A past day is a reason to expect something of one day alone: the first of each of the last months may have been
    # the first weekday, too, and the last of a month often is its last.
    claims = [_claims(looks) for looks in days_ahead]
    strongest = np.zeros((days, series))
    for claim in claims:
        for column, strength in claim.items():
            strongest[column] = np.maximum(strongest[column], strength)
    expected, rest = np.zeros((CYCLE, series)), charges.copy()
    for ahead, (looks, claim) in enumerate(zip(days_ahead, claims, strict=True)):
        for look in looks:
            columns = look.columns[:MONTHS]
            mine = np.array([claim[column] >= strongest[column] for column in columns])
            # What all months agree about falls only where others explain each of them better.
            mine |= (look.strength > 0) & mine.any(axis=0)
            up, down = look.up[:MONTHS] & mine, look.down[:MONTHS] & mine
            fee, part = _fee(beyond[columns], plain[columns], after[ahead], up, down)
            stronger = np.abs(fee) > np.abs(expected[ahead])
            expected[ahead] = np.where(stronger, fee, expected[ahead])
            rest[columns] = np.where(part, plain[columns], rest[columns])
    return expected, rest


def _claims(looks: Sequence[_Look]) -> dict[int, Array]:
    """For each past day that one day ahead is compared with: how strong that is, series by series."""
    found: dict[int, Array] = {}
    for look in looks:
        for column in look.columns:
            found[column] = np.maximum(found[column], look.strength) if column in found else look.strength
    return found


class _Odd(NamedTuple):
    """Days × series: which days were far from a plain one; so far that two of them say something, or one does."""

    up: NDArray[np.bool_]
    down: NDArray[np.bool_]
    up_once: NDArray[np.bool_]
    down_once: NDArray[np.bool_]

    @classmethod
    def of(cls, beyond: Array, spread: Array, weekdays: Array, size: Array) -> _Odd:
        off = beyond / (spread * np.maximum(np.tile(weekdays, (len(beyond) // WEEK, 1)), _LEAST_FACTOR))
        share = np.abs(beyond) > _ODD_SHARE * size
        once = np.abs(beyond) > _SHARE_ONCE * size
        return cls((off > _ODD) & share, (off < -_ODD) & share, (off > _ODD_ONCE) & once, (off < -_ODD_ONCE) & once)


class _Look(NamedTuple):
    """One place of a day in its month, and what the same place of months before says of it."""

    columns: list[int]
    """Days of the past, newest first."""
    up: NDArray[np.bool_]
    """Columns × series."""
    down: NDArray[np.bool_]
    strength: Array
    """Series: how many months agree about it; the further they reach back, the better."""

    @classmethod
    def of(cls, odd: _Odd, rank: int, columns: tuple[int, ...]) -> _Look:
        some = list(columns)
        up, down = (odd.up[some], odd.down[some]) if len(some) > 1 else (odd.up_once[some], odd.down_once[some])
        agree = np.maximum(_agree(up), _agree(down))
        return cls(some, up, down, np.maximum(agree - _LATER * rank, 0.0))


def _agree(odd: NDArray[np.bool_]) -> Array:
    """How many months agree in a row, where all of the newest do; else none."""
    return np.where(odd[:MONTHS].all(axis=0), np.cumprod(odd, axis=0).sum(axis=0), 0.0)


def _fee(
    above: Array, plain: Array, after: Array, up: NDArray[np.bool_], down: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """What is expected of a place, and which of its days (months × series) it shows in."""
    if len(above) == 1:
        once = up | down
        return np.where(once[0], 0.5 * above[0], 0.0), once
    fee, part = np.zeros(len(after)), np.zeros(above.shape, bool)
    shares = above / np.maximum(plain, TINY)
    for mine in (up, down):
        often = mine.sum(axis=0) >= 2
        # A fee is the same amount each month; a busy day is the same share of a plain one, weekend or not.
        (amount, its), (share, apart) = _mean(above, mine), _mean(shares, mine)
        fee = np.where(often, np.where(apart < _STEADIER * its, share * after, amount), fee)
        part |= mine & often
    return fee, part


def _mean(values: Array, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The mean of the values chosen, and how far they lie around it, as a share of it."""
    count = np.maximum(chosen.sum(axis=0), 1)
    mean = np.where(chosen, values, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(chosen, (values - mean) ** 2, 0).sum(axis=0) / count)
    return mean, spread / np.maximum(np.abs(mean), TINY)


@cache
def counterparts(day: date, since: date, until: date) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """For each way to count a day in its month: its rank, and the days after `since` of its counterparts before
    `until`, newest first.
    """
    return tuple(
        (rank, found) for rank, place in enumerate(places(day)) if (found := tuple(_before(day, place, since, until)))
    )


def _before(day: date, place: Place, since: date, until: date) -> Iterator[int]:
    month = Month.of(day)
    found = 0
    while found < LONGEST and (month := month.previous()).next().first > since:
        other = place.of(month)
        if other is not None and since <= other < until:
            found += 1
            yield (other - since).days


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
