"""Forecasters behind one interface: days before an origin in, the days after it and the intervals of their sum out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.forecasts import Outlook, ahead, forecast
from exporter.analysis.forecasts.models import smoothed

Floats = NDArray[np.float64]
Dates = NDArray[np.datetime64]


class Said(NamedTuple):
    """What a forecaster says: series × days, and between which amounts their sums lie; None where it does not say."""

    mean: Floats
    of80: tuple[Floats, Floats] | None = None
    of95: tuple[Floats, Floats] | None = None


Contender = Callable[[Floats, Dates, int], Said]


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


def package(name: str) -> Contender:
    """A model of ours that a package makes."""

    def said(past: Floats, dates: Dates, horizon: int) -> Said:
        return _of(ahead(past, dates, horizon, name))

    return said


def other(name: str) -> Contender:
    """A model of statsforecast that is none of ours."""

    def said(past: Floats, _: Dates, horizon: int) -> Said:
        from statsforecast import models

        answer = smoothed(past.T, horizon, getattr(models, name)(season_length=7))
        total, kind = answer.mean.sum(axis=0), np.zeros(len(past), bool)
        (below80, above80), (below95, above95) = (answer.mistakes.reach(kind, level) for level in (0.80, 0.95))
        return Said(answer.mean.T, (total - below80, total + above80), (total - below95, total + above95))

    return said


def _of(outlook: Outlook) -> Said:
    return Said(outlook.mean, outlook.interval(0.80), outlook.interval(0.95))


def _normal(mean: Floats, error: Floats) -> Said:
    total = mean.sum(axis=1)
    return Said(
        mean,
        (total - 1.2816 * error, total + 1.2816 * error),
        (total - 1.96 * error, total + 1.96 * error),
    )


QUICK: dict[str, Contender] = {"run rate of 7 days": run_rate, "mean of 4 weeks": four_weeks, "linear": linear}
PACKAGES: dict[str, tuple[str, Contender]] = {
    "Prophet": ("prophet", package("prophet")),
    "MSTL": ("statsforecast", package("statsforecast")),
    "AutoTheta": ("statsforecast", other("AutoTheta")),
    "AutoETS": ("statsforecast", other("AutoETS")),
}
"""Name → the package that must be installed, and the forecaster: milliseconds a series, so they get few."""


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return find_spec(package) is not None
