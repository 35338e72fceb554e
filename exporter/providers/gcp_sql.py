"""The one statement that is asked of a billing export table, made from the table's own columns.

It sums by all that a stored row is, by currency, and over everything (GROUPING SETS), in one scan: the totals do not
come from the rows, so that a page of rows that gets lost shows up as money.

`cost` is a FLOAT64. A sum of those differs from run to run, and a cast to BIGNUMERIC takes all the binary digits behind
(0.1 becomes 0.10000000000000000555…). The text of a FLOAT64 is the shortest that reads back as the same number, which
is what the export prints: so the sum is over the texts, in BIGNUMERIC (38 places), exact and always the same.
(https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from exporter.costs import Ask
from exporter.errors import BadData
from exporter.periods import Grain, midnight

INGESTED = "_PARTITIONTIME"

DISCOUNTS = (
    "COMMITTED_USAGE_DISCOUNT",
    "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE",
    "DISCOUNT",
    "FEE_UTILIZATION_OFFSET",
    "RESELLER_MARGIN",
    "SUBSCRIPTION_BENEFIT",
    "SUSTAINED_USAGE_DISCOUNT",
)
"""Types of credits that are part of a price: they are netted with what they are on. All others (PROMOTION, FREE_TIER
and what may come) are credits. https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage
"""

SKU = "sku"


class Parameter(NamedTuple):
    """A named parameter of the statement."""

    name: str
    type: str
    value: datetime | str


@dataclass(frozen=True, slots=True)
class Statement:
    """What is asked, and how an answer is read."""

    sql: str
    parameters: tuple[Parameter, ...]
    columns: tuple[str, ...]
    """The answer's columns, in order."""
    tags: tuple[str, ...]
    """The keys behind the columns `tag_0`, `tag_1` and so on."""


