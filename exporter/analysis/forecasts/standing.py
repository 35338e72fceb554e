"""What the bill of this month comes to, by provider and currency: the published forecast.

It is about every charge but credits, as budgets are, on the amounts that the metrics show (`analysis/basis.py`): on the
last day it is the sum of `cloudspend_month_to_date_cost{charge_category!="credit"}`. What has settled is exact; only
the rest is estimated.

Taxes are not forecast by the day: a bill has them once a month, in full (of the month before) or growing beside what is
taxed. They are taken for the share of the other charges that they were last month.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from exporter.analysis.basis import Unknown, primary
from exporter.analysis.forecasts.months import Expected, finish, nowcast
from exporter.analysis.forecasts.profile import Array
from exporter.analysis.forecasts.replay import replay, whole_months
from exporter.analysis.forecasts.series import least
from exporter.analysis.series import born
from exporter.costs import ChargeCategory, Cost, CostTable
from exporter.costs.money import ZERO, add
from exporter.periods import DAY, Month, Window, day_of

HISTORY = 200
"""Days that are worth handing in. The models look at 24 weeks, and the past month ends lie among them."""
MONTHS = 6
"""So many past months say how good the forecast has been."""

_CREDIT, _TAX = ChargeCategory.CREDIT.value.lower(), ChargeCategory.TAX.value.lower()
_CENTS = 6
"""Digits behind the point of what is estimated. Nobody knows so many."""

Account = tuple[str, str]
"""Provider and currency."""
Days = Mapping[date, Decimal]


@dataclass(frozen=True, slots=True)
class Charges:
    """What one source billed day by day, without credits."""

    settled: date
    """The newest settled day."""
    untaxed: Mapping[Account, Days]
    tax: Mapping[Account, Days]
    silent: frozenset[date] = frozenset()
    """Days on which the source did not answer."""


@dataclass(frozen=True, slots=True)
class MonthForecast:
    """What a UTC month costs in the end, and what it has cost until now. Amounts are in `currency`."""

    provider: str
    currency: str
    month: Month
    settled_until: date
    """The newest day that has settled in every source of the provider. It may lie before the month."""
    settled: Decimal
    """Of the month's settled days: exact."""
    total: Decimal
    """`settled` and what is expected of the rest."""
    lower: Decimal
    """The ends of the 80 % interval of the total, and of the 95 % one."""
    upper: Decimal
    lower95: Decimal
    upper95: Decimal
    nowcast: Decimal
    """Until now, what is not billed yet included, and its 80 % interval."""
    nowcast_lower: Decimal
    nowcast_upper: Decimal
    error: float | None
    """Median mistake of month ends forecast in past months, from their 5th to their 25th day, as a share of what came;
    None where there are none."""
    coverage: float | None
    """The share of them that lay in their 80 % interval."""


def charges(
    costs: CostTable,
    window: Window,
    settled: date,
    basis: Cost = Cost.BILLED,
    unknown: Unknown = frozenset(),
    silent: Collection[date] = (),
) -> Charges:
    """One source's days of a window. Wanted are `HISTORY` of them, with today; `unknown` as `basis.unknown` says."""
    found: dict[str, dict[Account, dict[date, Decimal]]] = {"": {}, _TAX: {}}
    lines = costs.during(window).without(charge_category=_CREDIT).by("source", "provider", "charge_category", "day")
    for line in lines.rows():
        source, provider, category, day = line.key
        amount = primary(line, source, provider, basis, unknown)
        mine = found[_TAX if category == _TAX else ""].setdefault((provider, line.currency), {})
        when = date.fromisoformat(day)
        mine[when] = add(mine.get(when, ZERO), amount)
    return Charges(settled, found[""], found[_TAX], frozenset(silent))


def standing(bills: Sequence[Charges], now: datetime, model: str = "auto") -> list[MonthForecast]:
    """A forecast of this UTC month for each provider and currency with enough history, in their order.

    Leave out bills that have ended. A provider waits for the slowest of its sources.
    """
    accounts = sorted({account for bill in bills for account in (*bill.untaxed, *bill.tax)})
    merged = [_merged(account, bills, day_of(now)) for account in accounts]
    found: list[MonthForecast] = []
    for edge in sorted({each.settled for each in merged}):
        some = [each for each in merged if each.settled == edge and each.history >= least(model)]
        if some:
            found += _forecast(some, edge, now, model)
    return sorted(found, key=lambda each: (each.provider, each.currency))


@dataclass(frozen=True, slots=True)
class _Account:
    """A provider and currency over all its sources."""

    name: Account
    settled: date
    exact: Days
    """Every charge."""
    tax: Days
    untaxed: Days
    usual: Days = field(default_factory=dict)
    """Untaxed charges as the models see them: on a day without an answer, as a week before."""

    @property
    def history(self) -> int:
        """Settled days since the first charge."""
        return (self.settled - min(self.usual)).days + 1 if self.usual else 0


