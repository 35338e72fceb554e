"""Forecasts of many series at once, of different ages: one interface for every model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporter.analysis.forecasts.intervals import Mistakes
from exporter.analysis.forecasts.models import LEAST, least, model
from exporter.analysis.forecasts.monthly import CYCLE
from exporter.analysis.forecasts.profile import WEEK, Array
from exporter.analysis.forecasts.seasonal import WEEKS, Answer
from exporter.errors import CloudspendError
from exporter.periods import DAY

_CHUNK = 2000
"""Series that are looked at together: their days fit into a cache."""


class TooYoung(CloudspendError):
    """There are fewer days of history than the model needs."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a model expects of a number of series. Everything of a series with too few days of history is NaN."""

    first: date
    """The first day that is forecast."""
    mean: Array
    """Series × horizon, in the currency of each series."""
    growth: Array
    """Change a day, as a share of the level; of each series."""
    weekdays: Array
    """Series × 7, Monday first: what a weekday costs against the mean day."""
    monthly: Array
    """Series × 31: what each of the next 31 days costs beyond a plain day: fees, closes."""
    error: Array
    """Median mistake of the model's own past totals over this horizon, as a share of what came; NaN where unknown."""
    _mistakes: Mistakes
    _sparse: NDArray[np.bool_]
    _floor: Array
    """0 for series that never were negative, else minus infinity."""

    @property
    def total(self) -> Array:
        """What each series is expected to cost over the horizon."""
        return np.asarray(self.mean.sum(axis=1))

    def interval(self, level: float) -> tuple[Array, Array]:
        """Between which amounts each total lies with this probability; the expected total lies between them."""
        below, above = self._reach(level)
        return np.maximum(self.total - below, np.minimum(self._floor, self.total)), self.total + above

    def days(self, level: float) -> tuple[Array, Array]:
        """The same as bands around each day, series × horizon, for charts: they widen, and add up to the interval."""
        low, high = self.interval(level)
        size = np.maximum(np.abs(self.mean), 0.02 * np.abs(self.mean).mean(axis=1, keepdims=True))
        weight = size * (1 + np.arange(self.mean.shape[1]) / WEEK)
        summed = weight.sum(axis=1, keepdims=True)
        weight = np.where(summed > 0, weight / np.where(summed > 0, summed, 1), 1 / max(weight.shape[1], 1))
        return self.mean - (self.total - low)[:, None] * weight, self.mean + (high - self.total)[:, None] * weight

    def coverage(self, level: float) -> float:
        """The share of the model's own past totals that lie in their interval; NaN where there are none."""
        if self._mistakes.drawn:
            return float("nan")
        past = self._mistakes.past * self._mistakes.unit
        known = np.isfinite(past)
        if not known.any():
            return float("nan")
        below, above = self._reach(level)
        return float(((past >= -below) & (past <= above))[known].mean())

    def _reach(self, level: float) -> tuple[Array, Array]:
        if not 0 < level < 1:
            raise CloudspendError(f"{level} is not the level of an interval. hint: between 0 and 1, such as 0.95")
        below, above = self._mistakes.reach(self._sparse, level)
        unknown = np.isnan(self.total)
        return np.where(unknown, np.nan, below), np.where(unknown, np.nan, above)


