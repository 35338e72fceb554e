"""Detectors by name, behind one interface: a matrix of days in, a judgement of its newest day out.

`default` is ours. The others are rules in common use, for those who want to see them side by side; what each is worth
stands in docs/explanation/how-anomalies-are-found.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from exporter.analysis.anomalies.scoring import Days, Floats, Judgement, judge
from exporter.errors import ConfigError, Problem

_WINDOW = 30
_WEEK = 7
_LEAST = 1e-9


class Detector(Protocol):
    """Says how odd the newest day of each series is. NaN in the matrix: before the series' first charge."""

    def __call__(self, matrix: Floats, dates: Days) -> Judgement:
        """One judgement per series of the newest day."""
        ...


def percent(more: float = 50.0, back: int = 1) -> Detector:
    """So many percent more than `back` days (or hours, in a matrix of hours) before. 50 a day, 5 an hour are common."""

    def detect(matrix: Floats, dates: Days) -> Judgement:
        del dates
        found = Judgement.nothing(len(matrix))
        if matrix.shape[1] <= back:
            return found
        before, today = np.nan_to_num(matrix[:, -1 - back]), matrix[:, -1]
        limit = np.maximum(before * more / 100, _LEAST)
        return _banded(today, before, limit, np.isfinite(today))

    return detect


def zscore(deviations: float = 3.0, window: int = _WINDOW) -> Detector:
    """So many standard deviations above the mean of the days before."""

    def detect(matrix: Floats, dates: Days) -> Judgement:
        del dates
        before = matrix[:, -1 - window : -1].astype(float)
        if before.shape[1] < 2 * _WEEK:
            return Judgement.nothing(len(matrix))
        known = np.isfinite(before).sum(axis=1)
        count = np.maximum(known, 1)
        mean = np.nansum(before, axis=1) / count
        spread = np.sqrt(np.nansum((before - mean[:, None]) ** 2, axis=1) / count)
        limit = np.maximum(deviations * spread, _LEAST)
        return _banded(matrix[:, -1], mean, limit, known >= 2 * _WEEK)

    return detect


def isolation_forest(share: float = 0.05, trees: int = 100, window: int = 91) -> Detector:
    """scikit-learn's forest per series, fitted on the days before; `share` of them are taken for outliers.

    ConfigError without scikit-learn. Minutes per thousand series.
    """
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError as error:
        problem = Problem(
            "anomalies.detector", "isolation_forest needs scikit-learn", hint="pip install 'cloudspend[forest]'"
        )
        raise ConfigError((problem,)) from error

    def detect(matrix: Floats, dates: Days) -> Judgement:
        del dates
        found = Judgement.nothing(len(matrix))
        for row, series in enumerate(matrix[:, -window - 1 :].astype(float)):
            days = series[np.isfinite(series)]
            if len(days) <= 2 * _WEEK or not np.isfinite(series[-1]):
                continue
            seen = features(days)
            forest = IsolationForest(n_estimators=trees, contamination=share, random_state=0).fit(seen[:-1])
            odd = float(forest.offset_ - forest.score_samples(seen[-1:])[0])
            usual = float(np.median(days[:-1]))
            found.score[row] = 1 + odd if days[-1] > usual else 0.0
            found.expected[row], found.spread[row], found.scale[row] = usual, days[:-1].std(), 1
        return found

    return detect


DETECTORS: Mapping[str, Callable[[], Detector]] = {
    "default": lambda: judge,
    "percent": percent,
    "zscore": zscore,
    "isolation_forest": isolation_forest,
}
"""Name → how to make one with its customary settings."""


def detector(name: str, **settings: float) -> Detector:
    """The detector of a name, with the settings of its function. ConfigError for a name that is none."""
    if name not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise ConfigError((Problem("anomalies.detector", f"{name!r} is no detector", hint=f"one of {known}"),))
    made: Callable[..., Detector] = DETECTORS[name]
    return made(**settings)


def _banded(today: Floats, expected: Floats, limit: Floats, known: Floats) -> Judgement:
    """Above 1 where today lies above its expectation by more than the limit."""
    found = Judgement.nothing(len(today))
    rows = np.flatnonzero(known & np.isfinite(today))
    found.score[rows] = ((today - expected) / limit)[rows]
    found.expected[rows], found.spread[rows], found.scale[rows] = expected[rows], limit[rows], 1
    return found


def features(days: Floats) -> Floats:
    """Cost, change on the day before, against the mean of a week, weekday: what people feed such a forest with."""
    before = np.r_[days[0], days[:-1]]
    sums = np.cumsum(np.r_[0.0, days])
    place = np.arange(len(days))
    first = np.maximum(0, place - _WEEK)
    week = np.where(place > first, (sums[place] - sums[first]) / np.maximum(place - first, 1), days)
    change = np.where(np.abs(before) > _LEAST, (days - before) / np.maximum(np.abs(before), _LEAST), 0.0)
    against = np.where(np.abs(week) > _LEAST, days / np.where(np.abs(week) > _LEAST, week, 1.0), 1.0)
    size = float(np.median(np.abs(days))) or 1.0
    found: Floats = np.c_[days / size, np.clip(change, -5, 20), np.clip(against, -5, 20), place % _WEEK]
    return found
