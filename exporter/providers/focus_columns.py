"""From the columns of one FOCUS file to the columns of a stored bill, as SQL.

Nulls come as bare `NULL`, as `null` and as empty text, in one file even. Amounts are read as text, so that no digit
is lost on the way; a Parquet double goes through its shortest text, since 0.1 is what the vendor meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar

from exporter.costs import ChargeCategory, CostBasis, engine, money
from exporter.costs.engine import identifier, literal
from exporter.costs.model import COSTS
from exporter.costs.model import KEYS as STORED_KEYS
from exporter.costs.money import PLACES, SQL_TYPE
from exporter.periods import Grain, Window
from exporter.providers.focus_files import Shard

_NULL = "('', 'null')"
_INSTANT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?$"
_CURRENCY = "^[A-Z]{3}$"
_COMPLAINTS = {
    **dict.fromkeys(COSTS, "is not an amount below 10^14 such as -12.5 or 1.2E-7"),
    **dict.fromkeys(
        ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd"),
        "is not an instant such as 2024-09-01T00:00:00Z",
    ),
    "BillingCurrency": "is not an ISO 4217 currency such as USD",
}


class Layout:
    """How one file's columns become ours. Everything here is SQL text; nothing is read yet."""

    KEYS: ClassVar[tuple[str, ...]] = (*STORED_KEYS, "BillingPeriodEnd", "stranger")
    SUMS: ClassVar[tuple[str, ...]] = (
        *(f"sum({cost})::{SQL_TYPE} AS {cost}" for cost in COSTS),
        "count(*)::BIGINT AS RowCount",
        "max(SubAccountName) AS SubAccountName",
        "count(*) FILTER (bad IS NOT NULL) AS bad",
        "count(*) FILTER (rounds) AS rounds",
    )

    def __init__(self, shard: Shard, grain: Grain, tags: tuple[str, ...]) -> None:
        self.shard = shard
        self.grain = grain
        self.tags = tags

    def select(self, window: Window, *, rounding: bool = False) -> str:
        """Its charges with our columns; `bad` names a column that cannot be, `rounds`: an amount is too fine."""
        listed = ", ".join(f"{sql} AS {name}" for name, sql in self._columns(rounding=rounding).items())
        return f"SELECT {listed} FROM {self.shard.scan()} WHERE {self._in(window)}"

    def first_wrong(self, window: Window) -> str:
        """The first charge that cannot be: column, its text, its row number (Parquet, from 0; null for CSV)."""
        row = "file_row_number" if self.shard.parquet else "NULL"
        given = " ".join(f"WHEN '{name}' THEN {self.text(name)}" for name in _COMPLAINTS if name in self.shard.columns)
        order = " ORDER BY row" if self.shard.parquet else ""
        return (
            f"SELECT bad, CASE bad {given} END, row FROM (SELECT *, {self._bad()} AS bad, {row} AS row"
            f" FROM {self.shard.scan(numbered=True)} WHERE {self._in(window)}) WHERE bad IS NOT NULL{order} LIMIT 1"
        )

    def complaint(self, column: str) -> str:
        """What to say of a value that cannot stand in this column."""
        return _COMPLAINTS[column]

    @staticmethod
    def roundings(layouts: Iterable[Layout]) -> dict[str, str]:
        """Every amount with more than 24 decimals, as it stands in the files → rounded half even."""
        found: dict[str, str] = {}
        for layout in layouts:
            for cost in COSTS:
                amount = layout.text(cost)
                long = f"SELECT DISTINCT {amount} FROM {layout.shard.scan()} WHERE {_too_fine(amount)}"
                found |= {given: money.text(money.stored(Decimal(given))) for (given,) in engine.run(long)}
        return found

    def _columns(self, *, rounding: bool) -> dict[str, str]:
        start, end = self._instant("ChargePeriodStart"), self._instant("ChargePeriodEnd")
        cut = f"date_trunc('{self.grain}', {start})"
        next_cut = f"{cut} + INTERVAL 1 {self.grain}"
        # Some write a period's last second instead of its end (…T15:59:59Z).
        end = f"({end} + CASE WHEN date_part('second', {end}) = 59 THEN INTERVAL 1 SECOND ELSE INTERVAL 0 SECOND END)"
        billed_from = self._instant("BillingPeriodStart")
        billed = self._amount("BilledCost", rounding=rounding)
        effective = self._amount("EffectiveCost", rounding=rounding)
        return {
            "SourceId": "''",
            "ChargePeriodStart": cut,
            # Longer than the grain (a month's tax or support fee): kept as it is, never spread.
            "ChargePeriodEnd": f"greatest({next_cut}, coalesce({end}, {next_cut}))",
            "BillingPeriodStart": billed_from,
            "BillingPeriodEnd": f"coalesce({self._instant('BillingPeriodEnd')}, {billed_from} + INTERVAL 1 MONTH)",
            "ServiceProviderName": self._first("ServiceProviderName", "ProviderName"),
            "BillingAccountId": self._first("BillingAccountId"),
            "SubAccountId": self._account(),
            "SubAccountName": self._first("SubAccountName"),
            "ServiceName": self._first("ServiceName", "x_SkuMeterSubcategory", "PublisherName", "ServiceCategory"),
            "RegionId": self._first("RegionId", "RegionName"),
            "ChargeCategory": self._category(),
            "stranger": f"CASE WHEN {self._known()} THEN '' ELSE {self._first('ChargeCategory')} END",
            "ChargeClass": f"CASE lower({self._first('ChargeClass')}) WHEN 'correction' THEN 'Correction' ELSE '' END",
            "CommitmentDiscountStatus": f"CASE lower({self._first('CommitmentDiscountStatus')})"
            " WHEN 'used' THEN 'Used' WHEN 'unused' THEN 'Unused' ELSE '' END",
            "InvoiceId": self._first("InvoiceId"),
            "BillingCurrency": f"upper({self.text('BillingCurrency')})",
            "Tags": self._tags(),
            "CostBasis": f"CASE WHEN {effective} IS NULL THEN '{CostBasis.BILLED}' ELSE '{CostBasis.REPORTED}' END",
            "IsEstimated": "false",
            "BilledCost": billed,
            "EffectiveCost": f"coalesce({effective}, {billed})",
            "ListCost": self._amount("ListCost", rounding=rounding),
            "ContractedCost": self._amount("ContractedCost", rounding=rounding),
            "bad": self._bad(),
            "rounds": " OR ".join(f"coalesce({_too_fine(self.text(cost))}, false)" for cost in COSTS),
        }

    def text(self, column: str) -> str:
        """The column as text, null where it says nothing."""
        if column not in self.shard.columns:
            return "CAST(NULL AS VARCHAR)"
        cell = f"trim(CAST({identifier(column)} AS VARCHAR))"
        return f"(CASE WHEN lower({cell}) IN {_NULL} THEN NULL ELSE {cell} END)"

    def _first(self, *columns: str) -> str:
        """The first of these columns that says something, else empty text."""
        given = [self.text(name) for name in columns if name in self.shard.columns]
        return f"coalesce({', '.join([*given, literal('')])})"

    def _amount(self, column: str, *, rounding: bool) -> str:
        given = self.text(column)
        amount = f"try_cast({given} AS {SQL_TYPE})"
        if rounding:
            fine = f"list_filter($roundings, lambda pair: pair[1] = {given})[1][2]"
            amount = f"CASE WHEN {_too_fine(given)} THEN CAST({fine} AS {SQL_TYPE}) ELSE {amount} END"
        return amount

    def _instant(self, column: str) -> str:
        """The column as UTC without a zone; null where it is no ISO 8601 instant."""
        type_ = self.shard.columns.get(column, "VARCHAR")
        if type_.startswith(("TIMESTAMP", "DATE")):
            return f"CAST({identifier(column)} AS TIMESTAMP)"
        given = self.text(column)
        return (
            f"(CASE WHEN regexp_full_match({given}, {literal(_INSTANT)})"
            f" THEN CAST(try_cast({given} AS TIMESTAMPTZ) AS TIMESTAMP) END)"
        )

    def _account(self) -> str:
        """SubAccountId; Google's project where it only repeats the billing account, else the billing account."""
        sub, billing = self.text("SubAccountId"), self.text("BillingAccountId")
        project = self.text("x_Project")
        return f"coalesce(CASE WHEN {sub} = {billing} THEN {project} END, {sub}, {billing}, '')"

    def _known(self) -> str:
        words = ", ".join(literal(category.lower()) for category in ChargeCategory)
        return f"lower({self._first('ChargeCategory')}) IN ({words})"

    def _category(self) -> str:
        cases = " ".join(f"WHEN '{category.lower()}' THEN '{category}'" for category in ChargeCategory)
        return f"CASE lower({self._first('ChargeCategory')}) {cases} ELSE '{ChargeCategory.ADJUSTMENT}' END"

    def _tags(self) -> str:
        if not self.tags or "Tags" not in self.shard.columns:
            return "CAST(MAP {} AS MAP(VARCHAR, VARCHAR))"
        given = self.text("Tags")
        if self.shard.columns["Tags"].startswith("MAP"):
            value = {key: f"CAST(Tags[{literal(key)}] AS VARCHAR)" for key in self.tags}
        else:
            # Azure's native exports leave out the outer braces.
            whole = f"CASE WHEN starts_with({given}, '{{') THEN {given} ELSE '{{' || {given} || '}}' END"
            quoted = {key: key.replace("\\", "\\\\").replace('"', '\\"') for key in self.tags}
            value = {
                key: f"json_extract_string(try_cast({whole} AS JSON), {literal(f'$.{chr(34)}{quoted[key]}{chr(34)}')})"
                for key in self.tags
            }
        entries = ", ".join(f"{{'k': {literal(key)}, 'v': {value[key]}}}" for key in sorted(self.tags))
        return f"map_from_entries(list_filter([{entries}], lambda tag: tag.v IS NOT NULL))"

    def _bad(self) -> str:
        """The first column of the row that cannot be, or null."""
        cases = []
        for cost in COSTS:
            given = self.text(cost)
            missing = f"{given} IS NULL OR " if cost == "BilledCost" else ""
            if cost in self.shard.columns:
                wrong = f"{given} IS NOT NULL AND try_cast({given} AS {SQL_TYPE}) IS NULL"
                cases.append(f"WHEN {missing}{wrong} THEN '{cost}'")
        needed = ("ChargePeriodStart", "BillingPeriodStart")
        cases += [f"WHEN {self._instant(column)} IS NULL THEN '{column}'" for column in needed]
        for column in ("ChargePeriodEnd", "BillingPeriodEnd"):
            if column in self.shard.columns:
                wrong = f"{self.text(column)} IS NOT NULL AND {self._instant(column)} IS NULL"
                cases.append(f"WHEN {wrong} THEN '{column}'")
        currency = f"regexp_full_match(upper({self.text('BillingCurrency')}), '{_CURRENCY}')"
        cases.append(f"WHEN NOT coalesce({currency}, false) THEN 'BillingCurrency'")
        return f"CASE {' '.join(cases)} END"

    def _in(self, window: Window) -> str:
        """Whether the charge starts in the window; one that says no instant is let through, to be refused."""
        start = self._instant("ChargePeriodStart")
        first, last = (f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}'" for edge in (window.start, window.end))
        return f"coalesce({start} >= {first} AND {start} < {last}, true)"


def _too_fine(given: str) -> str:
    """Whether a text has more digits behind the point than a stored amount keeps; false for what is no number."""
    mantissa, exponent = f"split_part(lower({given}), 'e', 1)", f"split_part(lower({given}), 'e', 2)"
    places = f"length(split_part({mantissa}, '.', 2)) - coalesce(try_cast({exponent} AS INTEGER), 0)"
    # Cheap first: a short text without an exponent cannot be too fine.
    return f"((length({given}) > {PLACES + 1} OR contains(lower({given}), 'e')) AND {places} > {PLACES})"
