"""The models behind one interface: days × series in, an `Answer` out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from datetime import date
from importlib import import_module
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np

from exporter.analysis.forecasts.intervals import Mistakes, mistakes
from exporter.analysis.forecasts.monthly import CYCLE
from exporter.analysis.forecasts.profile import WEEK, Array
from exporter.analysis.forecasts.seasonal import Answer, seasonal
from exporter.errors import CloudspendError

Model = Callable[[Array, date, int], Answer]

_LINE = 90
"""Days that a straight line is drawn through."""
LEAST = 14
"""Days of history below which no model says anything."""
_DRAWN, _FINE = 200, 4000
"""Totals that stand for the distribution of a package's forecast: where each costs time, and where it does not."""
_LAST = 119
"""Days that the packages learn from: as many as helps them."""
_LEAST_OF = {"seasonal": 30, "prophet": 30, "statsforecast": 30}
"""A model that was asked for by the name of its seasons needs to have seen some; `auto` makes do with what there is."""


def linear(charges: Array, first: date, horizon: int) -> Answer:  # noqa: ARG001
    """A straight line by least squares through the last 90 days: what many tools do, and what ours is held against."""
    days, series = charges.shape
    mean, growth = _line(charges, horizon)
    reach = min(horizon, max(WEEK, days // 3))
    origins = np.arange(days - reach, LEAST - 1, -WEEK)[::-1]
    came = np.array([charges[origin : origin + reach].sum(axis=0) for origin in origins]).reshape(-1, series)
    said = np.array([_line(charges[:origin], reach)[0].sum(axis=0) for origin in origins]).reshape(-1, series)
    longer = horizon / reach
    noise = np.std(np.diff(charges[-_LINE:], axis=0), axis=0) * reach**0.5
    found = mistakes(came - said, origins, reach, noise, mean.sum(axis=0) / longer)
    error = np.median(np.abs(came - said) / np.maximum(np.abs(came), 1e-9), axis=0) if len(came) else noise * np.nan
    flat, nothing = np.ones((WEEK, series)), np.zeros((CYCLE, series))
    unit = Mistakes(found.unit * longer, found.past)
    return Answer(mean, unit, growth, flat, nothing, np.zeros(series, bool), error)


def _line(charges: Array, horizon: int) -> tuple[Array, Array]:
    recent = charges[-_LINE:]
    ages = np.arange(len(recent)) - (len(recent) - 1) / 2
    slope = (recent * ages[:, None]).sum(axis=0) / (ages**2).sum()
    level = recent.mean(axis=0)
    ahead = np.arange(len(recent), len(recent) + horizon) - (len(recent) - 1) / 2
    share = np.where(np.abs(level) > 1e-9, slope / np.where(np.abs(level) > 1e-9, level, 1.0), 0.0)
    return level + slope * ahead[:, None], share


def prophet(charges: Array, first: date, horizon: int) -> Answer:
    """Prophet with its defaults, series by series. CloudspendError where it is not installed."""
    pandas, library = _package("pandas", "prophet"), _package("prophet", "prophet")
    logging.getLogger("cmdstanpy").disabled = True
    logging.getLogger("prophet").setLevel(logging.ERROR)
    charges = charges[-_LAST:]
    days, series = charges.shape
    past = pandas.date_range(end=pandas.Timestamp(first) - pandas.Timedelta(days=1), periods=days)
    future = pandas.DataFrame({"ds": pandas.date_range(start=first, periods=horizon)})
    mean, drawn = np.empty((horizon, series)), np.empty((_DRAWN, series))
    for row in range(series):
        model = library.Prophet(
            weekly_seasonality=True, yearly_seasonality=False, daily_seasonality=False, uncertainty_samples=_DRAWN
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(pandas.DataFrame({"ds": past, "y": charges[:, row]}))
            mean[:, row] = model.predict(future)["yhat"].to_numpy()
            drawn[:, row] = model.predictive_samples(future)["yhat"].sum(axis=0)
    return _believed(charges, mean, drawn - mean.sum(axis=0))


def statsforecast(charges: Array, first: date, horizon: int) -> Answer:  # noqa: ARG001
    """statsforecast's MSTL over weeks with AutoETS, series by series. CloudspendError where it is not installed.

    Of its models the one that misses least money (`benchmarks/forecast`). Its bands are of days. The total's lies
    half-way between days that know nothing of each other and days that are wrong together.
    """
    library = _package("statsforecast.models", "statsforecast")
    return smoothed(charges, horizon, library.MSTL(season_length=WEEK, trend_forecaster=library.AutoETS(model="ZZN")))


def smoothed(charges: Array, horizon: int, model: Any) -> Answer:
    """What a model of statsforecast says."""
    charges = charges[-_LAST:]
    series = charges.shape[1]
    mean, error = np.empty((horizon, series)), np.empty(series)
    for row in range(series):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = model.forecast(y=np.ascontiguousarray(charges[:, row]), h=horizon, level=[95])
        mean[:, row] = found["mean"]
        half = (np.asarray(found["hi-95"]) - mean[:, row]) / NormalDist().inv_cdf(0.975)
        error[row] = 0.5 * np.sqrt((half**2).sum()) + 0.5 * half.sum()
    normal = np.array([NormalDist().inv_cdf((place + 0.5) / _FINE) for place in range(_FINE)])
    return _believed(charges, mean, normal[:, None] * error)


def _package(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise CloudspendError(
            f"the forecast model {name!r} needs the package {name}. hint: pip install 'cloudspend[forecast]'"
        ) from None


def _believed(charges: Array, mean: Array, off: Array) -> Answer:
    """What a package says: days × series, and by how much it believes that totals may be off (draws × series).

    What never was negative is not expected to be.
    """
    mean = np.where(charges.min(axis=0) >= 0, np.maximum(mean, 0), mean)
    series = charges.shape[1]
    flat, nothing, unknown = np.ones((WEEK, series)), np.zeros((CYCLE, series)), np.full(series, np.nan)
    mistakes = Mistakes(np.ones(series), off, drawn=True)
    return Answer(mean, mistakes, np.zeros(series), flat, nothing, np.zeros(series, bool), unknown)


MODELS: Mapping[str, Model] = MappingProxyType(
    {"auto": seasonal, "seasonal": seasonal, "linear": linear, "prophet": prophet, "statsforecast": statsforecast}
)
"""Name in a configuration → model. `auto` is the seasonal one from 14 days of history on: taking the line for series
that it had missed less gained nothing (seeds 301 and 302 of `benchmarks/forecast`: median error of month ends from 1.13
to 1.15 %, by money from 3.31 to 3.23 %)."""


def model(name: str) -> Model:
    """The model of a name. CloudspendError for a name that is none."""
    if name not in MODELS:
        raise CloudspendError(f"{name!r} is not a forecast model. hint: one of {', '.join(MODELS)}")
    return MODELS[name]


def least(name: str) -> int:
    """Days of history that a model needs. CloudspendError for a name that is none."""
    model(name)
    return _LEAST_OF.get(name, LEAST)
