"""What asking has cost, as the state file keeps it: by source, UTC month and operation; and how large answers were.

Months are those of the business clock. Amounts are exact decimal text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from exporter.costs.money import MONEY, ZERO, add, text
from exporter.periods import Grain, Month, Window

if TYPE_CHECKING:
    import sqlite3

USD = "USD"
"""The currency of caps: every vendor that charges for asking charges in it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one operation of a source has cost in one UTC month, in one currency."""

    source: str
    month: Month
    operation: str
    currency: str
    requests: int
    charge: Decimal
    units: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """How large the answers of one operation were when so many days were asked for last."""

    operation: str
    grain: Grain
    days: int
    questions: int
    """How many of them; 0 where the provider's `calls` do not name the operation."""
    pages: int
    charge: Decimal
    currency: str
    units: Mapping[str, Decimal] = field(default_factory=dict)


class Spending:
    """The part of the state file that knows what asking costs. `State` inherits it."""

    if TYPE_CHECKING:
        _db: sqlite3.Connection

        def _read(self, sql: str, *parameters: str) -> list[sqlite3.Row]: ...

        def _writing(self) -> AbstractContextManager[None]: ...

        def _add(self, name: str, source: str, label: str, amount: Decimal) -> None: ...

    def spend(self, asked: Spent, own: Decimal | None = None, overall: Decimal | None = None) -> bool:
        """Enter a request, unless it would take the month past a cap in USD: of its source, or of all. Whether it did.

        One transaction, so that two sources at once cannot both take the last cent.
        """
        with self._writing():
            if asked.charge > 0 and asked.currency == USD:
                source, everything = self._usd(asked.month, asked.source), self._usd(asked.month)
                for limit, spent in ((own, source), (overall, everything)):
                    if limit is not None and MONEY.add(spent, asked.charge) > limit:
                        return False
            self._enter(asked)
            self._add("cloudspend_source_api_requests_total", asked.source, "", Decimal(asked.requests))
        return True

    def unspend(self, asked: Spent) -> None:
        """Take back what an entered request was to cost: it ended in an error. It stays counted as a request."""
        with self._writing():
            units = {unit: amount.copy_negate() for unit, amount in asked.units.items()}
            key = (asked.source, asked.month, asked.operation, asked.currency)
            self._enter(Spent(*key, 0, asked.charge.copy_negate(), units))

    def paid(self, asked: Spent) -> None:
        """Count what an answer cost."""
        with self._writing():
            if asked.charge:
                self._add("cloudspend_source_api_charges_total", asked.source, asked.currency, asked.charge)
            for unit, amount in asked.units.items():
                self._add("cloudspend_source_api_units_total", asked.source, unit, amount)

    def spending(self) -> list[Spent]:
        """The whole ledger, ordered."""
        rows = self._read("SELECT * FROM spending ORDER BY source, month, operation, currency")
        return [
            Spent(
                row["source"],
                Month.parse(row["month"]),
                row["operation"],
                row["currency"],
                row["requests"],
                Decimal(row["charge"]),
                _amounts(row["units"]),
            )
            for row in rows
        ]

    def usd_spent(self, month: Month, source: str | None = None) -> Decimal:
        """What a month has cost so far, of one source or of all, those that are configured no more too."""
        return self._usd(month, source)

    def answers(self, source: str, asked_as: str) -> list[Answer]:
        """How large the last answers to this question were, for each number of days that was asked for."""
        rows = self._read("SELECT * FROM answers WHERE source = ? AND asked_as = ? ORDER BY days", source, asked_as)
        return [
            Answer(
                row["operation"],
                Grain(row["grain"]),
                row["days"],
                row["questions"],
                row["pages"],
                Decimal(row["charge"]),
                row["currency"],
                _amounts(row["units"]),
            )
            for row in rows
        ]

    def keep_answers(self, source: str, asked_as: str, answers: Iterable[Answer]) -> None:
        """Remember how large answers were; those to another question are forgotten."""
        with self._writing():
            self._db.execute("DELETE FROM answers WHERE source = ? AND asked_as <> ?", (source, asked_as))
            rows = [
                (
                    *(source, asked_as, a.operation, a.grain, a.days),
                    *(a.questions, a.pages, text(a.charge), a.currency, _text(a.units)),
                )
                for a in answers
            ]
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def pace(self, sources: Collection[str]) -> Decimal:
        """USD a day that these sources spend together at their regular intervals, as of their last polls."""
        rows = self._read("SELECT source, usd_per_day FROM paces")
        return add(*(Decimal(row["usd_per_day"]) for row in rows if row["source"] in sources))

    def keep_pace(self, source: str, usd_per_day: Decimal) -> None:
        """Remember what a source spends at its regular interval."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO paces VALUES (?, ?)", (source, text(usd_per_day)))

    def backfilled_months(self, source: str, asked_as: str, whole: Window) -> frozenset[Month]:
        """The months that an unfinished back-fill of this window has done already."""
        rows = self._read(
            "SELECT month FROM backfills WHERE source = ? AND asked_as = ? AND window = ?", source, asked_as, str(whole)
        )
        return frozenset(Month.parse(row["month"]) for row in rows)

    def keep_backfilled(self, source: str, asked_as: str, whole: Window, month: Month) -> None:
        """Remember that a back-fill has done a month. One of another window or question starts anew."""
        with self._writing():
            self._db.execute(
                "DELETE FROM backfills WHERE source = ? AND (asked_as <> ? OR window <> ?)",
                (source, asked_as, str(whole)),
            )
            row = (source, asked_as, str(whole), str(month))
            self._db.execute("INSERT OR REPLACE INTO backfills VALUES (?, ?, ?, ?)", row)

    def end_backfill(self, source: str) -> None:
        """Forget how far a back-fill came: it is whole."""
        with self._writing():
            self._db.execute("DELETE FROM backfills WHERE source = ?", (source,))

    def _usd(self, month: Month, source: str | None = None) -> Decimal:
        sql, parameters = "SELECT charge FROM spending WHERE currency = ? AND month = ?", [USD, str(month)]
        if source is not None:
            sql, parameters = f"{sql} AND source = ?", [*parameters, source]
        return add(*(Decimal(row["charge"]) for row in self._read(sql, *parameters)))

    def _enter(self, asked: Spent) -> None:
        key = (asked.source, str(asked.month), asked.operation, asked.currency)
        found = self._db.execute(
            "SELECT requests, charge, units FROM spending"
            " WHERE source = ? AND month = ? AND operation = ? AND currency = ?",
            key,
        ).fetchone()
        requests, charge, units = (found[0], Decimal(found[1]), _amounts(found[2])) if found else (0, ZERO, {})
        for unit, amount in asked.units.items():
            units[unit] = MONEY.add(units.get(unit, ZERO), amount)
        row = (*key, requests + asked.requests, text(MONEY.add(charge, asked.charge)), _text(units))
        self._db.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _text(amounts: Mapping[str, Decimal]) -> str:
    return json.dumps({unit: text(amount) for unit, amount in sorted(amounts.items())})


def _amounts(written: str) -> dict[str, Decimal]:
    return {unit: Decimal(amount) for unit, amount in json.loads(written).items()}
