"""How budgets stand: what is spent, what is still to come, when it runs out, and whether settled days alone say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

import numpy as np

from exporter.analysis.basis import Unknown, primary, unknown
from exporter.analysis.budgets.budget import Budget, Threshold
from exporter.analysis.budgets.history import Closed, Remembered, closed_periods, limit_of, remember
from exporter.analysis.forecasts import Expected, TooYoung, finish
from exporter.costs import RATIO, CostTable
from exporter.costs.money import ZERO, add
from exporter.periods import DAY, Month, Window, day_of

LOOK_BACK = timedelta(days=400)
"""So much of the past is read: a year's periods, and what a forecast learns from."""
_WEEK = 7
_STEP = Decimal("0.000001")
"""Forecasts are no exact money: they are rounded to six places, half even."""


class Status(StrEnum):
    """How a budget stands."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    """More than the limit is expected by the end of the period."""
    OVER = "over"
    """More than the limit is spent."""


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast money goes, on settled days."""

    per_day: Decimal
    ratio: Decimal
    """Against a pace that uses up the limit with the last day of the period; 1 is even."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What the period costs in the end: exact settled days, and a forecast of the others."""

    total: Decimal
    low80: Decimal
    high80: Decimal
    low95: Decimal
    high95: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """How one budget stands. Amounts are in its currency."""

    budget: Budget
    period: Window
    period_id: str
    limit: Decimal
    adjusted: str
    """Why the limit is not the configured amount; empty where it is."""
    spent: Decimal
    """Everything billed so far."""
    spent_settled: Decimal
    settled_until: date | None
    """The first day that has not settled in every source of the scope; None where no day has."""
    elapsed: Decimal
    """Share of the period's days that have ended."""
    fast: Burn | None
    """The last settled day."""
    slow: Burn | None
    """The last seven settled days."""
    projection: Projection | None
    unforeseen: str
    """Why there is no projection; empty where there is one."""
    exhausted_on: date | None
    """The first day on which more than the limit is, or is expected to be, spent; None where that lies in no day of
    the period."""
    status: Status
    crossed: tuple[Threshold, ...]
    """By what is spent."""
    projected_crossed: tuple[Threshold, ...]
    """By what is expected in the end."""
    settled: bool
    """Whether settled days alone have crossed the same thresholds: others may raise a verdict, and never lower it."""
    elsewhere: Mapping[str, Decimal]
    """Charges in scope in other currencies, which count for nothing here."""
    history: tuple[Closed, ...]
    """Periods that have ended, the oldest first."""

    @property
    def remaining(self) -> Decimal:
        """What is left; negative once over."""
        return RATIO.subtract(self.limit, self.spent)

    @property
    def used(self) -> Decimal:
        """Spent as a share of the limit."""
        return RATIO.divide(self.spent, self.limit)


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """How all budgets stand, in the order they were given."""

    standings: tuple[Standing, ...]
    remembered: Mapping[str, Remembered]
    """Budget → what the next evaluation has to know."""

    def of(self, name: str) -> Standing:
        """One budget by its name; KeyError where there is none."""
        return {each.budget.name: each for each in self.standings}[name]


def evaluate(
    budgets: Iterable[Budget],
    costs: CostTable,
    today: date,
    settled: Mapping[str, date],
    previous: Mapping[str, Remembered] | None = None,
) -> BudgetReport:
    """How the budgets stand on a UTC day.

    `settled`: source → its first day that has not settled; of a source that is missing no day has. `previous`: what
    the report before remembered, so that ended periods keep their limits.
    """
    standings, remembered = [], {}
    doubtful: dict[str, Unknown] = {}
    for budget in budgets:
        before = (previous or {}).get(budget.name)
        basis = doubtful.setdefault(budget.cost.value, unknown(costs, budget.cost))
        charges = _Charges.of(budget, costs, basis, _since(budget, today, before), settled, today)
        standing, kept = _stand(budget, charges, today, before)
        standings.append(standing)
        remembered[budget.name] = kept
    return BudgetReport(tuple(standings), remembered)


def _since(budget: Budget, today: date, before: Remembered | None) -> date:
    """From when charges are needed."""
    needed = [day_of(budget.period_of(today).start), day_of(budget.period_of(today - LOOK_BACK).start)]
    if before is not None:
        needed += [before.first, *(each.first for each in before.closed if not each.final)]
    return min(needed)


@dataclass(frozen=True, slots=True)
class _Charges:
    """The charges of a budget by day, exact."""

    days: Mapping[date, Decimal]
    settled_days: Mapping[date, Decimal]
    """Of sources in which the day has settled."""
    elsewhere: Mapping[str, Mapping[date, Decimal]]
    since: date
    edge: date | None
    """The first day that has not settled in every source; None where one has no settled day."""

    @classmethod
    def of(
        cls, budget: Budget, costs: CostTable, basis: Unknown, since: date, settled: Mapping[str, date], today: date
    ) -> _Charges:
        """What lies in scope from `since` on; charges dated past the open period are left out."""
        window = Window.of_days(since, day_of(budget.period_of(today).end))
        lines = budget.scope.of(costs, net=budget.net).during(window).by("source", "provider", "day").rows()
        days: dict[date, Decimal] = {}
        sure: dict[date, Decimal] = {}
        elsewhere: dict[str, dict[date, Decimal]] = {}
        newest: dict[str, date] = {}
        for line in lines:
            source, provider, written = line.key
            day, amount = date.fromisoformat(written), primary(line, source, provider, budget.cost, basis)
            if line.currency != budget.currency:
                _book(elsewhere.setdefault(line.currency, {}), day, amount)
                continue
            newest[source] = max(day, newest.get(source, day))
            _book(days, day, amount)
            if day < min(settled.get(source, day), today):
                _book(sure, day, amount)
        # A source that has charged nothing since the month before last holds nobody back: an old bill, kept.
        current = [source for source, day in newest.items() if day >= Month.of(today).previous().first]
        edges = [settled.get(source) for source in current or newest] or list(settled.values())
        known = [each for each in edges if each is not None]
        edge = min([*known, today]) if known and len(known) == len(edges) else None
        first = min(days, default=today)
        return cls(days, sure, elsewhere, max(since, first), edge)

    def sum(self, window: Window) -> Decimal:
        """What the days of a window cost."""
        return _sum(self.days, window)

    def of_day(self, day: date) -> Decimal:
        """What a day cost."""
        return self.days.get(day, ZERO)


