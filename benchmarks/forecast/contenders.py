"""Forecasters behind one interface: days before an origin in, the days after it and the intervals of their sum out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.forecasts import forecast

Floats = NDArray[np.float64]
Dates = NDArray[np.datetime64]


class Said(NamedTuple):
    """What a forecaster says: series × days, and between which amounts their sums lie; None where it does not say."""

    mean: Floats
    of80: tuple[Floats, Floats] | None = None
    of95: tuple[Floats, Floats] | None = None


Contender = Callable[[Floats, Dates, int], Said]

_LAST = 119
"""Days that the packages learn from: as many as helps them."""


def ours(past: Floats, dates: Dates, horizon: int) -> Said:
    found = forecast(past, dates, horizon)
    return Said(found.mean, (found.lo80, found.hi80), (found.lo95, found.hi95))


def run_rate(past: Floats, _: Dates, horizon: int) -> Said:
    """The mean of the last seven days goes on."""
    return Said(np.repeat(past[:, -7:].mean(axis=1)[:, None], horizon, axis=1))


def four_weeks(past: Floats, _: Dates, horizon: int) -> Said:
    """The mean of the same weekday in the last four weeks."""
    weeks = past[:, -28:].reshape(len(past), 4, 7).mean(axis=1)
    return Said(weeks[:, np.arange(horizon) % 7])


def linear(past: Floats, _: Dates, horizon: int) -> Said:
    """Least squares through the last 90 days, with the textbook's interval."""
    recent = past[:, -90:]
    days = recent.shape[1]
    ages, later = np.arange(days) - (days - 1) / 2, np.arange(days, days + horizon) - (days - 1) / 2
    level, slope = recent.mean(axis=1), (recent * ages).sum(axis=1) / (ages**2).sum()
    mean = level[:, None] + slope[:, None] * later
    spread = (recent - level[:, None] - slope[:, None] * ages).std(axis=1, ddof=2)
    error = spread * np.sqrt(horizon + horizon**2 / days + later.sum() ** 2 / (ages**2).sum())
    return _normal(mean, error)


def prophet(past: Floats, dates: Dates, horizon: int) -> Said:
    """Prophet with a weekly season, and intervals of the sum from its own samples."""
    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    logging.getLogger("prophet").setLevel(logging.ERROR)
    mean, ends = np.empty((len(past), horizon)), np.empty((len(past), 4))
    future = pd.DataFrame({"ds": pd.date_range(dates[-1] + np.timedelta64(1, "D"), periods=horizon)})
    for row, costs in enumerate(past[:, -_LAST:]):
        model = Prophet(
            weekly_seasonality=True, yearly_seasonality=False, daily_seasonality=False, uncertainty_samples=200
        )
        model.fit(pd.DataFrame({"ds": pd.DatetimeIndex(dates[-_LAST:]), "y": costs}))
        mean[row] = model.predict(future)["yhat"]
        ends[row] = np.quantile(model.predictive_samples(future)["yhat"].sum(axis=0), (0.1, 0.9, 0.025, 0.975))
    return Said(mean, (ends[:, 0], ends[:, 1]), (ends[:, 2], ends[:, 3]))


def statsforecast(name: str) -> Contender:
    """A model of statsforecast. Its bands are of days; the sum's lies half-way between none and full dependence."""

    def said(past: Floats, _: Dates, horizon: int) -> Said:
        from statsforecast import models

        mean, error = np.empty((len(past), horizon)), np.empty(len(past))
        for row, costs in enumerate(past[:, -_LAST:]):
            model = {
                "AutoTheta": lambda: models.AutoTheta(season_length=7),
                "AutoETS": lambda: models.AutoETS(season_length=7),
                "MSTL": lambda: models.MSTL(season_length=7, trend_forecaster=models.AutoETS(model="ZZN")),
            }[name]()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = model.forecast(y=np.ascontiguousarray(costs), h=horizon, level=[95])
            mean[row] = found["mean"]
            half = (np.asarray(found["hi-95"]) - mean[row]) / 1.96
            error[row] = 0.5 * np.sqrt((half**2).sum()) + 0.5 * half.sum()
        return _normal(mean, error)

    return said


def _normal(mean: Floats, error: Floats) -> Said:
    total = mean.sum(axis=1)
    return Said(
        mean,
        (total - 1.2816 * error, total + 1.2816 * error),
        (total - 1.96 * error, total + 1.96 * error),
    )


QUICK: dict[str, Contender] = {"run rate of 7 days": run_rate, "mean of 4 weeks": four_weeks, "linear": linear}
PACKAGES: dict[str, tuple[str, Contender]] = {
    "Prophet": ("prophet", prophet),
    "AutoTheta": ("statsforecast", statsforecast("AutoTheta")),
    "MSTL": ("statsforecast", statsforecast("MSTL")),
    "AutoETS": ("statsforecast", statsforecast("AutoETS")),
}
"""Name → the package that must be installed, and the forecaster: milliseconds a series, so they get few."""


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return find_spec(package) is not None
