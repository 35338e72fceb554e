"""The charges of a ledger as lines of an AWS export: CUR 2.0, legacy Cost and Usage Report, FOCUS; what Athena's tables
over them look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from exporter.periods import Month
from exporter.simulator.aws.estate import PAYER
from exporter.simulator.ledger import Charge, Ledger

Line = dict[str, Any]

INVOICED = timedelta(days=4)
"""After the end of a month its bill is final."""

_LINE_TYPES = {"Support": "Fee"}
_CATEGORIES = {
    "Support": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Adjustment",
}
_DOUBLES = (
    *("line_item_unblended_cost", "line_item_net_unblended_cost", "pricing_public_on_demand_cost"),
    *("savings_plan_savings_plan_effective_cost", "savings_plan_net_savings_plan_effective_cost"),
    *("savings_plan_total_commitment_to_date", "savings_plan_used_commitment"),
    *("reservation_effective_cost", "reservation_unused_recurring_fee"),
    "reservation_unused_amortized_upfront_fee_for_billing_period",
)
_STRINGS = (
    *("bill_payer_account_id", "bill_invoice_id", "line_item_usage_account_id", "line_item_usage_account_name"),
    *("line_item_line_item_type", "line_item_product_code", "line_item_currency_code", "product_region_code"),
    "reservation_reservation_a_r_n",
)
_TIMES = ("bill_billing_period_start_date", "line_item_usage_start_date", "line_item_usage_end_date")
_REPORT = {
    **dict.fromkeys(_STRINGS, "string"),
    **dict.fromkeys(_TIMES, "timestamp"),
    **dict.fromkeys(_DOUBLES, "double"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table is like, and what a charge is in it."""

    columns: Mapping[str, str]
    """Name → Hive type."""
    partitions: tuple[str, ...]
    when: str
    """The column that says when a line's usage starts."""
    invoice: str
    """The column that is blank until the bill is final."""
    line: Callable[[Charge, Ledger], Line]


def _report(charge: Charge, ledger: Ledger) -> Line:
    """What both reports say alike. `details` may hold any column of theirs, `""` for null."""
    month, kind = _billed_in(charge), _LINE_TYPES.get(charge.kind, charge.kind)
    amortised = float(charge.amortised) if kind == "SavingsPlanCoveredUsage" else None
    return {
        "bill_payer_account_id": PAYER,
        "bill_invoice_id": f"INV-{month}",
        "bill_billing_period_start_date": month.window().start,
        "line_item_usage_account_id": charge.account,
        "line_item_usage_account_name": ledger.accounts.get(charge.account, ""),
        "line_item_line_item_type": kind,
        "line_item_usage_start_date": charge.start,
        "line_item_usage_end_date": charge.end,
        "line_item_product_code": charge.service,
        "line_item_currency_code": charge.currency,
        "line_item_unblended_cost": float(charge.details.get("unblended", str(charge.billed))),
        "line_item_net_unblended_cost": float(charge.billed),
        "product_region_code": charge.region.replace("NoRegion", ""),
        "pricing_public_on_demand_cost": float(charge.billed) if kind == "Usage" else None,
        "savings_plan_savings_plan_effective_cost": amortised,
        **{name: value or None for name, value in charge.details.items() if name in _REPORT},
        **_shown(charge, month),
    }


def _cur2(charge: Charge, ledger: Ledger) -> Line:
    return {
        **_report(charge, ledger),
        "product": {"product_name": charge.service},
        "resource_tags": {f"user_{key}": value for key, value in charge.tags.items()},
        "billing_period": str(_billed_in(charge)),
    }


def _cur(charge: Charge, ledger: Ledger) -> Line:
    month = _billed_in(charge)
    tags = {f"resource_tags_user_{key}": value for key, value in charge.tags.items()}
    own = {"product_product_name": charge.service, "year": str(month.year), "month": str(month.number)}
    return {**_report(charge, ledger), **tags, **own}


def _focus(charge: Charge, ledger: Ledger) -> Line:
    month = _billed_in(charge)
    return {
        "billingaccountid": PAYER,
        "invoiceid": f"INV-{month}",
        "billingperiodstart": month.window().start,
        "subaccountid": charge.account,
        "subaccountname": ledger.accounts.get(charge.account, ""),
        "chargecategory": _CATEGORIES.get(charge.kind, "Usage"),
        "chargeclass": None,
        "chargeperiodstart": charge.start,
        "billingcurrency": charge.currency,
        "servicename": charge.service,
        "regionid": charge.region.replace("NoRegion", "") or None,
        "commitmentdiscountstatus": "Used" if charge.kind == "SavingsPlanCoveredUsage" else None,
        "billedcost": float(charge.billed),
        "effectivecost": float(charge.amortised),
        "listcost": float(charge.billed),
        "contractedcost": float(charge.billed),
        "tags": dict(charge.tags),
        "billing_period": str(month),
        **_shown(charge, month),
    }


def _billed_in(charge: Charge) -> Month:
    """The month whose bill it is on: that of its start, unless `details` has a later one."""
    said = charge.details.get("billed_in")
    return Month.parse(said) if said else Month.containing(charge.start)


def _shown(charge: Charge, month: Month) -> Line:
    """From when to when the export has it, and from when its bill is final."""
    since = max(charge.shown_from, charge.start)
    return {"_from": since, "_until": charge.shown_until, "_invoiced": month.window().end + INVOICED}


_FOCUS_TYPES = {
    **dict.fromkeys(("billingaccountid", "invoiceid", "subaccountid", "subaccountname", "chargecategory"), "string"),
    **dict.fromkeys(("chargeclass", "billingcurrency", "servicename", "regionid"), "string"),
    "commitmentdiscountstatus": "string",
    **dict.fromkeys(("billingperiodstart", "chargeperiodstart"), "timestamp"),
    **dict.fromkeys(("billedcost", "effectivecost", "listcost", "contractedcost"), "double"),
    "tags": "map<string,string>",
}
_MAPS = dict.fromkeys(("product", "resource_tags"), "map<string,string>")
_TAGS = dict.fromkeys(("product_product_name", "resource_tags_user_team", "resource_tags_user_env"), "string")
_WHEN, _INVOICE = "line_item_usage_start_date", "bill_invoice_id"

CUR2 = Layout(_REPORT | _MAPS, ("billing_period",), _WHEN, _INVOICE, _cur2)
CUR = Layout(_REPORT | _TAGS, ("year", "month"), _WHEN, _INVOICE, _cur)
FOCUS = Layout(_FOCUS_TYPES, ("billing_period",), "chargeperiodstart", "invoiceid", _focus)
