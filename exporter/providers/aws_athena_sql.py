"""The one statement that is asked of an AWS export in Athena, made from the table's own columns.

It sums by all that a stored row is, by billing month, currency and type of line, and over everything (GROUPING SETS),
in one scan: the totals do not come from the rows, and every sum counts its lines, so that lost rows show.

Amounts are DOUBLE in the Parquet files. A sum of those differs from run to run. The text of a DOUBLE is the shortest
that reads back as the same number, which is what AWS wrote; Trino casts a text to DECIMAL by `new BigDecimal(text)`, so
that an exponent (`1.5E-7`) is read too, and rounds half up past the 24 places that are kept: such amounts are counted.
(trino-main, DecimalCasts.varcharToLongDecimal; https://docs.aws.amazon.com/athena/latest/ug/data-types.html)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from exporter.costs import Ask
from exporter.costs.engine import literal
from exporter.costs.money import SQL_TYPE
from exporter.errors import BadData
from exporter.periods import Grain, Month
from exporter.providers.aws_export_columns import BILLED, BILLING_PERIOD, LINE_TYPE, NET, canonical

FOCUS, CUR2, CUR = "focus", "cur2", "cur"

FINE, COARSE, WHOLE = "0", "2", "3"
"""What `summed` says: a row of the bill; a total by month, currency and kind; the count over everything."""

_FORMATS = {Grain.DAY: "%Y-%m-%d", Grain.HOUR: "%Y-%m-%dT%H"}
_NOTHING = f"CAST(NULL AS {SQL_TYPE})"
_WHAT = {
    "billing_account": ("bill_payer_account_id",),
    "account": ("line_item_usage_account_id",),
    "service": (
        *("product_product_name", "product[product_name]", "product_servicename"),
        *("product_servicecode", "line_item_product_code"),
    ),
    "region": ("product_region_code", "product_region", "product[region]"),
    "invoice": ("bill_invoice_id",),
}
_FOCUS_WHAT = {
    "billing_account": ("billingaccountid",),
    "account": ("subaccountid",),
    "service": ("servicename",),
    "region": ("regionid",),
    "invoice": ("invoiceid",),
    "correction": ("chargeclass",),
    "commitment": ("commitmentdiscountstatus",),
}
_OPTIONAL = ("at_list", "effective", "contracted")
_UNUSED = "reservation_{}unused_amortized_upfront_fee_for_billing_period", "reservation_{}unused_recurring_fee"
_COMMITMENT = "savings_plan_total_commitment_to_date", "savings_plan_used_commitment"


class Statement(NamedTuple):
    """What is asked, and how an answer is read."""

    sql: str
    columns: tuple[str, ...]
    """The answer's columns, in order."""
    tags: tuple[str, ...] = ()
    """The keys behind the columns `tag_0`, `tag_1` and so on."""


