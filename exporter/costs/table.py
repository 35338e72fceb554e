"""CostTable: a lazy, immutable relation over charges. Its verbs compose, and each answer is one SQL statement.

    costs.during(september).where(provider="aws").without(charge_category="credit").by("service").rows()

Currencies are never added: every answer is split by currency, and `sum()` refuses a table that holds two.
"""

from __future__ import annotations

import itertools
import json
import re
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from exporter.costs import engine
from exporter.costs.engine import literal
from exporter.costs.model import COLUMNS, COSTS, NAMES, NONE, Column, Cost, CostBasis, CostRow
from exporter.costs.money import SQL_TYPE, ZERO, stored
from exporter.errors import CloudspendError, MixedCurrencies
from exporter.periods import Window

_DIMENSIONS: Mapping[str, str] = {
    "source": "SourceId",
    "provider": "ServiceProviderName",
    "account": "SubAccountId",
    "billing_account": "BillingAccountId",
    "service": "ServiceName",
    "region": "RegionId",
    "charge_category": "lower(ChargeCategory)",
    "currency": "BillingCurrency",
    "commitment_status": f"coalesce(nullif(lower(CommitmentDiscountStatus), ''), '{NONE}')",
    "invoice": f"coalesce(nullif(InvoiceId, ''), '{NONE}')",
    "hour": "strftime(ChargePeriodStart, '%Y-%m-%dT%H:00Z')",
    "day": "strftime(ChargePeriodStart, '%Y-%m-%d')",
    "month": "strftime(ChargePeriodStart, '%Y-%m')",
    # Half a day on, a month cut at Beijing's or the Pacific coast's midnight bears its own name in UTC too.
    "billing_month": "strftime(BillingPeriodStart + INTERVAL 12 HOUR, '%Y-%m')",
}

REFUND = "refund"
"""What `without(charge_category=…)` takes beside the categories: money that came back (`CostRow.refund`)."""

_COUNTER = itertools.count()

_BETWEEN = "\x1f"
"""The unit separator of ASCII: between values that travel as one text."""

PLAIN = r"-?[0-9]{1,14}(\.[0-9]{1,24})?"
"""What is stored as it is written: `money.stored` changes and refuses nothing of this form."""

_plain = re.compile(PLAIN).fullmatch
_str = Decimal.__str__
"""TypeError for what is no Decimal: a float must not get in by looking like one."""


def dimension(name: str) -> str:
    """The SQL behind a dimension (`service`, `day`, `tag:team`). CloudspendError for a name that is none."""
    if name.startswith("tag:"):
        return f"coalesce(nullif(Tags[{literal(name[4:])}], ''), '{NONE}')"
    try:
        return _DIMENSIONS[name]
    except KeyError:
        known = ", ".join(_DIMENSIONS)
        raise CloudspendError(f"{name!r} is not a dimension. hint: one of {known}, or tag:<key>") from None


class CostLine(NamedTuple):
    """One group of charges: its labels in the order they were asked for, and the exact sums of its four amounts."""

    key: tuple[str, ...]
    currency: str
    billed: Decimal
    effective: Decimal
    list: Decimal | None
    """None where no row of the group has a list price; else the sum over those that have."""
    contracted: Decimal | None
    rows: int
    """How many lines of the bill were summed."""

    def amount(self, cost: Cost) -> Decimal:
        """One of the four amounts; 0 where the bill does not know it."""
        value: Decimal | None = getattr(self, cost.value)
        return ZERO if value is None else value


class Matrix(NamedTuple):
    """Series × days, for the analyses: `values[i][j]` is the cost of `labels[i]` on `days[j]`, 0 where none.

    Doubles, for statistics only; `array('d')` is what numpy wraps without copying.
    """

    labels: tuple[tuple[str, ...], ...]
    days: tuple[date, ...]
    values: tuple[array[float], ...]


