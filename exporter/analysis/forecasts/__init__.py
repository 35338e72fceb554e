"""What is still to come: forecasts of days, of month ends, and how far they may be off. numpy alone.

profile.py     plain days: weekday factors, lasting changes, growth, the level of today
monthly.py     what comes once a month
intervals.py   from past mistakes to intervals
seasonal.py    the default model, of these three
models.py      the others behind the same interface
series.py      many series of different ages: `ahead`, and its `Outlook`
months.py      totals of a period: settled days + forecast of the rest; month ends; nowcasts
grouped.py     usage by any labels: what the command line prints
replay.py      past month ends forecast again: how good forecasts of this bill have been
standing.py    this month's whole bill by provider and currency: what is published

How good they are, beside whom: `python -m benchmarks forecast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from numpy.typing import ArrayLike

from exporter.analysis.forecasts.months import Expected, finish, month_end, nowcast
from exporter.analysis.forecasts.profile import Array
from exporter.analysis.forecasts.series import LEAST, Outlook, TooYoung, ahead, least
from exporter.analysis.forecasts.standing import Charges, MonthForecast, charges, standing


class Forecast(NamedTuple):
    """What the days after a matrix cost: each day's mean, and the intervals of each series' total over them."""

    mean: Array
    """Series × horizon."""
    lo80: Array
    """Series; of the total over the horizon, as the other three."""
    hi80: Array
    lo95: Array
    hi95: Array


def forecast(matrix: ArrayLike, dates: Sequence[date] | ArrayLike, horizon: int) -> Forecast:
    """Forecast every row of a matrix (series × days, NaN before a series' first charge) with the default model.

    A row with under 14 days of history is NaN; TooYoung where all are so.
    """
    outlook = ahead(matrix, dates, horizon)
    return Forecast(outlook.mean, *outlook.interval(0.80), *outlook.interval(0.95))


__all__ = [
    "LEAST",
    "Charges",
    "Expected",
    "Forecast",
    "MonthForecast",
    "Outlook",
    "TooYoung",
    "ahead",
    "charges",
    "finish",
    "forecast",
    "least",
    "month_end",
    "nowcast",
    "standing",
]
