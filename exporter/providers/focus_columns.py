"""From the columns of one FOCUS file to the columns of a stored bill, as SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from exporter.costs import ChargeCategory, CostBasis
from exporter.costs.engine import literal
from exporter.costs.model import COSTS
from exporter.costs.model import KEYS as STORED_KEYS
from exporter.costs.money import SQL_TYPE
from exporter.periods import ALWAYS, Grain, Window
from exporter.providers import focus_dates
from exporter.providers.focus_amounts import Amount, said
from exporter.providers.focus_files import Reading, Shard
from exporter.providers.focus_names import USD
from exporter.providers.focus_tags import NO_TAGS, mapped, value

_CURRENCY = "^[A-Z]{3}$"
_RAW = (
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ServiceProviderName",
    "ProviderName",
    "BillingAccountId",
    "ChargeCategory",
    "ChargeSubcategory",
    "ChargeClass",
    "CommitmentDiscountStatus",
    "InvoiceId",
    "BillingCurrency",
)
"""Columns with few values, which need not be looked at row by row."""
FIELDS = "fields"
"""What is wrong with a row that does not fit its header."""

_COMPLAINTS = {
    **dict.fromkeys(COSTS, "is not an amount below 10^14 such as -12.5 or 1.2E-7"),
    **dict.fromkeys(focus_dates.COLUMNS, "is not an instant such as 2024-09-01T00:00:00Z"),
    "BillingCurrency": "is not an ISO 4217 currency such as USD",
}


class Layout:
    """How one file's columns become ours. Everything here is SQL text; nothing is read yet."""

    KEYS: ClassVar[tuple[str, ...]] = (*STORED_KEYS, "BillingPeriodEnd", "stranger")
    SUMS: ClassVar[tuple[str, ...]] = (
        *(f"sum({cost})::{SQL_TYPE} AS {cost}" for cost in COSTS),
        "sum(RowCount)::BIGINT AS RowCount",
        "max(SubAccountName) AS SubAccountName",
        *(f"sum({side})::{SQL_TYPE} AS {side}" for side in ("dollars", "of_which")),
        *(f"sum({count})::BIGINT AS {count}" for count in ("bad", "rounds", "uneven")),
    )

    def __init__(
        self, shard: Shard, grain: Grain, tags: tuple[str, ...], dates: focus_dates.Dates | None = None
    ) -> None:
        self.shard = shard
        self.grain = grain
        self.tags = tags
        self.dates = dates
        self.amounts = {cost: Amount(shard.columns.get(cost), shard.types.get(cost, "VARCHAR")) for cost in COSTS}
        self._torn = shard.torn(without="" if tags else "Tags")

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for files that can be read by one scan."""
        shard = self.shard
        return shard.parquet, shard.header, tuple(shard.types.items()), shard.delimiter, shard.reading, self.dates

    def with_files(self, others: Iterable[Layout]) -> Layout:
        """The same over the files of others too, which have its form."""
        paths = tuple(other.shard.path for other in others)
        return Layout(replace(self.shard, more=paths), self.grain, self.tags, self.dates)

    def read_as(self, reading: Reading) -> Layout:
        """The same, its rows read in another way."""
        return Layout(replace(self.shard, reading=reading), self.grain, self.tags, self.dates)

    def dated(self) -> Layout:
        """The same, once it is known how the file writes dates with slashes. BadData where nothing decides that."""
        texts = {name: self.text(name) for name in focus_dates.COLUMNS if self.shard.types.get(name) == "VARCHAR"}
        dates = focus_dates.decide(self.shard.name, self.shard.scan(), texts) if texts else None
        return Layout(self.shard, self.grain, self.tags, dates)

    def select(self, window: Window, *, rounding: bool) -> str:
        """Its charges with our columns; how many of them cannot be, are too fine, or do not fit the header.

        In two steps: rows are first summed by their cells as they are, which is what takes the time, and only the
        groups then get their names.
        """
        rows = ", ".join(f"{sql} AS {name}" for name, sql in self._sums(rounding=rounding).items())
        groups = ", ".join(f"{sql} AS {name}" for name, sql in self._columns().items())
        return f"SELECT {groups} FROM (SELECT {rows} FROM {self.shard.scan()} WHERE {self._in(window)} GROUP BY ALL)"

    def first_wrong(self, window: Window) -> str:
        """The first charge that cannot be: column, its text, its row number (Parquet, from 0; null for CSV)."""
        row = "file_row_number" if self.shard.parquet else "NULL"
        given = " ".join(f"WHEN '{name}' THEN {self.text(name)}" for name in _COMPLAINTS if name in self.shard.columns)
        order = " ORDER BY row" if self.shard.parquet else ""
        return (
            f"SELECT bad, CASE bad {given} END, row FROM (SELECT *, {self._bad()} AS bad, {row} AS row"
            f" FROM {self.shard.scan(numbered=True)} WHERE {self._in(window)}) WHERE bad IS NOT NULL{order} LIMIT 1"
        )

    def newest(self) -> str:
        """When the last charge starts; null where no cell is an instant as it stands."""
        start = self._instant("ChargePeriodStart")
        return f"SELECT max({start}) FROM {self.shard.scan()} WHERE coalesce({_likely(start)}, false)"

    def complaint(self, column: str) -> str:
        """What to say of a value that cannot stand in this column."""
        return _COMPLAINTS[column]

    def _sums(self, *, rounding: bool) -> dict[str, str]:
        """What is made of every row: our own columns, cells as they are (`r_…`), amounts added up."""
        start, end = self._instant("ChargePeriodStart"), self._instant("ChargePeriodEnd")
        cut = f"date_trunc('{self.grain}', {start})"
        next_cut = f"{cut} + INTERVAL 1 {self.grain}"
        # Some write a period's last second instead of its end (…T15:59:59Z).
        end = f"({end} + CASE WHEN date_part('second', {end}) = 59 THEN INTERVAL 1 SECOND ELSE INTERVAL 0 SECOND END)"
        costs = {cost: amount.sql(rounding=rounding) for cost, amount in self.amounts.items()}
        billed, effective = costs["BilledCost"], costs["EffectiveCost"]
        return {
            "ChargePeriodStart": cut,
            # Longer than the grain (a month's tax or support fee): kept as it is, never spread.
            "ChargePeriodEnd": f"greatest({next_cut}, coalesce({end}, {next_cut}))",
            **{f"r_{name}": self.shard.columns.get(name, "CAST(NULL AS VARCHAR)") for name in _RAW},
            "account": self._account(),
            "service": self._first("ServiceName", "x_SkuMeterSubcategory", "PublisherName", "ServiceCategory"),
            "region": self._first("RegionId", "RegionName"),
            "effective": f"{effective} IS NOT NULL",
            "negative": f"coalesce({billed} < 0, false)",
            **self._tags(),
            "SubAccountName": f"max({self._first('SubAccountName')})",
            "BilledCost": f"sum({billed})::{SQL_TYPE}",
            "EffectiveCost": f"sum(coalesce({effective}, {billed}))::{SQL_TYPE}",
            **{cost: f"sum({costs[cost]})::{SQL_TYPE}" for cost in ("ListCost", "ContractedCost")},
            **self._dollars(billed),
            "RowCount": "count(*)",
            "bad": f"count(*) FILTER ({' OR '.join(test for _, test in self._wrong_rows(rounding=rounding))})",
            "rounds": f"count(*) FILTER ({' OR '.join(amount.too_fine for amount in self.amounts.values())})",
            "uneven": f"count(*) FILTER ({self.shard.uneven()})",
        }

    def _columns(self) -> dict[str, str]:
        """What is made of every group."""
        billed_from = self._instant("BillingPeriodStart", "r_BillingPeriodStart")
        billed_until = self._instant("BillingPeriodEnd", "r_BillingPeriodEnd")
        category = f"lower({said('r_ChargeCategory')})"
        words = ", ".join(literal(known.lower()) for known in ChargeCategory)
        chargeclass = f"lower({said('r_ChargeClass')})"
        return {
            "SourceId": "''",
            "ChargePeriodStart": "ChargePeriodStart",
            "ChargePeriodEnd": "ChargePeriodEnd",
            "BillingPeriodStart": billed_from,
            "BillingPeriodEnd": f"coalesce({billed_until}, {billed_from} + INTERVAL 1 MONTH)",
            "ServiceProviderName": f"coalesce({said('r_ServiceProviderName')}, {said('r_ProviderName')}, '')",
            "BillingAccountId": f"coalesce({said('r_BillingAccountId')}, '')",
            "SubAccountId": "account",
            "SubAccountName": "SubAccountName",
            "ServiceName": "service",
            "RegionId": "region",
            "ChargeCategory": self._category(category),
            "stranger": f"CASE WHEN {category} NOT IN ({words}) THEN {said('r_ChargeCategory')} ELSE '' END",
            "ChargeClass": f"CASE {chargeclass} WHEN 'correction' THEN 'Correction' ELSE '' END",
            "CommitmentDiscountStatus": self._status(),
            "InvoiceId": f"coalesce({said('r_InvoiceId')}, '')",
            "BillingCurrency": f"upper({said('r_BillingCurrency')})",
            "Tags": mapped(self.tags) if self._tags() else NO_TAGS,
            "CostBasis": f"CASE WHEN effective THEN '{CostBasis.REPORTED}' ELSE '{CostBasis.BILLED}' END",
            "IsEstimated": "false",
            "IsRefund": f"negative AND ({self._category(category)} IN ('Purchase', 'Adjustment')"
            f" OR {chargeclass} IS NOT DISTINCT FROM 'correction')",
            **{name: name for name in (*COSTS, "dollars", "of_which", "RowCount", "rounds", "uneven")},
            "bad": f"CASE WHEN {' OR '.join(test for _, test in self._wrong_groups('r_'))} THEN RowCount ELSE bad END",
        }

    def text(self, column: str) -> str:
        """The column as text, null where it says nothing."""
        return said(self.shard.columns[column]) if column in self.shard.columns else "CAST(NULL AS VARCHAR)"

    def _first(self, *columns: str) -> str:
        """The first of these columns that says something, else empty text."""
        given = [self.text(name) for name in columns if name in self.shard.columns]
        return f"coalesce({', '.join([*given, literal('')])})"

    def _instant(self, column: str, cell: str | None = None) -> str:
        """A cell of the column as UTC without a zone; null where it is no instant."""
        cell = cell or self.shard.columns.get(column)
        if cell and self.shard.types.get(column, "").startswith(("TIMESTAMP", "DATE")):
            return f"CAST({cell} AS TIMESTAMP)"
        return focus_dates.instant(said(cell), self.dates) if cell else "CAST(NULL AS TIMESTAMP)"

    def _account(self) -> str:
        """SubAccountId; Google's project where it only repeats the billing account, else the billing account."""
        sub, billing = self.text("SubAccountId"), self.text("BillingAccountId")
        project = self.text("x_Project")
        return f"coalesce(CASE WHEN {sub} = {billing} THEN {project} END, {sub}, {billing}, '')"

    def _category(self, given: str) -> str:
        cases = " ".join(f"WHEN '{category.lower()}' THEN '{category}'" for category in ChargeCategory)
        today = f"CASE {given} {cases} ELSE '{ChargeCategory.ADJUSTMENT}' END"
        if "ChargeSubcategory" not in self.shard.columns:
            return today
        # The preview knew no Credit: it was an Adjustment by another name.
        credit = f"{given} = 'adjustment' AND lower({said('r_ChargeSubcategory')}) = 'credit'"
        return f"CASE WHEN {credit} THEN '{ChargeCategory.CREDIT}' ELSE {today} END"

    def _status(self) -> str:
        given = f"lower(coalesce({said('r_CommitmentDiscountStatus')}, {said('r_ChargeSubcategory')}))"
        used = "WHEN 'used' THEN 'Used' WHEN 'used commitment' THEN 'Used'"
        return f"CASE {given} {used} WHEN 'unused' THEN 'Unused' WHEN 'unused commitment' THEN 'Unused' ELSE '' END"

    def _dollars(self, billed: str) -> dict[str, str]:
        """What the charges come to in US dollars where the file says so, and of which billed cost that is.

        Of charges alone: what comes back would take their sum to where no rate can be read from it.
        """
        if USD not in self.shard.columns:
            return dict.fromkeys(("dollars", "of_which"), f"CAST(NULL AS {SQL_TYPE})")
        dollars = Amount(self.shard.columns[USD], self.shard.types[USD]).sql(rounding=True)
        both = f"{dollars} > 0 AND {billed} > 0"
        return {
            "dollars": f"CAST(sum({dollars}) FILTER ({both}) AS {SQL_TYPE})",
            "of_which": f"CAST(sum({billed}) FILTER ({both}) AS {SQL_TYPE})",
        }

    def _tags(self) -> dict[str, str]:
        """One column per asked key."""
        if "Tags" not in self.shard.columns:
            return {}
        column, type_ = self.shard.columns["Tags"], self.shard.types["Tags"]
        return {f"t{i}": value(column, type_, self.text("Tags"), key) for i, key in enumerate(self.tags)}

    def _bad(self) -> str:
        """The first column of the row that cannot be, `fields` for a row that does not fit its header, or null."""
        tests = [*self._wrong_rows(rounding=True), *self._wrong_groups()]
        return f"CASE {' '.join(f'WHEN {test} THEN {literal(name)}' for name, test in tests)} END"

    def _wrong_rows(self, *, rounding: bool) -> list[tuple[str, str]]:
        """Column → whether its cell cannot be, for what must be looked at row by row."""
        tests = [] if self._torn == "false" else [(FIELDS, self._torn)]
        tests += [
            (cost, amount.wrong(needed=cost == "BilledCost", rounding=rounding))
            for cost, amount in self.amounts.items()
            if amount.cell
        ]
        return [*tests, *self._wrong_instants(("ChargePeriodStart", "ChargePeriodEnd"))]

    def _wrong_groups(self, prefix: str = "") -> list[tuple[str, str]]:
        """The same for columns with few values; `prefix` where they are named `r_…`."""
        cell = f"{prefix}BillingCurrency" if prefix else self.shard.columns["BillingCurrency"]
        currency = f"regexp_full_match(upper({said(cell)}), '{_CURRENCY}')"
        return [
            *self._wrong_instants(("BillingPeriodStart", "BillingPeriodEnd"), prefix),
            ("BillingCurrency", f"NOT coalesce({currency}, false)"),
        ]

    def _wrong_instants(self, columns: tuple[str, str], prefix: str = "") -> list[tuple[str, str]]:
        """A start must be there; an end may be missing, but must be an instant."""
        start, end = columns
        tests = [(start, f"NOT coalesce({_likely(self._instant(start, prefix and prefix + start))}, false)")]
        if end in self.shard.columns:
            cell = prefix + end if prefix else self.shard.columns[end]
            given = said(cell) if self.shard.types[end] == "VARCHAR" else cell
            instant = self._instant(end, prefix and prefix + end)
            tests.append((end, f"({given} IS NOT NULL AND NOT coalesce({_likely(instant)}, false))"))
        return tests

    def _in(self, window: Window) -> str:
        """Whether the charge starts in the window; one that says no instant is let through, to be refused."""
        if window == ALWAYS:
            return "true"
        start = self._instant("ChargePeriodStart")
        first, last = (f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}'" for edge in (window.start, window.end))
        return f"coalesce({start} >= {first} AND {start} < {last}, true)"


def _likely(instant: str) -> str:
    """SQL: whether an instant can be one of a bill: neither infinite nor off by a thousand years."""
    return f"({instant} >= TIMESTAMP '2000-01-01' AND {instant} < TIMESTAMP '2200-01-01')"
