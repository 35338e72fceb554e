"""What each line of the bill cost, day by day, as a matrix: the form in which judgement looks at charges.

Usage charges only: fees, taxes, credits and refunds come by the calendar or by decision, not by what runs. Effective
cost where the bill can be trusted to know it, else billed (`analysis/basis.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.basis import Unknown, unknown
from exporter.costs import ChargeCategory, Cost, CostTable, Matrix
from exporter.periods import DAY, Window

ALL = "all"
"""The word of a dimension that is rolled up."""

_DIMENSIONS = ("source", "provider", "account", "service", "region")


class Scope(NamedTuple):
    """What a series is about. A dimension that is rolled up is `all`; a scope never spans two sources or currencies."""

    source: str
    provider: str
    account: str
    service: str
    region: str
    currency: str

    def holds(self, other: Scope) -> bool:
        """Whether everything that `other` is about lies in this scope."""
        return all(mine in (ALL, its) for mine, its in zip(self, other, strict=True))


@dataclass(frozen=True, slots=True)
class Series:
    """Series × days in the currency of each scope; NaN before a series' first charge, 0 on later days without one."""

    scopes: tuple[Scope, ...]
    days: tuple[date, ...]
    values: NDArray[np.float64]

    @classmethod
    def nothing(cls) -> Series:
        """No series at all."""
        return cls((), (), np.zeros((0, 0)))

    def until(self, day: date) -> Series:
        """What was known of the days up to and with `day`."""
        kept = sum(each <= day for each in self.days)
        return Series(self.scopes, self.days[:kept], self.values[:, :kept])

    def since(self, day: date) -> Series:
        """Without the days before `day`; a series that began before has no NaN left."""
        left = sum(each < day for each in self.days)
        return Series(self.scopes, self.days[left:], self.values[:, left:])

    def of(self, sources: Collection[str]) -> Series:
        """Only the series of these sources."""
        rows = [row for row, scope in enumerate(self.scopes) if scope.source in sources]
        return Series(tuple(self.scopes[row] for row in rows), self.days, self.values[rows])


def usage(costs: CostTable, window: Window, known: Unknown | None = None) -> Series:
    """The usage of a window by source, provider, account, service, region and currency; its days have all a column.

    `known`: whose effective cost is not to be trusted, judged over more than the window; of these charges unless given.
    """
    charges = costs.where(charge_category=ChargeCategory.USAGE.value.lower()).without(charge_category="refund")
    untrusted = unknown(costs, Cost.EFFECTIVE) if known is None else known
    found = charges.during(window)
    parts = [(found.matrix(*_DIMENSIONS, cost=Cost.EFFECTIVE), False)]
    if untrusted:
        sources = {source for source, _, _ in untrusted}
        parts.append((found.where(source=sources).matrix(*_DIMENSIONS, cost=Cost.BILLED), True))
    rows: list[tuple[Scope, Matrix, int]] = []
    for matrix, billed in parts:
        for row, labels in enumerate(matrix.labels):
            scope = Scope(*labels)
            if ((scope.source, scope.provider, scope.currency) in untrusted) is billed:
                rows.append((scope, matrix, row))
    return _matrix(sorted(rows, key=lambda each: each[0]), tuple(window.days()))


def _matrix(rows: Sequence[tuple[Scope, Matrix, int]], days: Sequence[date]) -> Series:
    values = np.zeros((len(rows), len(days)))
    for place, (_, matrix, row) in enumerate(rows):
        begin = (matrix.days[0] - days[0]) // DAY
        values[place, begin : begin + len(matrix.days)] = matrix.values[row]
    return Series(tuple(scope for scope, _, _ in rows), tuple(days), born(values))


def born(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with NaN before the first charge of each series."""
    before = np.cumsum(np.abs(values) > 0, axis=1) == 0
    return np.where(before, np.nan, values)


def gaps(series: Series, missing: Iterable[date]) -> Series:
    """Days on which a source did not answer, taken as the same weekday of the week before: silence is no saving."""
    values = series.values.copy()
    place = {day: number for number, day in enumerate(series.days)}
    for day in sorted(set(missing) & set(place)):
        if (column := place[day]) >= 7:
            values[:, column] = values[:, column - 7]
    return Series(series.scopes, series.days, values)