@dataclass(frozen=True, slots=True)
class Export:
    """A billing export table as `tables.get` describes it."""

    name: str
    fields: Mapping[str, str]
    """Path in lower case (`project.labels.key`) → type."""
    partition: str | None
    """The column it is partitioned by; None for a view, or a table without."""
    partition_unit: str = "DAY"
    location: str | None = None
    """Where it is, and jobs over it with it: a job is found again only by one who says where."""

    @classmethod
    def described(cls, name: str, resource: Mapping[str, Any]) -> Export:
        """From the API's own description. BadData where it is not one of a billing export."""
        if "fields" not in resource.get("schema", {}):
            raise BadData(f"the description of {name} has no schema")
        fields = dict(_paths(resource["schema"]["fields"]))
        how = resource.get("timePartitioning") or {}  # a view has none
        partition = how.get("field", INGESTED) if how else None
        export = cls(name, fields, partition, how.get("type", "DAY"), resource.get("location"))
        missing = [path for path in (_FOCUS if export.focus else _NATIVE) if path not in fields]
        if missing:
            hint = (
                "name a table gcp_billing_export_v1_…, gcp_billing_export_resource_v1_… or gcp_billing_export_focus_…"
            )
            raise BadData(f"{name} has no column {missing[0]}: it is no billing export", hint=hint)
        return export

    @property
    def focus(self) -> bool:
        """Whether it has FOCUS columns."""
        return "billedcost" in self.fields

    def statement(self, ask: Ask, slack: timedelta, dimensions: Iterable[str] = ()) -> Statement:
        """What to ask it for a window, by day or by hour, with these tag keys."""
        keys = tuple(dict.fromkeys((*ask.tags, *dimensions)))
        own = {SKU} & set(dimensions)
        tags = {f"tag_{n}": self._sku() if key in own else self._tag(n) for n, key in enumerate(keys)}
        labels = {"start": self._start(ask.grain), **(self._focus_labels() if self.focus else self._labels()), **tags}
        amounts = self._focus_amounts() if self.focus else self._amounts()
        loaded = self._loaded_from(ask.window.start - slack)
        when = "ChargePeriodStart" if self.focus else "usage_start_time"
        conditions = [f"{when} >= @since", f"{when} < @until"]
        if self.partition:
            # No upper end: late rows for an old day lie in the partition of the day on which they came.
            bound = "DATE(@loaded)" if self.fields.get(self.partition.lower()) == "DATE" else "@loaded"
            conditions.insert(0, f"{self.partition} >= {bound}")
        inner = [f"{expression} AS {name}" for name, expression in (labels | amounts).items()]
        sums = [f"{_whole(name)} AS {name}" for name in AMOUNTS]
        grouped = ", ".join(labels)
        facts = [
            "MAX(per_dollar) AS per_dollar",
            "COUNT(*) AS row_count",
            "MAX(account_name) AS account_name",
            "GROUPING(start) AS summed",
        ]
        sql = (
            f"WITH charge AS (\n  SELECT {_listed(inner)}\n"
            f"  FROM `{self.name}`\n  WHERE {' AND '.join(conditions)}\n)\n"
            f"SELECT {_listed([*labels, *sums, *facts])}\nFROM charge\n"
            f"GROUP BY GROUPING SETS (({grouped}), (currency), ())\nORDER BY summed DESC"
        )
        parameters = [
            *([Parameter("loaded", "TIMESTAMP", loaded)] if self.partition else []),
            Parameter("since", "TIMESTAMP", ask.window.start),
            Parameter("until", "TIMESTAMP", ask.window.end),
            *(Parameter(f"tag_{n}", "STRING", key) for n, key in enumerate(keys) if key not in own),
        ]
        columns = (*labels, *AMOUNTS, "per_dollar", "row_count", "account_name", "summed")
        return Statement(sql, tuple(parameters), columns, keys)

    def newest(self, since: datetime) -> Statement:
        """When the newest charge begins that was loaded since: for a look at what is there."""
        when = "ChargePeriodStart" if self.focus else "usage_start_time"
        where = f"{self.partition} >= @since" if self.partition == INGESTED else f"{when} >= @since"
        sql = f"SELECT MAX({when}) AS newest FROM `{self.name}` WHERE {where}"
        return Statement(sql, (Parameter("since", "TIMESTAMP", since),), ("newest",), ())

    def _loaded_from(self, instant: datetime) -> datetime:
        """The start of the partition that an instant lies in."""
        day = midnight(instant.date())
        starts = {"MONTH": day.replace(day=1), "YEAR": day.replace(month=1, day=1)}
        return starts.get(self.partition_unit, day)

    def _start(self, grain: Grain) -> str:
        when = "ChargePeriodStart" if self.focus else "usage_start_time"
        return f"TIMESTAMP_TRUNC({when}, {'HOUR' if grain is Grain.HOUR else 'DAY'})"

    def _labels(self) -> dict[str, str]:
        adjusted = [f"IFNULL(adjustment_info.{name}, '') != ''" for name in ("id", "type")]
        known = all(f"adjustment_info.{name}" in self.fields for name in ("id", "type"))
        return {
            "month": "IFNULL(invoice.month, '')",
            "billing_account": "IFNULL(billing_account_id, '')",
            "account": "IFNULL(project.id, '')",
            "service": "IFNULL(service.description, '')",
            # A multi-region such as `eu` is a location and no region.
            "region": "IFNULL(NULLIF(location.region, ''), IFNULL(location.location, ''))",
            "kind": "IFNULL(cost_type, '')",
            "correction": f"({' OR '.join(adjusted)})" if known else "FALSE",
            "currency": "currency",
        }

    def _focus_labels(self) -> dict[str, str]:
        # Google's SubAccountId is the billing account; the project stands in a column of Google's own.
        project = "x_Project.Id" if "x_project.id" in self.fields else "SubAccountId"
        region = "IFNULL(NULLIF(RegionId, ''), IFNULL(RegionName, ''))" if "regionname" in self.fields else None
        return {
            # Midnight on the Pacific coast is later in UTC: it lies in the month that it begins.
            "month": "FORMAT_TIMESTAMP('%Y%m', BillingPeriodStart)",
            "billing_account": "IFNULL(BillingAccountId, '')",
            "account": f"IFNULL({project}, '')",
            "service": "IFNULL(ServiceName, '')",
            "region": region or "IFNULL(RegionId, '')",
            "kind": "LOWER(IFNULL(ChargeCategory, ''))",  # Google writes `usage`, FOCUS `Usage`
            "correction": "LOWER(IFNULL(ChargeClass, '')) = 'correction'",
            "currency": "BillingCurrency",
        }

    def _amounts(self) -> dict[str, str]:
        # A list in place of a join: an array that is joined would repeat the row's cost.
        types = ", ".join(f"'{type_}'" for type_ in DISCOUNTS)
        credit = _exact("c.amount", self.fields["credits.amount"])
        chosen = f"(SELECT SUM({credit}) FROM UNNEST(credits) AS c WHERE IFNULL(c.type, '') {{}} ({types}))"
        cost = _exact("cost", self.fields["cost"])
        listed = _exact("cost_at_list", self.fields.get("cost_at_list", ""))
        return {
            "account_name": "project.name",
            "billed": f"{cost} + IFNULL({chosen.format('IN')}, 0)",
            "promoted": f"IFNULL({chosen.format('NOT IN')}, 0)",
            "effective": "CAST(NULL AS BIGNUMERIC)",
            "contracted": cost,
            "at_list": listed,
            "per_dollar": _exact("currency_conversion_rate", self.fields.get("currency_conversion_rate", "")),
        }

    def _focus_amounts(self) -> dict[str, str]:
        columns = {"billed": "BilledCost", "effective": "EffectiveCost", "contracted": "ContractedCost"}
        columns["at_list"] = "ListCost"
        name = "x_Project.Name" if "x_project.name" in self.fields else "CAST(NULL AS STRING)"
        exact = {word: _exact(column, self.fields.get(column.lower(), "")) for word, column in columns.items()}
        unknown = "CAST(NULL AS BIGNUMERIC)"
        return {"account_name": name, "promoted": "CAST(0 AS BIGNUMERIC)", **exact, "per_dollar": unknown}

    def _tag(self, n: int) -> str:
        """The value of a key: the resource's own label, else the project's, else a tag's."""
        arrays = [name for name in ("labels", "x_labels", "project.labels", "tags") if f"{name}.key" in self.fields]
        values = [f"(SELECT MAX(e.value) FROM UNNEST({name}) AS e WHERE e.key = @tag_{n})" for name in arrays]
        return f"COALESCE({', '.join([*values, repr('')])})"

    def _sku(self) -> str:
        paths = {"sku.description": "sku.description", "x_skudescription": "x_SkuDescription", "skuid": "SkuId"}
        found = next((column for path, column in paths.items() if path in self.fields), None)
        return f"IFNULL({found}, '')" if found else "''"


