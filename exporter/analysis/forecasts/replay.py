"""Past month ends forecast again, each from nothing but the days before: how good forecasts of this bill have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from exporter.analysis.forecasts.months import finish
from exporter.analysis.forecasts.profile import Array
from exporter.analysis.forecasts.series import TooYoung
from exporter.periods import DAY, Month

AT = (5, 10, 15, 20, 25)
"""So many days of a month have settled when its end is forecast."""
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Replay:
    """What was said of past months, and what came. NaN where there was too little history to say anything."""

    months: tuple[Month, ...]
    at: tuple[int, ...]
    came: Array
    """Series × months: what each month cost."""
    said: Array
    """Series × months × `at`."""
    low: Array
    """Series × months × `at`: the lower end of the interval, and the upper."""
    high: Array

    @property
    def errors(self) -> Array:
        """Series × months × `at`: how far off, as a share of what came; NaN where nothing came."""
        came = self.came[:, :, None]
        known = np.abs(came) > _NOTHING
        return np.where(known, np.abs(self.said - came) / np.where(known, np.abs(came), 1.0), np.nan)

    @property
    def held(self) -> Array:
        """Series × months × `at`: 1 where the month lay in its interval, 0 where not, NaN where nothing was said."""
        came = self.came[:, :, None]
        return np.where(np.isfinite(self.low), (self.low <= came) & (came <= self.high), np.nan)

    @property
    def error(self) -> Array:
        """Series: the median of `errors`; NaN where there are none."""
        return _each(np.median, self.errors)

    @property
    def coverage(self) -> Array:
        """Series: the mean of `held`; NaN where there is none."""
        return _each(np.mean, self.held)

    @property
    def by_money(self) -> Array:
        """Series: all that was missed as a share of all that came (WAPE); NaN where nothing was said."""
        said = np.isfinite(self.said)
        came = np.abs(np.broadcast_to(self.came[:, :, None], self.said.shape))
        missed = np.where(said, np.abs(self.said - self.came[:, :, None]), 0).sum(axis=(1, 2))
        total = np.where(said, came, 0).sum(axis=(1, 2))
        return np.where(total > _NOTHING, missed / np.where(total > _NOTHING, total, 1.0), np.nan)


def replay(
    matrix: Array,
    days: Sequence[date],
    months: Sequence[Month] | None = None,
    at: Sequence[int] = AT,
    model: str = "auto",
    level: float = 0.8,
) -> Replay:
    """Forecast months again, from series × settled days, NaN before a series' first charge.

    `months` lie within the days; all whole ones unless given, but for those without 14 days before them.
    """
    chosen = tuple(whole_months(days) if months is None else months)
    shape = len(matrix), len(chosen), len(at)
    came = np.full(shape[:2], np.nan)
    said, low, high = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    for place, month in enumerate(chosen):
        begin, end = ((each.first - days[0]) // DAY for each in (month, month.next()))
        came[:, place] = np.nansum(matrix[:, begin:end], axis=1)
        for number, settled in enumerate(at):
            cut = begin + settled
            try:
                expected = finish(matrix[:, :cut], days[:cut], month.window(), chosen=model)
            except TooYoung:
                continue
            said[:, place, number] = expected.total
            low[:, place, number], high[:, place, number] = expected.interval(level)
    return Replay(chosen, tuple(at), came, said, low, high)


def last_month(matrix: Array, days: Sequence[date], months: Sequence[Month], at: Sequence[int] = AT) -> Replay:
    """The same of one who says each time that the month comes to what the month before did."""
    shape = len(matrix), len(months), len(at)
    came, before = np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    for place, month in enumerate(months):
        begin, first, end = ((each.first - days[0]) // DAY for each in (month.previous(), month, month.next()))
        came[:, place] = np.nansum(matrix[:, first:end], axis=1)
        if begin >= 0:
            # A series that began within it says nothing of a whole month.
            before[:, place] = matrix[:, begin:first].sum(axis=1)
    said = np.repeat(before[:, :, None], len(at), axis=2)
    unknown = np.full(shape, np.nan)
    return Replay(tuple(months), tuple(at), came, said, unknown, unknown)


def alike(replays: Sequence[Replay]) -> list[Replay]:
    """The replays of the same months with only what all of them said something about: they can be compared."""
    known = np.all([np.isfinite(each.said) for each in replays], axis=0)
    return [
        replace(
            each,
            said=np.where(known, each.said, np.nan),
            low=np.where(known, each.low, np.nan),
            high=np.where(known, each.high, np.nan),
        )
        for each in replays
    ]


def whole_months(days: Sequence[date]) -> list[Month]:
    """The months that lie within the days from end to end."""
    if not days:
        return []
    month, found = Month.of(days[0]), []
    while month.next().first <= days[-1] + DAY:
        if month.first >= days[0]:
            found.append(month)
        month = month.next()
    return found


def _each(how: object, values: Array) -> Array:
    found = np.full(len(values), np.nan)
    assert callable(how)
    for row, each in enumerate(values):
        known = each[np.isfinite(each)]
        if len(known):
            found[row] = how(known)
    return found
