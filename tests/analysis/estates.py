"""Small estates of usage, and the demo's, for the tests of what looks at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from exporter.analysis.anomalies import Edge, Finding, Report, Settings, evaluate
from exporter.analysis.series import Scope, Series, usage
from exporter.clock import Clock
from exporter.costs import Ask
from exporter.periods import DAY, Grain, Window, day_of, settled_until
from exporter.providers.demo import SETTLES_AFTER, Demo, DemoOptions, Moment

FIRST = date(2026, 1, 5)
"""A Monday."""
COUNT = 120
LAST = FIRST + timedelta(COUNT - 1)
DAILY = {"EC2": 100.0, "S3": 40.0, "RDS": 60.0}


def scope(account: str, service: str, region: str, source: str = "bill", currency: str = "USD") -> Scope:
    return Scope(source, "aws", account, service, region, currency)


def lines(accounts: tuple[str, ...] = ("prod", "dev"), regions: tuple[str, ...] = ("east", "west")) -> Series:
    """Every service of every account in every region, with quiet weekends and 2 % of noise."""
    scopes = tuple(scope(a, s, r) for a in accounts for s in DAILY for r in regions)
    days = tuple(FIRST + timedelta(place) for place in range(COUNT))
    week = np.array([0.7 if day.weekday() > 4 else 1.0 for day in days])
    chance = np.random.default_rng(5).normal(1, 0.02, (len(scopes), COUNT))
    levels = np.array([DAILY[each.service] for each in scopes])
    return Series(scopes, days, levels[:, None] * week * chance)


def more(series: Series, rows: Callable[[Scope], bool], amount: float, first: int, count: int = COUNT) -> Series:
    """The same with so much more on some days, on each of the lines chosen."""
    values = series.values.copy()
    chosen = [row for row, each in enumerate(series.scopes) if rows(each)]
    values[chosen, first : first + count] = np.nan_to_num(values[chosen, first : first + count]) + amount
    return Series(series.scopes, series.days, values)


def line(series: Series, new: Scope, costs: Mapping[int, float]) -> Series:
    """The same with another line; NaN before its first cost, 0 where none is given."""
    values = np.zeros(len(series.days))
    values[: min(costs)] = np.nan
    for place, cost in costs.items():
        values[place] = cost
    return Series((*series.scopes, new), series.days, np.vstack([series.values, values]))


@dataclass(frozen=True)
class Told:
    """What a replay told, in order."""

    new: tuple[Finding, ...]
    """As they were first told."""
    reports: tuple[Report, ...]

    @property
    def last(self) -> Report:
        return self.reports[-1]


def replay(series: Series, first: int = 60, last: int | None = None, settings: Settings = Settings()) -> Told:  # noqa: B008
    """One poll a day, each day settled at once; `first` and `last` are places of days."""
    report, new, reports = Report(), [], []
    for place in range(first, len(series.days) if last is None else last + 1):
        edges = {each: Edge(series.days[place], series.days[place]) for each in {s.source for s in series.scopes}}
        report = evaluate(settings, series.until(series.days[place]), edges, report)
        new += [finding for finding in report.findings if finding.fingerprint in report.new]
        reports.append(report)
    return Told(tuple(new), tuple(reports))


class _Free:
    """Counts nothing: the demo asks nobody."""

    def request(self, kind: str) -> None:
        del kind


@cache
def demo() -> Series:
    """Usage of the demo estate, 14 months of it, in the middle of November 2026."""
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    window = Moment.of(now).life()
    bill = Demo(DemoOptions(), _Free(), Clock(frozen=now)).fetch(Ask(window=window, grain=Grain.DAY, tags=()))  # type: ignore[arg-type]
    return usage(bill.costs.mapped(SourceId="'demo'"), window)


_MOVES = 12
"""Days after which no day of the demo moves any more, and some."""


def as_known(noon: datetime) -> tuple[Series, Edge]:
    """The demo as a poll at that instant leaves it: its last days partial, or charged too high for now."""
    whole, today = demo().until(noon.date()), noon.date()
    window = Window.of_days(today - timedelta(_MOVES - 1), today + timedelta(1))
    ask = Ask(window=window, grain=Grain.DAY, tags=())
    bill = Demo(DemoOptions(), _Free(), Clock(frozen=noon)).fetch(ask)  # type: ignore[arg-type]
    recent = usage(bill.costs.mapped(SourceId="'demo'"), window)
    values = whole.values.copy()
    values[:, -_MOVES:] = np.where(np.isfinite(values[:, -_MOVES:]), 0, np.nan)
    rows = {scope: row for row, scope in enumerate(whole.scopes)}
    for scope, costs in zip(recent.scopes, recent.values, strict=True):
        values[rows[scope], -_MOVES:] = np.where(
            np.isfinite(values[rows[scope], -_MOVES:]), np.nan_to_num(costs), np.nan
        )
    return Series(whole.scopes, whole.days, values), Edge(day_of(settled_until(noon, SETTLES_AFTER)) - DAY, today)
