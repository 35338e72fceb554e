"""What a window costs in the end: settled days as they are, and a forecast of the rest. Never a forecast on top.

Days that were billed in part can only grow: their forecast stands until more than it is billed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import ArrayLike

from exporter.analysis.forecasts.profile import Array
from exporter.analysis.forecasts.series import Outlook, ahead
from exporter.periods import DAY, Month, Window, midnight


@dataclass(frozen=True, slots=True)
class Expected:
    """What a window costs, series by series; NaN for a series with under 14 days of history."""

    settled: Array
    """Of the days of the window that have settled."""
    rest: Array
    """Expected of the others."""
    outlook: Outlook | None
    """None where all of the window has settled."""
    _share: Array
    """Of each day ahead, how much lies in the window."""
    _billed: Array
    """Series: of `rest`, what was billed already."""

    @property
    def total(self) -> Array:
        """What the window costs in the end."""
        return self.settled + self.rest

    def interval(self, level: float) -> tuple[Array, Array]:
        """Between which amounts the window's cost lies with this probability; what is billed already bounds it."""
        if self.outlook is None:
            return self.total, self.total
        low, high = self.outlook.days(level)
        below = ((self.outlook.mean - low) * self._share).sum(axis=1)
        above = ((high - self.outlook.mean) * self._share).sum(axis=1)
        least = np.minimum(self.settled + self._billed, self.total)
        return np.maximum(self.total - below, least), self.total + above


def finish(
    matrix: ArrayLike,
    dates: Sequence[date] | ArrayLike,
    window: Window,
    partial: ArrayLike | None = None,
    chosen: str = "auto",
) -> Expected:
    """What the window costs, from settled days (series × days, as for `ahead`) that reach at least to its start or not.

    `partial`: series × the days that follow, billed so far. A window may end within a day: of that day counts so much.
    """
    values = np.asarray(matrix, dtype=np.float64)
    days = np.asarray(dates, dtype="datetime64[D]").astype(object)
    inside = np.array([_share(day, window) for day in days]).reshape(-1)
    settled = np.nansum(values * inside, axis=1)
    horizon = (window.whole_days().end - midnight(days[-1] + DAY)) // DAY
    if horizon < 1:
        nothing = np.zeros(len(values))
        return Expected(settled, nothing, None, np.zeros(0), nothing)
    outlook = ahead(values, dates, horizon, chosen)
    share = np.array([_share(outlook.first + number * DAY, window) for number in range(horizon)])
    billed = np.zeros_like(outlook.mean)
    if partial is not None:
        given = np.asarray(partial, dtype=np.float64)[:, :horizon]
        billed[:, : given.shape[1]] = given * (share[: given.shape[1]] > 0)
    expected = outlook.mean * share
    # Only what exceeds its forecast: a day that is billed in part says nothing yet about the rest of it.
    rest = np.where(billed > np.maximum(expected, 0), billed, expected).sum(axis=1)
    return Expected(settled, rest, outlook, share, np.maximum(billed, 0).sum(axis=1))


def month_end(
    matrix: ArrayLike,
    dates: Sequence[date] | ArrayLike,
    month: Month,
    partial: ArrayLike | None = None,
    chosen: str = "auto",
) -> Expected:
    """What a UTC month costs in the end."""
    return finish(matrix, dates, month.window(), partial, chosen)


def nowcast(
    matrix: ArrayLike,
    dates: Sequence[date] | ArrayLike,
    now: datetime,
    partial: ArrayLike | None = None,
    chosen: str = "auto",
) -> Expected:
    """What this UTC month has cost until now, the hours that are not billed yet included."""
    return finish(matrix, dates, Window(Month.containing(now).window().start, now), partial, chosen)


def _share(day: date, window: Window) -> float:
    part = Window.of_day(day).meet(window)
    return (part.end - part.start) / DAY if part else 0.0
