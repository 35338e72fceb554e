"""The Cloud Billing export: from a ledger to rows of the standard, detailed and FOCUS tables.

Schemas after https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables, as the API gives them.
Rows are only ever added: a late charge, or the correction of an old one, lies in the partition of the day it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from exporter.costs.money import text
from exporter.periods import Month
from exporter.simulator.ledger import Charge, Ledger

PACIFIC = ZoneInfo("America/Los_Angeles")
"""Where invoices are cut: the invoice of a month holds the usage of its Pacific days."""

CREDIT = "credit"
"""Kind of a ledger's charge that is exported inside of another's `credits`."""

DELIVERED_AFTER = timedelta(hours=5)

Row = dict[str, Any]
Field = dict[str, Any]


def _field(name: str, type_: str, *fields: Field, repeated: bool = False) -> Field:
    found: Field = {"name": name, "type": type_, "mode": "REPEATED" if repeated else "NULLABLE"}
    return found | ({"fields": list(fields)} if fields else {})


def _strings(*names: str) -> list[Field]:
    return [_field(name, "STRING") for name in names]


def _labels(name: str) -> Field:
    return _field(name, "RECORD", *_strings("key", "value"), repeated=True)


_TAGS = [*_strings("key", "value"), _field("inherited", "BOOLEAN"), *_strings("namespace")]

STANDARD: list[Field] = [
    *_strings("billing_account_id"),
    _field("service", "RECORD", *_strings("id", "description")),
    _field("sku", "RECORD", *_strings("id", "description")),
    _field("usage_start_time", "TIMESTAMP"),
    _field("usage_end_time", "TIMESTAMP"),
    _field("project", "RECORD", *_strings("id", "number", "name"), _labels("labels"), *_strings("ancestry_numbers")),
    _labels("labels"),
    _labels("system_labels"),
    _field("location", "RECORD", *_strings("location", "country", "region", "zone")),
    _field("tags", "RECORD", *_TAGS, repeated=True),
    _field("export_time", "TIMESTAMP"),
    _field("cost", "FLOAT"),
    _field("currency", "STRING"),
    _field("currency_conversion_rate", "FLOAT"),
    _field(
        "credits",
        "RECORD",
        *_strings("name"),
        _field("amount", "FLOAT"),
        *_strings("full_name", "id", "type"),
        repeated=True,
    ),
    _field("invoice", "RECORD", *_strings("month")),
    *_strings("cost_type"),
    _field("adjustment_info", "RECORD", *_strings("id", "description", "mode", "type")),
    _field("cost_at_list", "FLOAT"),
]
DETAILED: list[Field] = [*STANDARD, _field("resource", "RECORD", *_strings("name", "global_name"))]
FOCUS: list[Field] = [
    *(_field(name, "NUMERIC") for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")),
    *_strings("BillingAccountId", "BillingCurrency"),
    _field("BillingPeriodStart", "TIMESTAMP"),
    _field("ChargePeriodStart", "TIMESTAMP"),
    _field("ChargePeriodEnd", "TIMESTAMP"),
    *_strings("ChargeCategory", "ChargeClass", "ServiceName", "RegionId", "RegionName", "SkuId", "SubAccountId"),
    _field("Tags", "RECORD", *_strings("Key", "Value"), repeated=True),
    _field("x_Project", "RECORD", *_strings("Id", "Name")),
    _field("x_ExportTime", "TIMESTAMP"),
]


@dataclass(slots=True)
class Line:
    """One exported row: a charge with the credits on it, the day of its partition, and when it can be seen."""

    charge: Charge
    credits: list[Charge] = field(default_factory=list)

    @property
    def shown_from(self) -> datetime:
        """When it came: a few hours after its hour, or as late as the ledger says."""
        return max(self.charge.start, self.charge.shown_from)

    @property
    def partition(self) -> datetime:
        """The day on which it was loaded."""
        loaded = max(self.charge.end + DELIVERED_AFTER, self.charge.shown_from)
        return loaded.replace(hour=0, minute=0, second=0, microsecond=0)


def lines(ledger: Ledger) -> list[Line]:
    """The rows of a ledger. A credit joins the charge that bears the same `line`, or else is a row of its own."""
    found: dict[object, Line] = {}
    for charge in ledger.charges:
        if charge.kind != CREDIT:
            found[charge.details.get("line") or id(charge)] = Line(charge)
    for charge in ledger.charges:
        if charge.kind == CREDIT:
            base = found.get(charge.details.get("line"))
            if base is None:
                found[id(charge)] = Line(charge, [charge])
            else:
                base.credits.append(charge)
    return list(found.values())


def invoice_month(charge: Charge) -> Month:
    """The month of the invoice it is on: what the ledger says, else the Pacific month of its start."""
    said = charge.details.get("invoice_month")
    return Month.parse(said) if said else Month.containing(charge.start, PACIFIC)


def exported(line: Line, account: str, names: Mapping[str, str]) -> Row:
    """A row of the detailed table; the standard one has the same columns, and no resource."""
    charge, details = line.charge, line.charge.details
    own = "0" if charge.kind == CREDIT else text(charge.billed)
    region = charge.region if "-" in charge.region else None
    project = {"id": charge.account, "number": str(100 + len(charge.account)), "name": names.get(charge.account)}
    adjustment = {name: details.get(f"adjustment_{name}") for name in ("id", "description", "mode", "type")}
    return {
        "billing_account_id": account,
        "service": {"id": f"service-{len(charge.service)}", "description": charge.service},
        "sku": {"id": details.get("sku_id"), "description": details.get("sku")},
        "usage_start_time": charge.start,
        "usage_end_time": charge.end,
        "project": {**project, "labels": _pairs(details, "project_label_")} if charge.account else None,
        "labels": [{"key": key, "value": value} for key, value in charge.tags.items()],
        "system_labels": [],
        "location": {
            "location": details.get("zone", charge.region) or None,
            "country": None,
            "region": region,
            "zone": details.get("zone"),
        },
        "tags": [],
        "export_time": max(charge.end + DELIVERED_AFTER, charge.shown_from),
        "cost": own,
        "currency": charge.currency,
        "currency_conversion_rate": "0.92",
        "credits": [
            {
                "name": credit.details.get("credit_name"),
                "amount": text(credit.billed),
                "full_name": None,
                "id": None,
                "type": credit.details.get("credit_type"),
            }
            for credit in line.credits
        ],
        "invoice": {"month": str(invoice_month(charge)).replace("-", "")},
        "cost_type": "regular" if charge.kind == CREDIT else charge.kind,
        "adjustment_info": adjustment if any(adjustment.values()) else None,
        "cost_at_list": details.get("at_list", own),
        "resource": {"name": details.get("resource"), "global_name": None},
    }


def as_focus(row: Row) -> Row:
    """The same row as the FOCUS table has it: credits netted, categories in lower case, the project beside."""
    from decimal import Decimal

    from exporter.costs.money import add

    net = text(add(Decimal(row["cost"]), *(Decimal(credit["amount"]) for credit in row["credits"])))
    month = row["invoice"]["month"]
    categories = {"regular": "usage", "tax": "tax"}
    return {
        "BilledCost": net,
        "EffectiveCost": net,
        "ListCost": row["cost_at_list"],
        "ContractedCost": row["cost"],
        "BillingAccountId": row["billing_account_id"],
        "BillingCurrency": row["currency"],
        "BillingPeriodStart": Month(int(month[:4]), int(month[4:])).window(PACIFIC).start,
        "ChargePeriodStart": row["usage_start_time"],
        "ChargePeriodEnd": row["usage_end_time"],
        "ChargeCategory": categories.get(row["cost_type"], "adjustment"),
        "ChargeClass": "correction" if row["adjustment_info"] else None,
        "ServiceName": row["service"]["description"],
        "RegionId": row["location"]["region"],
        "RegionName": row["location"]["location"],
        "SkuId": row["sku"]["id"],
        "SubAccountId": row["billing_account_id"],
        "Tags": [{"Key": pair["key"], "Value": pair["value"]} for pair in _focus_labels(row)],
        "x_Project": {"Id": row["project"]["id"], "Name": row["project"]["name"]} if row["project"] else None,
        "x_ExportTime": row["export_time"],
    }


def _focus_labels(row: Row) -> Iterator[Mapping[str, str]]:
    keys = {pair["key"] for pair in row["labels"]}
    yield from row["labels"]
    yield from (pair for pair in (row["project"] or {}).get("labels", ()) if pair["key"] not in keys)


def _pairs(details: Mapping[str, str], prefix: str) -> list[Row]:
    return [
        {"key": name.removeprefix(prefix), "value": value} for name, value in details.items() if name.startswith(prefix)
    ]