def ahead(matrix: ArrayLike, dates: Sequence[date] | ArrayLike, horizon: int, chosen: str = "auto") -> Outlook:
    """What each row of the matrix costs on the `horizon` days after its last column.

    `matrix`: series × days, NaN before a series' first charge and nowhere else; `dates`: its consecutive days.
    TooYoung where no series has the days that the model needs (`least`: 14, of some 30); CloudspendError for an
    unknown model, or one that is not installed.
    """
    values, last = _checked(matrix, dates, horizon)
    history, needed = np.isfinite(values).sum(axis=1), least(chosen)
    if values.shape[1] < needed or (len(history) and history.max() < needed):
        most = int(history.max()) if len(history) else values.shape[1]
        raise TooYoung(
            f"a forecast needs {needed} days of history, and there are {most}. hint: cloudspend collect --start DAY"
        )
    pieces = []
    for rows, days in _groups(history, needed):
        charges = np.ascontiguousarray(values[rows, -days:].T)
        # A series of credits is one of charges upside down.
        side = np.where(charges.sum(axis=0) < 0, -1.0, 1.0)
        pieces.append(_Piece(rows, side, model(chosen)(charges * side, last + DAY, horizon), charges.min(axis=0) >= 0))
    return _together(pieces, len(values), last + DAY, horizon)


@dataclass(frozen=True, slots=True)
class _Piece:
    rows: NDArray[np.int64]
    side: Array
    answer: Answer
    positive: NDArray[np.bool_]


def _together(pieces: Sequence[_Piece], series: int, first: date, horizon: int) -> Outlook:
    def unknown(*columns: int) -> Array:
        return np.full((series, *columns), np.nan)

    mean, growth, weekdays, month, error = unknown(horizon), unknown(), unknown(WEEK), unknown(CYCLE), unknown()
    unit, sparse, floor = np.zeros(series), np.zeros(series, bool), np.full(series, -np.inf)
    past = np.full((max((len(piece.answer.mistakes.past) for piece in pieces), default=0), series), np.nan)
    for piece in pieces:
        rows, side, answer = piece.rows, piece.side, piece.answer
        mean[rows] = (answer.mean * side).T
        growth[rows], error[rows] = answer.growth, answer.error
        average = answer.weekdays.mean(axis=0)
        weekdays[rows] = np.where(average > 0, answer.weekdays / np.where(average > 0, average, 1), 1).T
        month[rows] = (answer.monthly * side).T
        unit[rows], sparse[rows] = answer.mistakes.unit, answer.kind
        floor[rows] = np.where(piece.positive, 0.0, -np.inf)
        past[: len(answer.mistakes.past), rows] = answer.mistakes.past * side
    weekdays = np.roll(weekdays, first.weekday(), axis=1)
    drawn = any(piece.answer.mistakes.drawn for piece in pieces)
    return Outlook(first, mean, growth, weekdays, month, error, Mistakes(unit, past, drawn), sparse, floor)


def _checked(matrix: ArrayLike, dates: Sequence[date] | ArrayLike, horizon: int) -> tuple[Array, date]:
    values = np.asarray(matrix, dtype=np.float64)
    days = np.asarray(dates, dtype="datetime64[D]")
    if values.ndim != 2 or days.shape != values.shape[1:]:
        raise ValueError(f"a matrix of shape {values.shape} and {days.shape} dates do not go together")
    if len(days) > 1 and (np.diff(days) != np.timedelta64(1, "D")).any():
        raise ValueError("the dates are not consecutive days")
    if horizon < 1:
        raise ValueError(f"a horizon of {horizon} days lies not ahead")
    known = np.isfinite(values)
    if (known[:, :-1] & ~known[:, 1:]).any():
        raise ValueError("a series has days without a figure after its first charge")
    if not len(days):
        raise TooYoung(
            f"a forecast needs {LEAST} days of history, and there are none. hint: cloudspend collect --start DAY"
        )
    last: date = days[-1].astype(object)
    return values, last


def _groups(history: NDArray[np.int64], needed: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Series with equally many whole weeks of history, a chunk at a time, and the days to look at."""
    weeks = np.where(history >= needed, np.minimum(history // WEEK, WEEKS), 0)
    for each in np.unique(weeks[weeks > 0]):
        rows = np.flatnonzero(weeks == each)
        for begin in range(0, len(rows), _CHUNK):
            yield rows[begin : begin + _CHUNK], int(each) * WEEK


__all__ = ["LEAST", "Outlook", "TooYoung", "ahead", "least"]
