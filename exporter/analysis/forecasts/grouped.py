"""Forecasts of usage by any labels of the bill: what `cloudspend forecast` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

import numpy as np

from exporter.analysis.forecasts.months import Expected, finish
from exporter.analysis.forecasts.profile import Array
from exporter.analysis.forecasts.series import least
from exporter.analysis.series import Series, born
from exporter.periods import DAY, Window, midnight

if TYPE_CHECKING:
    from exporter.analysis.anomalies.model import Edge

Group = tuple[str, ...]
"""A word per dimension, and the currency."""

_MEANINGLESS = 10
"""A mistake of so many times what came says that next to nothing came."""


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


@dataclass(frozen=True, slots=True)
class Line:
    """What one group costs within a window, in its currency."""

    group: Group
    until: date
    """The newest day that has settled in every source of the group."""
    settled: float
    rest: float | None = None
    """Expected of the days that have not settled; None with too little history to say."""
    low: float | None = None
    high: float | None = None
    error: float | None = None
    """Median mistake of the model's own past totals over so many days, as a share; None where nobody can tell."""

    @property
    def total(self) -> float | None:
        """What the window costs in the end."""
        return None if self.rest is None else self.settled + self.rest


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

    @property
    def most(self) -> int:
        """Days of history of the oldest group."""
        return int(np.isfinite(self.history).sum(axis=1).max())


def forecasted(
    sources: Sequence[Part], names: Sequence[str], window: Window, model: str, level: float
) -> Iterator[Line]:
    """A line per group of usage. A bill that has ended is left out; a group waits for the slowest of its sources."""
    for some in together(sources, names):
        if some.most < least(model):
            inside = [midnight(day) in window for day in some.days]
            for group, settled in zip(some.groups, np.nansum(some.history[:, inside], axis=1), strict=True):
                yield Line(group, some.until, float(settled))
        else:
            expected = finish(some.history, some.days, window, some.partial, model)
            yield from lines(some, expected, level)


def lines(some: Together, expected: Expected, level: float) -> Iterator[Line]:
    """What is expected of groups, one by one."""
    low, high = expected.interval(level)
    error = expected.outlook.error if expected.outlook else np.full(len(some.groups), np.nan)
    error = np.where(error < _MEANINGLESS, error, np.nan)
    columns = (expected.settled, expected.rest, low, high, error)
    for group, settled, *others in zip(some.groups, *(column.tolist() for column in columns), strict=True):
        # What is not a number has too little history.
        yield Line(group, some.until, settled, *(amount if math.isfinite(amount) else None for amount in others))


def together(sources: Sequence[Part], names: Sequence[str]) -> Iterator[Together]:
    """Usage by these labels and currency, the groups that have settled up to one day together, oldest day first."""
    known = [source for source in sources if source.series.scopes and not source.ended]
    first = min((source.series.days[0] for source in known), default=date.min)
    newest = max((source.edge.newest for source in known), default=first)
    costs: dict[Group, Array] = {}
    edges: dict[Group, date] = {}
    for source in known:
        begin = (source.series.days[0] - first).days
        for scope, values in zip(source.series.scopes, source.series.values, strict=True):
            group = (*(str(getattr(scope, name)) for name in names), scope.currency)
            sums = costs.setdefault(group, np.zeros((newest - first).days + 1))
            sums[begin : begin + len(values)] += np.nan_to_num(values)
            edges[group] = min(edges.get(group, date.max), source.edge.settled)
    for edge in sorted(set(edges.values())):
        groups = tuple(sorted(group for group, its in edges.items() if its == edge))
        matrix = np.array([costs[group] for group in groups])
        days = tuple(Window.of_days(first, edge + DAY).days())
        yield Together(groups, days, born(matrix[:, : len(days)]), matrix[:, len(days) :])