def _merged(name: Account, bills: Sequence[Charges], today: date) -> _Account:
    mine = [bill for bill in bills if name in bill.untaxed or name in bill.tax]
    untaxed: dict[date, Decimal] = {}
    usual: dict[date, Decimal] = {}
    tax: dict[date, Decimal] = {}
    exact: dict[date, Decimal] = {}
    for bill in mine:
        filled = dict(bill.untaxed.get(name, {}))
        _sum_up(untaxed, filled)
        for day in sorted(bill.silent):
            if day < today and (before := filled.get(day - 7 * DAY)) is not None:
                filled.setdefault(day, before)
        _sum_up(usual, filled)
        _sum_up(tax, bill.tax.get(name, {}))
    _sum_up(exact, untaxed)
    _sum_up(exact, tax)
    return _Account(name, min(bill.settled for bill in mine), exact, tax, untaxed, usual)


def _sum_up(into: dict[date, Decimal], days: Days) -> None:
    for day, amount in days.items():
        into[day] = add(into.get(day, ZERO), amount)


def _forecast(some: Sequence[_Account], edge: date, now: datetime, model: str) -> list[MonthForecast]:
    """All that have settled up to one day, together: they tell each other how large mistakes are."""
    month = Month.containing(now)
    first = min(min(each.usual) for each in some)
    newest = max(edge, day_of(now))
    days = list(Window.of_days(first, newest + DAY).days())
    matrix = np.array([[float(each.usual.get(day, ZERO)) for day in days] for each in some])
    known = (edge - first).days + 1
    history, past, partial = born(matrix[:, :known]), days[:known], matrix[:, known:]
    end = finish(history, past, month.window(), partial, model)
    until = nowcast(history, past, now, partial, model)
    before = replay(history, past, whole_months(past)[-MONTHS:], model=model)
    found = []
    for row, each in enumerate(some):
        settled = _within(each.exact, month.first, edge + DAY)
        whole = _Rest(each, month, edge, end, row)
        part = _Rest(each, month, edge, until, row)
        lower, upper = whole.interval(0.8)
        lower95, upper95 = whole.interval(0.95)
        low_now, high_now = part.interval(0.8)
        found.append(
            MonthForecast(
                provider=each.name[0],
                currency=each.name[1],
                month=month,
                settled_until=edge,
                settled=settled,
                total=add(settled, whole.amount),
                lower=add(settled, lower),
                upper=add(settled, upper),
                lower95=add(settled, lower95),
                upper95=add(settled, upper95),
                nowcast=add(settled, part.amount),
                nowcast_lower=add(settled, low_now),
                nowcast_upper=add(settled, high_now),
                error=_known(before.error, row),
                coverage=_known(before.coverage, row),
            )
        )
    return found


class _Rest:
    """What an account costs beyond what has settled: untaxed charges as forecast, and the taxes on them."""

    def __init__(self, account: _Account, month: Month, edge: date, expected: Expected, row: int) -> None:
        begin, end, last = month.first, month.next().first, month.previous().first
        self._expected, self._row = expected, row
        self._untaxed = float(_within(account.untaxed, begin, edge + DAY))
        self._settled_tax = float(_within(account.tax, begin, edge + DAY))
        self._tax = _Tax(
            so_far=float(_within(account.tax, begin, end)),
            untaxed_so_far=float(_within(account.untaxed, begin, end)),
            last=float(_within(account.tax, last, begin)),
            untaxed_last=float(_within(account.untaxed, last, begin)),
        )

    @property
    def amount(self) -> Decimal:
        """The expected one."""
        return self._with_tax(float(self._expected.rest[self._row]))

    def interval(self, level: float) -> tuple[Decimal, Decimal]:
        """Between which amounts it lies."""
        low, high = (
            float(ends[self._row] - self._expected.settled[self._row]) for ends in self._expected.interval(level)
        )
        return self._with_tax(low), self._with_tax(high)

    def _with_tax(self, rest: float) -> Decimal:
        tax = self._tax.of(self._untaxed + rest) - self._settled_tax
        return Decimal(str(round(rest + tax, _CENTS)))


@dataclass(frozen=True, slots=True)
class _Tax:
    """What of this month's taxes is billed, and what was last month. Untaxed: what the other charges came to."""

    so_far: float
    untaxed_so_far: float
    last: float
    untaxed_last: float

    def of(self, untaxed: float) -> float:
        """The taxes of this month once the other charges are so high. Never less than are billed."""
        if self.last <= 0 or self.untaxed_last <= 0:
            return self.so_far
        share = self.last / self.untaxed_last
        if self.so_far <= 0:
            return max(self.so_far, share * untaxed)
        # A tax that came in full is about as high as last month's; one that grows, about its share of what there is.
        grows = share * self.untaxed_so_far
        if grows > 0 and abs(math.log(self.so_far / grows)) < abs(math.log(self.so_far / self.last)):
            return max(self.so_far, share * untaxed)
        return self.so_far


def _within(days: Days, first: date, until: date) -> Decimal:
    return add(*(amount for day, amount in days.items() if first <= day < until))


def _known(values: Array, row: int) -> float | None:
    return float(values[row]) if math.isfinite(values[row]) else None
