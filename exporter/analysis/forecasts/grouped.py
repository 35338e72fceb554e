"""Forecasts of usage by any labels of the bill: what `cloudspend forecast` prints."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from exporter.analysis.forecasts.monthly import repeated
from exporter.analysis.forecasts.months import Expected, finish
from exporter.analysis.forecasts.profile import WEEK, Array
from exporter.analysis.forecasts.series import Outlook, least
from exporter.analysis.series import Series, born
from exporter.periods import DAY, Window, midnight

if TYPE_CHECKING:
    from exporter.analysis.anomalies.model import Edge

Group = tuple[str, ...]
"""A word per dimension, and the currency."""

_MEANINGLESS = 10
"""A mistake of so many times what came says that next to nothing came."""
_NOTHING = 0.005
"""Half a cent."""
_LEAST_FACTOR = 0.05


class Part(Protocol):
    """One source of the bill."""

    @property
    def series(self) -> Series:
        """Its usage."""
        ...

    @property
    def edge(self) -> Edge:
        """How far it reaches."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it is billed no more."""
        ...


class Day(NamedTuple):
    """A day that has not settled, as it is expected; the bands of a line's days add up to its interval."""

    day: date
    cost: float
    low: float
    high: float
    trend: float
    """Of it, what stays without its weekday and without what comes once a month."""


@dataclass(frozen=True, slots=True)
class Seasons:
    """What a model has learned of one group."""

    growth: float
    """Change in 30 days, as a share."""
    weekdays: tuple[float, ...]
    """Monday first: what a weekday costs against the mean day."""
    monthly: tuple[tuple[date, float], ...]
    """Of the next 31 days, those that cost more or less than a plain day, and how much."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one group costs within a window, in its currency."""

    group: Group
    until: date
    """The newest day that has settled in every source of the group."""
    settled: float
    """Of the window's days, those that have settled."""
    past: tuple[tuple[date, float], ...] = field(default=(), repr=False)
    """The settled days since the first charge, as far back as was read."""
    rest: float | None = None
    """Expected of the days that have not settled; None with too little history to say."""
    low: float | None = None
    high: float | None = None
    error: float | None = None
    """Median mistake of the model's own past totals over so many days, as a share; None where nobody can tell."""
    seasons: Seasons | None = None
    days: tuple[Day, ...] = field(default=(), repr=False)
    """From the first that has not settled to the window's last."""

    @property
    def total(self) -> float | None:
        """What the window costs in the end."""
        return None if self.rest is None else self.settled + self.rest

    @property
    def history(self) -> float:
        """What the settled days cost, as far back as was read."""
        return sum(cost for _, cost in self.past)


@dataclass(frozen=True, slots=True)
class Together:
    """Groups whose days have settled up to the same one, as rows of one matrix."""

    groups: tuple[Group, ...]
    days: tuple[date, ...]
    """The settled ones."""
    history: Array
    """Groups × settled days; NaN before a group's first charge."""
    partial: Array
    """Groups × the days that follow: billed so far."""

    @property
    def until(self) -> date:
        """The newest settled day."""
        return self.days[-1]

    def past(self, row: int) -> tuple[tuple[date, float], ...]:
        """The settled days of a group since its first charge."""
        costs = self.history[row].tolist()
        return tuple((day, cost) for day, cost in zip(self.days, costs, strict=True) if math.isfinite(cost))

    @property
    def most(self) -> int:
        """Days of history of the oldest group."""
        return int(np.isfinite(self.history).sum(axis=1).max())


def forecasted(
    sources: Sequence[Part],
    names: Sequence[str],
    window: Window,
    model: str,
    level: float,
    providers: Collection[str] | None = None,
) -> Iterator[Line]:
    """A line per group of usage. A bill that has ended is left out; a group waits for the slowest of its sources."""
    for some in together(sources, names, providers):
        inside = [midnight(day) in window for day in some.days]
        settled = np.nansum(some.history[:, inside], axis=1).tolist()
        if some.most < least(model):
            for row, group in enumerate(some.groups):
                yield Line(group, some.until, settled[row], some.past(row))
        else:
            yield from _lines(some, finish(some.history, some.days, window, some.partial, model), level)