@dataclass(frozen=True, slots=True)
class Table:
    """An export's table as `GetTableMetadata` describes it."""

    name: str
    """`database.table`."""
    columns: Mapping[str, str]
    """Name in lower case → Hive type."""
    partitions: frozenset[str]
    kind: str

    @classmethod
    def described(cls, name: str, metadata: Mapping[str, Any], kind: str) -> Table:
        """From the API's own description. BadData where it is not an export of that kind (`auto`: of any)."""
        keys = metadata.get("PartitionKeys", [])  # a view has none
        if "Columns" not in metadata:
            raise BadData(f"the description of {name} has no columns")
        columns = {each["Name"].lower(): each.get("Type", "").lower() for each in (*metadata["Columns"], *keys)}
        found = _kind(columns)
        if kind not in ("auto", found):
            raise BadData(f"{name} holds {found}, and `kind` says {kind}", hint="let `kind` be auto")
        table = cls(name, columns, frozenset(each["Name"].lower() for each in keys), found)
        missing = [column for column in table.needed if column not in columns]
        if missing:
            hint = "name a table over CUR 2.0, a legacy Cost and Usage Report, or FOCUS 1.0 and later"
            raise BadData(f"{name} has no column {missing[0]}: it is no AWS export", hint=hint)
        for column in (table.when, table.billed_in):
            if not columns[column].startswith("timestamp"):
                hint = "make the table as AWS' crawler or its CREATE TABLE statement does, over Parquet"
                raise BadData(f"{name}: {column} is {columns[column]}, not timestamp", hint=hint)
        return table

    @property
    def focus(self) -> bool:
        """Whether it has FOCUS columns."""
        return self.kind == FOCUS

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which it is no bill."""
        if self.focus:
            return ("billedcost", "chargecategory", "billingcurrency", self.when, self.billed_in)
        return (LINE_TYPE, BILLED, "line_item_currency_code", self.when, self.billed_in)

    @property
    def when(self) -> str:
        """The column that says when a charge period starts, UTC."""
        return "chargeperiodstart" if self.focus else "line_item_usage_start_date"

    @property
    def billed_in(self) -> str:
        """The column that says when its billing period starts."""
        return "billingperiodstart" if self.focus else BILLING_PERIOD

    @property
    def spreads(self) -> frozenset[str]:
        """The commitments whose cost it can spread over their use."""
        needs = {
            "savings plan": ("savings_plan_savings_plan_effective_cost", *_COMMITMENT),
            "reservation": ("reservation_effective_cost", *(name.format("") for name in _UNUSED)),
        }
        return frozenset(kind for kind, names in needs.items() if self.columns.keys() >= set(names))

    def statement(self, ask: Ask) -> Statement:
        """What to ask it for a window, by day or by hour, with these tag keys.

        Partitions are read whole: whether a month's lines have costs after discounts shows in all of them.
        """
        tags = {f"tag_{n}": self._tag(key) for n, key in enumerate(ask.tags)}
        labels = {**self._labels(ask.grain), **tags}
        amounts = self._focus_amounts() if self.focus else self._amounts()
        raw = "billedcost" if self.focus else BILLED
        after = f"{_quoted(NET)} <> 0" if NET in self.columns and not self.focus else "FALSE"
        since, until = (f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}'" for edge in (ask.window.start, ask.window.end))
        when = _quoted(self.when)
        inner = {
            **labels,
            **amounts,
            "account_name": self._text("subaccountname" if self.focus else "line_item_usage_account_name"),
            "inside": f"{when} >= {since} AND {when} < {until}",
            "undated": f"{when} IS NULL",
            "unpriced": f"{_quoted(raw)} IS NULL",
            # What 24 places cannot hold reads back as another number.
            "rounded": f"CAST({amounts['billed']} AS DOUBLE) <> CAST({_quoted(raw)} AS DOUBLE)",
            "discounted": after,
        }
        facts = {
            "lines": "COUNT(*) FILTER (WHERE inside)",
            "undated": "COUNT(*) FILTER (WHERE undated)",
            "unpriced": "COUNT(*) FILTER (WHERE inside AND unpriced)",
            "rounded": "COUNT(*) FILTER (WHERE inside AND rounded)",
            "discounted": "COUNT(*) FILTER (WHERE discounted)",
            "account_name": "MAX(account_name)",
            "summed": "GROUPING(start, month)",
        }
        sums = {name: _sum(name) for name in amounts}
        outer = [*labels, *(f"{sql} AS {name}" for name, sql in (sums | facts).items())]
        days = " AND ".join(f"start {sign} '{edge:{_FORMATS[ask.grain]}}'" for sign, edge in _edges(ask))
        sql = (
            f"WITH charge AS (\n  SELECT {_listed(f'{sql} AS {name}' for name, sql in inner.items())}\n"
            f"  FROM {'.'.join(map(_quoted, self.name.split('.')))}\n  WHERE {self._loaded(ask.window.start)}\n)\n"
            f"SELECT {_listed(outer)}\nFROM charge\n"
            f"GROUP BY GROUPING SETS (({', '.join(labels)}), (month, currency, kind), ())\n"
            f"HAVING GROUPING(start, month) > 0 OR ({days})\nORDER BY summed DESC"
        )
        return Statement(sql, (*labels, *sums, *facts), ask.tags)

    def newest(self, since: datetime) -> Statement:
        """When the newest charge begins that was loaded since: for a look at what is there."""
        name = ".".join(map(_quoted, self.name.split(".")))
        newest = f"date_format(MAX({_quoted(self.when)}), '%Y-%m-%d')"
        return Statement(f"SELECT {newest} AS newest FROM {name} WHERE {self._loaded(since)}", ("newest",))

    def _loaded(self, since: datetime) -> str:
        """The billing periods that may hold charges of an instant and after.

        No upper end, since a credit may come with a later bill; and one month before, for what is billed ahead.
        """
        first = Month.containing(since).previous()
        if "billing_period" in self.partitions:
            return f"billing_period >= '{first}'"
        if self.partitions >= {"year", "month"}:  # of a legacy report: '2024' and '9'
            later = f"year = '{first.year}' AND CAST(month AS INTEGER) >= {first.number}"
            return f"(year > '{first.year}' OR ({later}))"
        return f"{_quoted(self.billed_in)} >= TIMESTAMP '{first.first} 00:00:00'"

    def _labels(self, grain: Grain) -> dict[str, str]:
        names = _FOCUS_WHAT if self.focus else _WHAT
        currency = "billingcurrency" if self.focus else "line_item_currency_code"
        labels = {
            "start": f"COALESCE(date_format({_quoted(self.when)}, '{_FORMATS[grain]}'), '')",
            "month": f"COALESCE(date_format({_quoted(self.billed_in)}, '%Y-%m'), '')",
            "kind": self._text("chargecategory" if self.focus else LINE_TYPE),
            "currency": self._text(currency),
            **{label: self._text(*columns) for label, columns in names.items()},
        }
        if not self.focus:
            reservation = self._text("reservation_reservation_a_r_n")
            labels["reserved"] = f"CASE WHEN {reservation} <> '' THEN 'yes' ELSE '' END"
        return labels

    def _amounts(self) -> dict[str, str]:
        """Each amount as AWS writes it, and as it is after discounts."""
        before = {
            "billed": (BILLED, NET),
            "planned": (
                "savings_plan_savings_plan_effective_cost",
                "savings_plan_net_savings_plan_effective_cost",
            ),
            "reserved_cost": ("reservation_effective_cost", "reservation_net_effective_cost"),
        }
        made = {name: self._exact(gross) for name, (gross, _) in before.items()}
        made |= {
            f"net_{name}": f"COALESCE({self._exact(net)}, {self._exact(gross)})"
            for name, (gross, net) in before.items()
        }
        gross, net = ([self._exact(name.format(word)) for name in _UNUSED] for word in ("", "net_"))
        best = [f"COALESCE({after}, {plain})" for after, plain in zip(net, gross, strict=True)]
        commitment, used = (self._exact(name) for name in _COMMITMENT)
        made["unused_plan"] = f"COALESCE({commitment}, 0) - COALESCE({used}, 0)"
        made["unused_reserved"] = " + ".join(f"COALESCE({part}, 0)" for part in gross)
        made["net_unused_reserved"] = " + ".join(f"COALESCE({part}, 0)" for part in best)
        made["at_list"] = self._exact("pricing_public_on_demand_cost")
        return made

    def _focus_amounts(self) -> dict[str, str]:
        columns = {"billed": "billedcost", "effective": "effectivecost", "contracted": "contractedcost"}
        return {name: self._exact(column) for name, column in {**columns, "at_list": "listcost"}.items()}

    def _exact(self, column: str) -> str:
        """An amount, digit for digit; null for a column that is not there."""
        type_ = self.columns.get(column)
        if type_ is None:
            return _NOTHING
        if type_ in ("double", "float"):
            return f"CAST(CAST({_quoted(column)} AS VARCHAR) AS {SQL_TYPE})"
        if type_.startswith("decimal"):
            return f"CAST({_quoted(column)} AS {SQL_TYPE})"
        raise BadData(f"{self.name}: {column} is {type_}, not double", hint="make the table over Parquet, as AWS does")

    def _text(self, *candidates: str) -> str:
        """The first of these that says something, else the empty text. `product[region]` is the key of a map."""
        given = []
        for name in candidates:
            column, _, key = name.partition("[")
            if column in self.columns:
                cell = f"element_at({_quoted(column)}, {literal(key[:-1])})" if key else _quoted(column)
                given.append(f"NULLIF({cell}, '')")
        return f"COALESCE({', '.join([*given, repr('')])})"

    def _tag(self, key: str) -> str:
        """The value of a tag: a column of its own in legacy reports, a key of a map elsewhere."""
        owned = key if key.startswith("aws:") else f"user:{key}"
        maps = [name for name in ("resource_tags", "tags") if self.columns.get(name, "").startswith("map")]
        spelt = dict.fromkeys((canonical(owned), owned, key))
        return self._text(
            canonical(f"resourceTags/{owned}"), *(f"{column}[{each}]" for column in maps for each in spelt)
        )


def _kind(columns: Mapping[str, str]) -> str:
    if "billedcost" in columns:
        return FOCUS
    new = "billing_period" in columns or columns.get("product", "").startswith("map")
    return CUR2 if new else CUR


def _sum(name: str) -> str:
    """Of what not every line has, a sum over some of them would look like one over all."""
    total = f"SUM({name}) FILTER (WHERE inside)"
    return f"IF(COUNT(*) FILTER (WHERE inside AND {name} IS NULL) = 0, {total}, NULL)" if name in _OPTIONAL else total


def _edges(ask: Ask) -> Iterable[tuple[str, datetime]]:
    return (">=", ask.window.start), ("<", ask.window.end)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(parts: Iterable[str]) -> str:
    return ",\n    ".join(parts)
