"""How the answer of Athena becomes charges: sums by type of line, as the Cost and Usage Report or FOCUS means them.

The same rules as for reports in files (`aws_export_columns`), on sums in place of lines: Σ billed is the sum of the
lines as AWS wrote them; usage under a savings plan is billed 0, as its negation takes back what the line says, and what
of such pairs does not cancel stays as the service `NEGATION`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from exporter.costs import Ask, ChargeCategory, CostRow, Note
from exporter.costs.money import ZERO, add
from exporter.errors import BadData
from exporter.periods import DAY, HOUR, Grain, Month
from exporter.providers.aws_athena_sql import COARSE, FINE, WHOLE, Statement, Table
from exporter.providers.aws_export_columns import CATEGORIES, NEGATION
from exporter.providers.rest import reading

Row = Mapping[str, str | None]

_PLANNED, _NEGATED = "SavingsPlanCoveredUsage", "SavingsPlanNegation"
_PLAN_FEES = ("SavingsPlanRecurringFee", "SavingsPlanUpfrontFee")
_PRICED = ("Usage", "DiscountedUsage", _PLANNED)
_FOCUS_CATEGORIES = {category.value.lower(): category for category in ChargeCategory}


@dataclass(slots=True)
class Answer:
    """Every row of an answer, read and checked to be whole."""

    table: Table
    ask: Ask
    tags: tuple[str, ...]
    rows: list[CostRow] = field(default_factory=list)
    totals: list[CostRow] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    rounded: int = 0
    net: frozenset[str] = frozenset()
    """The billing months whose lines have costs after discounts; what lowers them is then in them already."""

    @classmethod
    def of(cls, table: Table, statement: Statement, found: Iterable[Row], ask: Ask) -> Answer:
        """BadData where rows are missing, or where lines have no cost or no time."""
        answer = cls(table, ask, statement.tags)
        with reading(f"the bill in {table.name}"):
            by_kind: dict[str, list[Row]] = {FINE: [], COARSE: [], WHOLE: []}
            for row in found:
                by_kind[_text(row, "summed")].append(row)
            answer._check(by_kind)
            answer.net = frozenset(_text(row, "month") for row in by_kind[COARSE] if _count(row, "discounted"))
            for row in by_kind[FINE]:
                answer._charge(row)
            answer._pairs(by_kind[FINE])
            for row in by_kind[COARSE]:
                answer._total(row)
        return answer

    def notes(self) -> Iterator[Note]:
        """What no number shows."""
        if self.strangers:
            words = ", ".join(map(repr, sorted(self.strangers)))
            yield Note("unknown_charge_category", f"lines of type {words} are kept as Adjustment")

    @property
    def open_months(self) -> frozenset[Month] | None:
        """Until a report is final, the invoice id is blank (CUR data dictionary, bill/InvoiceId)."""
        if self.table.focus:
            return None
        return frozenset(row.billing_month for row in self.rows if row.billing_month and row.billed and not row.invoice)

    def _check(self, rows: Mapping[str, list[Row]]) -> None:
        name = self.table.name
        if len(rows[WHOLE]) != 1:
            raise BadData(f"the answer about {name} lacks its count over everything")
        whole = rows[WHOLE][0]
        for fact, words in (("undated", "no usage start date"), ("unpriced", "no cost")):
            if count := _count(whole, fact):
                raise BadData(f"{count} lines of {name} have {words}")
        for kind in (FINE, COARSE):
            there, wanted = sum(_count(row, "lines") for row in rows[kind]), _count(whole, "lines")
            if there != wanted:
                raise BadData(
                    f"the answer about {name} speaks of {there} lines where there are {wanted}; a page is lost"
                )
        self.rounded = _count(whole, "rounded")

    def _total(self, row: Row) -> None:
        """A total of the invoice by month, currency and kind; nothing of it comes from the rows."""
        if _count(row, "lines") and not self._twice(row):
            day = self.ask.window.start
            billed, currency = _amount(row, self._best(row, "billed")), _text(row, "currency")
            self.totals.append(CostRow(start=day, account="", service="", region="", billed=billed, currency=currency))

    def _charge(self, row: Row) -> None:
        if row["account_name"]:
            self.names[_text(row, "account")] = _text(row, "account_name")
        self.rows += self._focus(row) if self.table.focus else self._report(row)

    def _plain(self, row: Row) -> CostRow:
        """What all charges of a row say alike."""
        instant = _text(row, "start") if self.ask.grain is Grain.DAY else f"{_text(row, 'start')}:00"
        start = datetime.fromisoformat(instant).replace(tzinfo=UTC)
        return CostRow(
            start=start,
            end=start + (HOUR if self.ask.grain is Grain.HOUR else DAY),
            account=_text(row, "account"),
            service=_text(row, "service"),
            region=_text(row, "region"),
            billed=_amount(row, "billed"),
            currency=_text(row, "currency"),
            billing_month=Month.parse(_text(row, "month")),
            billing_account=_text(row, "billing_account"),
            invoice=_text(row, "invoice"),
            tags={key: value for n, key in enumerate(self.tags) if (value := _text(row, f"tag_{n}"))},
        )

    def _focus(self, row: Row) -> Iterator[CostRow]:
        yield replace(
            self._plain(row),
            category=self._known(_FOCUS_CATEGORIES.get(_text(row, "kind").lower()), row),
            charge_class=_text(row, "correction"),
            commitment_status=_text(row, "commitment"),
            effective=_perhaps(row, "effective"),
            list=_perhaps(row, "at_list"),
            contracted=_perhaps(row, "contracted"),
        )

    def _report(self, row: Row) -> Iterator[CostRow]:
        """The charge that a row of a report is, and the unused part of a commitment that it is the fee of."""
        kind, spreads = _text(row, "kind"), self.table.spreads
        if kind == _NEGATED or self._twice(row):
            return
        billed = ZERO if kind == _PLANNED else _amount(row, self._best(row, "billed"))
        effective, unused = billed, ZERO
        if kind == _PLANNED and "savings plan" in spreads:
            effective = _amount(row, self._best(row, "planned"))
        elif kind == "DiscountedUsage" and "reservation" in spreads:
            effective = _amount(row, self._best(row, "reserved_cost"))
        elif kind in _PLAN_FEES and "savings plan" in spreads:
            effective = ZERO
            unused = _amount(row, "unused_plan") if kind == _PLAN_FEES[0] else ZERO
        elif (kind == "RIFee" or (kind == "Fee" and row["reserved"])) and "reservation" in spreads:
            effective = ZERO
            unused = _amount(row, self._best(row, "unused_reserved")) if kind == "RIFee" else ZERO
        category = ChargeCategory.USAGE if kind.endswith("Discount") else self._known(CATEGORIES.get(kind), row)
        charge = replace(self._plain(row), category=category, billed=billed, effective=effective)
        used = kind in ("DiscountedUsage", _PLANNED)
        at_list = _perhaps(row, "at_list") if kind in _PRICED else None
        yield replace(charge, list=at_list, commitment_status="Used" if used else "")
        if unused:
            usage = replace(charge, category=ChargeCategory.USAGE, commitment_status="Unused")
            yield replace(usage, billed=ZERO, effective=unused)

    def _pairs(self, rows: Iterable[Row]) -> None:
        """What remains of usage under savings plans and the lines that take it back, where they do not cancel."""
        left: dict[tuple[object, ...], list[CostRow]] = {}
        for row in rows if not self.table.focus else ():
            if _text(row, "kind") in (_PLANNED, _NEGATED):
                one = self._plain(row)
                pair = replace(
                    one, service=NEGATION, region="", tags={}, billed=_amount(row, self._best(row, "billed"))
                )
                key = (pair.start, pair.billing_month, pair.account, pair.billing_account, pair.invoice, pair.currency)
                left.setdefault(key, []).append(pair)
        for pairs in left.values():
            if rest := add(*(pair.billed for pair in pairs)):
                self.rows.append(replace(pairs[0], billed=rest, effective=ZERO))

    def _twice(self, row: Row) -> bool:
        """A discount's own line in a month whose costs are after discounts."""
        return not self.table.focus and _text(row, "kind").endswith("Discount") and _text(row, "month") in self.net

    def _best(self, row: Row, name: str) -> str:
        """The amount after discounts, where the month has them."""
        return f"net_{name}" if not self.table.focus and _text(row, "month") in self.net else name

    def _known(self, category: ChargeCategory | None, row: Row) -> ChargeCategory:
        if category is None:
            self.strangers.add(_text(row, "kind"))
        return category or ChargeCategory.ADJUSTMENT


def _text(row: Row, column: str) -> str:
    text = row[column]
    if text is None:
        raise ValueError(f"{column} is empty")
    return text


def _amount(row: Row, column: str) -> Decimal:
    """A sum; of no amounts it is null, which is nothing."""
    return ZERO if row[column] is None else Decimal(_text(row, column))


def _perhaps(row: Row, column: str) -> Decimal | None:
    return None if row[column] is None else _amount(row, column)


def _count(row: Row, column: str) -> int:
    return int(_text(row, column))