AMOUNTS = ("billed", "promoted", "effective", "contracted", "at_list")

_NATIVE = (
    *("billing_account_id", "service.description", "usage_start_time", "project.id", "project.name", "invoice.month"),
    *("location.region", "location.location", "cost", "cost_type", "currency", "credits.amount", "credits.type"),
)
_FOCUS = (
    *("billedcost", "billingaccountid", "billingcurrency", "billingperiodstart", "chargeperiodstart"),
    *("chargecategory", "chargeclass", "regionid", "servicename", "subaccountid"),
)


def _exact(column: str, type_: str) -> str:
    """An amount as BIGNUMERIC, digit for digit as it is printed; null for a column that is not there."""
    if not type_:
        return "CAST(NULL AS BIGNUMERIC)"
    return (
        f"CAST(CAST({column} AS STRING) AS BIGNUMERIC)"
        if type_.startswith("FLOAT")
        else f"CAST({column} AS BIGNUMERIC)"
    )


def _whole(name: str) -> str:
    """The sum where every row has the amount; a sum over some of them would look like one over all."""
    return f"IF(COUNT({name}) = COUNT(*), SUM({name}), NULL)"


def _listed(parts: Iterable[str]) -> str:
    return ",\n    ".join(parts)


def _paths(fields: Iterable[Mapping[str, Any]], before: str = "") -> Iterator[tuple[str, str]]:
    for field in fields:
        path = f"{before}{field['name']}".lower()
        yield path, str(field["type"])
        yield from _paths(field.get("fields", ()), f"{path}.")