def _lines(some: Together, expected: Expected, level: float) -> Iterator[Line]:
    low, high = expected.interval(level)
    outlook = expected.outlook
    bands = outlook.days(level) if outlook else None
    for row, group in enumerate(some.groups):
        settled = float(expected.settled[row])
        known = math.isfinite(expected.total[row])
        if not known:
            yield Line(group, some.until, settled, some.past(row))
            continue
        error = float(outlook.error[row]) if outlook else math.nan
        yield Line(
            group,
            some.until,
            settled,
            some.past(row),
            rest=float(expected.rest[row]),
            low=float(low[row]),
            high=float(high[row]),
            error=error if error < _MEANINGLESS else None,
            seasons=_seasons(outlook, row) if outlook else None,
            days=_days(outlook, bands, row) if outlook and bands else (),
        )


def _seasons(outlook: Outlook, row: int) -> Seasons:
    extra = outlook.monthly[row].tolist()
    return Seasons(
        growth=float((1 + outlook.growth[row]) ** 30 - 1),
        weekdays=tuple(outlook.weekdays[row].tolist()),
        monthly=tuple(
            (outlook.first + number * DAY, cost) for number, cost in enumerate(extra) if abs(cost) > _NOTHING
        ),
    )


def _days(outlook: Outlook, bands: tuple[Array, Array], row: int) -> tuple[Day, ...]:
    mean, (low, high) = outlook.mean[row], bands
    first = outlook.first.weekday()
    factors = outlook.weekdays[row][(first + np.arange(len(mean))) % WEEK]
    plain = mean - repeated(outlook.monthly[row][:, None], outlook.first, len(mean))[:, 0]
    # On a weekday without costs nothing is seen of the trend: it goes on from the day before.
    trend = np.where(factors > _LEAST_FACTOR, plain / np.maximum(factors, _LEAST_FACTOR), np.nan)
    trend = np.where(np.isfinite(trend), trend, np.nanmean(trend) if np.isfinite(trend).any() else 0.0)
    return tuple(
        Day(outlook.first + number * DAY, *amounts)
        for number, amounts in enumerate(
            zip(*(each.tolist() for each in (mean, low[row], high[row], trend)), strict=True)
        )
    )


def together(
    sources: Sequence[Part], names: Sequence[str], providers: Collection[str] | None = None
) -> Iterator[Together]:
    """Usage by these labels and currency, the groups that have settled up to one day together, oldest day first.

    `providers`: only these labels; all unless given.
    """
    known = [source for source in sources if source.series.scopes and not source.ended]
    first = min((source.series.days[0] for source in known), default=date.min)
    newest = max((source.edge.newest for source in known), default=first)
    costs: dict[Group, Array] = {}
    edges: dict[Group, date] = {}
    for source in known:
        begin = (source.series.days[0] - first).days
        for scope, values in zip(source.series.scopes, source.series.values, strict=True):
            if providers is not None and scope.provider not in providers:
                continue
            group = (*(str(getattr(scope, name)) for name in names), scope.currency)
            sums = costs.setdefault(group, np.zeros((newest - first).days + 1))
            sums[begin : begin + len(values)] += np.nan_to_num(values)
            edges[group] = min(edges.get(group, date.max), source.edge.settled)
    for edge in sorted(set(edges.values())):
        groups = tuple(sorted(group for group, its in edges.items() if its == edge))
        matrix = np.array([costs[group] for group in groups])
        days = tuple(Window.of_days(first, edge + DAY).days())
        yield Together(groups, days, born(matrix[:, : len(days)]), matrix[:, len(days) :])
