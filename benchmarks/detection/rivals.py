"""Rules in common use, as people write them. Each says how odd a day is, from the days before it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.events import Bill
from exporter.analysis.anomalies import detector, score
from exporter.analysis.anomalies.detectors import Detector, features

Scores = NDArray[np.float64]
Contender = Callable[[Bill], Scores]

WINDOW = 120
"""Days that any detector is shown."""


def ours(bill: Bill) -> Scores:
    """The default detector, called once a day with what was known that day."""
    return daily(lambda matrix, dates: score(matrix, dates), bill)


def daily(judge: Callable[[Scores, NDArray[np.datetime64]], Scores], bill: Bill) -> Scores:
    """A detector of one day, called for each."""
    found, costs = np.full(bill.costs.shape, np.nan), bill.costs.astype(np.float32)
    for day in range(13, costs.shape[1]):
        first = max(0, day - WINDOW + 1)
        found[:, day] = judge(costs[:, first : day + 1], bill.dates[first : day + 1])
    return found


def named(name: str, **settings: float) -> Contender:
    """One of the detectors that can be configured."""
    made: Detector = detector(name, **settings)
    return lambda bill: daily(lambda matrix, dates: made(matrix, dates).score, bill)


def same_weekday(bill: Bill) -> Scores:
    """Median and MAD of the same weekday in the last eight weeks, threshold 5."""
    found = np.full(bill.costs.shape, np.nan)
    for day in range(28, bill.costs.shape[1]):
        before = bill.costs[:, [day - 7 * week for week in range(1, 9) if day >= 7 * week]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # series that have not begun
            middle = np.nanmedian(before, axis=1)
            spread = 1.4826 * np.nanmedian(np.abs(before - middle[:, None]), axis=1)
        found[:, day] = (bill.costs[:, day] - middle) / (5 * np.maximum(spread, 0.02 * np.abs(middle) + 1e-6))
    return found


RIVALS: Mapping[str, Contender] = {
    "z-score, 30 days, 3 sd": named("zscore"),
    "same weekday, median and MAD": same_weekday,
    "+50 % on the day before": named("percent"),
    "+5 % on the day before": named("percent", more=5.0),
}
"""The quick ones."""


def forest(bill: Bill) -> Scores:
    """Isolation Forest per series as the tools do it: fitted every two weeks on 13 weeks, a twentieth taken for odd."""
    from sklearn.ensemble import IsolationForest

    found = np.full(bill.costs.shape, np.nan)
    for row, series in enumerate(bill.costs):
        for day in range(max(60, int(bill.plain.begin[row]) + 14), len(series), 14):
            first = max(int(bill.plain.begin[row]), day - 91)
            seen = features(series[first : day + 14])
            made = IsolationForest(n_estimators=100, contamination=0.05, random_state=0).fit(seen[: day - first])
            odd = 1 + made.offset_ - made.score_samples(seen[day - first :])
            usual = np.median(series[first:day])
            found[row, day : day + 14] = np.where(series[day : day + 14] > usual, odd, 0.0)
    return found