@dataclass(frozen=True, slots=True)
class CostTable:
    """Charges, not yet counted. Make one with `of` (rows), `over` (SQL) or `nothing`; every verb returns a new one."""

    _sql: str
    _parameters: Mapping[str, object] = field(default_factory=dict, repr=False)
    _conditions: tuple[str, ...] = ()
    _by: tuple[str, ...] = ()
    _owner: object = field(default=None, repr=False, compare=False)

    @classmethod
    def over(cls, sql: str, parameters: Mapping[str, object] | None = None, owner: object = None) -> CostTable:
        """A table over a SELECT that yields every stored column. `owner` lives as long as the table does."""
        return cls(sql, dict(parameters or {}), _owner=owner)

    @classmethod
    def nothing(cls) -> CostTable:
        """The table without charges."""
        return cls.of(())

    @classmethod
    def of(cls, rows: Iterable[CostRow]) -> CostTable:
        """A table of rows held in memory. ValueError where an amount cannot be one (`money.stored`)."""
        some = list(rows)
        columns = _texts(some)
        sent = {name: _sent(texts) for name, texts in columns.items()}
        n = next(_COUNTER)
        lists = ", ".join(f"{_list(f'c{n}_{name}', value)} AS {name}" for name, value in sent.items())
        select = ", ".join(f"{_cast(column)} AS {column.name}" for column in COLUMNS)
        table = cls(
            f"SELECT {select} FROM (SELECT unnest(range({len(some)})), {lists})",
            {f"c{n}_{name}": value for name, value in sent.items()},
        )
        return table.kept()

    def kept(self) -> CostTable:
        """The same charges, evaluated now and held in memory: later questions do not read the source again."""
        select, parameters = self._charges()
        columns = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in COLUMNS)
        kept = engine.Kept(f"SELECT {columns} FROM ({select})", parameters)
        return CostTable.over(f"SELECT * FROM {kept.name}", owner=kept)

    def where(self, **labels: str | Collection[str]) -> CostTable:
        """Only charges whose labels have these values; several values of one label are alternatives."""
        return self._with(*(_one_of(name, values) for name, values in labels.items()))

    def without(self, **labels: str | Collection[str]) -> CostTable:
        """Leave out charges whose labels have these values. `charge_category="refund"` means money that came back."""
        conditions = []
        for name, values in labels.items():
            chosen = {values} if isinstance(values, str) else set(values)
            if name == "charge_category" and REFUND in chosen:
                conditions.append("NOT IsRefund")
                chosen.discard(REFUND)
            if chosen:
                conditions.append(f"NOT {_one_of(name, chosen)}")
        return self._with(*conditions)

    def during(self, window: Window) -> CostTable:
        """Only charges whose period starts in the window."""
        return self._with(f"ChargePeriodStart >= {_at(window.start)} AND ChargePeriodStart < {_at(window.end)}")

    def by(self, *dimensions: str) -> CostTable:
        """Group by these dimensions (`provider`, `service`, `day`, `tag:team` …), and always by currency."""
        for name in dimensions:
            dimension(name)
        return replace(self, _by=tuple(dimensions))

    def rows(self) -> list[CostLine]:
        """One line per group and currency, ordered by its labels. Without `by`: one line per currency."""
        select, parameters = self._charges()
        keys = [f"{dimension(name)} AS k{i}" for i, name in enumerate(self._by)]
        sums = [f"sum({cost})::{SQL_TYPE} AS {cost}" for cost in COSTS]
        order = ", ".join([*(f"k{i}" for i in range(len(self._by))), "BillingCurrency"])
        found = engine.run(
            f"SELECT {', '.join([*keys, 'BillingCurrency', *sums])}, sum(RowCount)::BIGINT FROM ({select})"
            f" GROUP BY {order} ORDER BY {order}",
            parameters,
        )
        n = len(self._by)
        return [CostLine(tuple(map(str, row[:n])), *row[n:]) for row in found]

    def sum(self, cost: Cost = Cost.BILLED) -> Decimal:
        """The exact total of one amount, 0 for a table without charges. MixedCurrencies where it holds two."""
        lines = self.by().rows()
        if len(lines) > 1:
            currencies = ", ".join(line.currency for line in lines)
            raise MixedCurrencies(f"cannot add {currencies}. hint: group by currency, or choose one")
        return lines[0].amount(cost) if lines else ZERO

    def daily(self, cost: Cost = Cost.BILLED) -> dict[date, Decimal]:
        """Day → total of one amount, only days with charges. MixedCurrencies where the table holds two."""
        lines = self.by("day").rows()
        if len({line.currency for line in lines}) > 1:
            raise MixedCurrencies("a daily series has one currency. hint: group by currency, or choose one")
        return {date.fromisoformat(line.key[0]): line.amount(cost) for line in lines}

    def matrix(self, *dimensions: str, cost: Cost = Cost.BILLED) -> Matrix:
        """Series × days as doubles; every day between the first and the last charge has a column."""
        lines = self.by(*dimensions, "currency", "day").rows()
        if not lines:
            return Matrix((), (), ())
        seen = sorted({date.fromisoformat(line.key[-1]) for line in lines})
        days = (*Window.of_days(seen[0], seen[-1]).days(), seen[-1])
        place = {day.isoformat(): j for j, day in enumerate(days)}
        values: dict[tuple[str, ...], array[float]] = {}
        for line in lines:
            series = values.setdefault(line.key[:-1], array("d", bytes(8 * len(days))))
            series[place[line.key[-1]]] = float(line.amount(cost))
        return Matrix(tuple(values), days, tuple(values.values()))

    def span(self) -> Window | None:
        """From the first charge's start to the last charge's end; None for a table without charges."""
        select, parameters = self._charges()
        [(start, end)] = engine.run(f"SELECT min(ChargePeriodStart), max(ChargePeriodEnd) FROM ({select})", parameters)
        return Window(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)) if start else None

    def select(self, *expressions: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of an SQL select list over the charges, for code that lives with the table (store, normalise)."""
        select, parameters = self._charges()
        return engine.run(f"SELECT {', '.join(expressions)} FROM ({select}) WHERE {where}", parameters)

    def mapped(self, **columns: str) -> CostTable:
        """The same charges with some columns replaced by SQL expressions over the old ones, summed anew."""
        select, parameters = self._charges()
        listed = ", ".join(f"{columns[name]} AS {name}" if name in columns else name for name in NAMES)
        return CostTable(f"SELECT {listed} FROM ({select})", parameters, _owner=self._owner)

    def sql(self) -> tuple[str, Mapping[str, object]]:
        """The SELECT of its charges, and the parameters it needs; the store writes from it."""
        return self._charges()

    def _with(self, *conditions: str) -> CostTable:
        return replace(self, _conditions=(*self._conditions, *conditions))

    def _charges(self) -> tuple[str, Mapping[str, object]]:
        where = f" WHERE {' AND '.join(self._conditions)}" if self._conditions else ""
        return f"SELECT * FROM ({self._sql}){where}", self._parameters


def written(amount: Decimal) -> str:
    """An amount as the text that DuckDB takes as it is. ValueError where it cannot be one (`money.stored`)."""
    text = _str(amount)
    return text if _plain(text) else format(stored(amount), "f")


def _one_of(name: str, values: str | Collection[str]) -> str:
    chosen = sorted({values} if isinstance(values, str) else set(values))
    return f"({dimension(name)} IN ({', '.join(literal(value) for value in chosen)}))" if chosen else "(false)"


def _at(instant: datetime) -> str:
    return f"TIMESTAMP '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


def _texts(rows: list[CostRow]) -> dict[str, list[str]]:
    """Every column of the rows as texts, in which nothing stands for null."""
    periods: dict[tuple[object, ...], tuple[str, str, str]] = {}  # a bill has few, and they take long to work out
    for row in rows:
        if (key := (row.start, row.end, row.billing_month)) not in periods:
            periods[key] = (_instant(row.begins), _instant(row.ends), _instant(row.billed_from))
    mine = [periods[row.start, row.end, row.billing_month] for row in rows]
    billed = [_amount(row.billed) for row in rows]
    return {
        "SourceId": [""] * len(rows),
        "ChargePeriodStart": [begins for begins, _, _ in mine],
        "ChargePeriodEnd": [ends for _, ends, _ in mine],
        "BillingPeriodStart": [billed_from for _, _, billed_from in mine],
        "ServiceProviderName": [row.provider for row in rows],
        "BillingAccountId": [row.billing_account for row in rows],
        "SubAccountId": [row.account for row in rows],
        "ServiceName": [row.service for row in rows],
        "RegionId": [row.region for row in rows],
        "ChargeCategory": [row.category.value for row in rows],
        "ChargeClass": [row.charge_class for row in rows],
        "CommitmentDiscountStatus": [row.commitment_status for row in rows],
        "InvoiceId": [row.invoice for row in rows],
        "BillingCurrency": [row.currency for row in rows],
        "Tags": [json.dumps(dict(sorted(row.tags.items()))) if row.tags else "{}" for row in rows],
        "CostBasis": [(CostBasis.BILLED if row.effective is None else CostBasis.REPORTED).value for row in rows],
        "IsEstimated": [str(row.estimated) for row in rows],
        "IsRefund": [str(row.refund) for row in rows],
        "BilledCost": billed,
        "EffectiveCost": [_amount(row.effective) or text for row, text in zip(rows, billed, strict=True)],
        "ListCost": [_amount(row.list) for row in rows],
        "ContractedCost": [_amount(row.contracted) for row in rows],
        "RowCount": ["1"] * len(rows),
    }


def _sent(texts: list[str]) -> str | list[str]:
    """A column as it travels to DuckDB: in one text, which is far quicker than value by value; or as it is.

    The text is the one value that all rows have; or all values with what stands between them in front.
    """
    first = texts[0] if texts else ""
    if texts.count(first) == len(texts) and not first.startswith(_BETWEEN):
        return first
    joined = _BETWEEN + _BETWEEN.join(texts)
    return joined if joined.count(_BETWEEN) == len(texts) else texts


def _list(parameter: str, sent: str | list[str]) -> str:
    """SQL for the column that was sent as a parameter: a text for all rows, or one for each."""
    if isinstance(sent, list):
        return f"unnest(${parameter}::VARCHAR[])"
    if not sent.startswith(_BETWEEN):
        return f"${parameter}::VARCHAR"
    return f"unnest(string_split(substr(${parameter}, 2), {literal(_BETWEEN)}))"


def _cast(column: Column) -> str:
    """SQL from the text that it travels as to its own type."""
    if column.type.startswith("MAP"):
        return f"CAST(CAST({column.name} AS JSON) AS {column.type})"
    return column.name if column.type == "VARCHAR" else f"CAST(nullif({column.name}, '') AS {column.type})"


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else written(amount)


def _instant(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(" ")