def _book(days: dict[date, Decimal], day: date, amount: Decimal) -> None:
    days[day] = add(days.get(day, ZERO), amount)


def _sum(days: Mapping[date, Decimal], window: Window) -> Decimal:
    first, until = day_of(window.start), day_of(window.end)
    return add(*(amount for day, amount in days.items() if first <= day < until))


def _stand(budget: Budget, charges: _Charges, today: date, before: Remembered | None) -> tuple[Standing, Remembered]:
    period = budget.period_of(today)
    name = budget.period_id(period)
    # Only whole periods are known: the first charge may lie in the middle of one.
    history = closed_periods(budget, today, before, charges.since, charges.edge or charges.since, charges.sum)
    limit, why = limit_of(budget, name, history, before)
    spent, sure = charges.sum(period), _sum(charges.settled_days, period)
    expected, unforeseen = _expected(charges, period)
    projection = None if expected is None else _projection(expected, charges, period, spent)
    crossed = budget.crossed(spent, limit)
    standing = Standing(
        budget=budget,
        period=period,
        period_id=name,
        limit=limit,
        adjusted=why,
        spent=spent,
        spent_settled=sure,
        settled_until=charges.edge,
        elapsed=RATIO.divide(Decimal((today - day_of(period.start)).days), Decimal(_length(period))),
        fast=_burn(charges, period, limit, 1),
        slow=_burn(charges, period, limit, _WEEK),
        projection=projection,
        unforeseen=unforeseen,
        exhausted_on=_exhausted(charges, period, limit, expected),
        status=_status(spent, projection, limit),
        crossed=crossed,
        projected_crossed=budget.crossed(projection.total, limit) if projection else crossed,
        settled=budget.crossed(sure, limit) == crossed,
        elsewhere={currency: total for currency, days in charges.elsewhere.items() if (total := _sum(days, period))},
        history=history,
    )
    return standing, remember(budget, period, limit, why, history)


def _length(period: Window) -> int:
    return (period.end - period.start) // DAY


def _status(spent: Decimal, projection: Projection | None, limit: Decimal) -> Status:
    if spent > limit:
        return Status.OVER
    return Status.AT_RISK if projection and projection.total > limit else Status.ON_TRACK


def _burn(charges: _Charges, period: Window, limit: Decimal, days: int) -> Burn | None:
    """The mean of the last settled days; None where fewer are known."""
    if charges.edge is None or charges.edge - days * DAY < charges.since:
        return None
    spent = charges.sum(Window.of_days(charges.edge - days * DAY, charges.edge))
    per_day = RATIO.divide(spent, Decimal(days))
    return Burn(per_day, RATIO.divide(RATIO.multiply(per_day, Decimal(_length(period))), limit))


def _expected(charges: _Charges, period: Window) -> tuple[Expected | None, str]:
    """The forecast of the period's days that have not settled, or why there is none."""
    if charges.edge is None or charges.edge <= charges.since:
        return None, "no day has settled yet"
    known = list(Window.of_days(charges.since, charges.edge).days())
    until = max(day_of(period.end), charges.edge)
    unsettled = Window.of_days(charges.edge, until).days()
    past, partial = ([float(charges.of_day(day)) for day in days] for days in (known, unsettled))
    try:
        return finish(np.array([past]), known, period, [partial]), ""
    except TooYoung as error:
        return None, str(error)


def _projection(expected: Expected, charges: _Charges, period: Window, spent: Decimal) -> Projection:
    """The exact sum of settled days and the forecast of the others; intervals reach from there."""
    assert charges.edge is not None
    exact = _sum({day: amount for day, amount in charges.days.items() if day < charges.edge}, period)
    total = add(exact, _money(expected.rest[0]))
    ends = []
    for level in (0.80, 0.95):
        low, high = expected.interval(level)
        below, above = _money(expected.total[0] - low[0]), _money(high[0] - expected.total[0])
        # What is billed is billed; where the rest brings money back, it is less than that in the end.
        ends += [max(RATIO.subtract(total, below), min(spent, total)), add(total, above)]
    return Projection(total, *ends)


def _money(amount: float) -> Decimal:
    return RATIO.quantize(RATIO.create_decimal_from_float(float(amount)), _STEP)


def _exhausted(charges: _Charges, period: Window, limit: Decimal, expected: Expected | None) -> date | None:
    total = ZERO
    outlook = expected.outlook if expected else None
    for day in period.days():
        cost = charges.of_day(day)
        if outlook is not None and day >= outlook.first:
            cost = max(cost, _money(outlook.mean[0, (day - outlook.first).days]))
        total = add(total, cost)
        if total > limit:
            return day
    return None
