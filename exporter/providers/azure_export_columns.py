"""From the columns of Azure's actual and amortised cost exports to those of FOCUS, as SQL.

Headers differ by agreement, by version and by language; the words are the same. So names are compared without case
and punctuation, and of `Kosten (Cost)`, as portals of other languages write, the English one counts. Which agreement
has which column: Microsoft Learn, "Understand cost details fields"; FinOps toolkit, "Data dictionary".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from exporter.costs import ChargeCategory
from exporter.costs.engine import literal
from exporter.providers.export_files import Made, Native, NativeShard
from exporter.providers.focus_amounts import said
from exporter.providers.focus_names import USD

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BilledCost": ("costinbillingcurrency", "cost", "pretaxcost"),
        "BillingCurrency": ("billingcurrency", "billingcurrencycode", "currency", "currencycode"),
        "ChargePeriodStart": ("date", "usagedatetime", "usagedate"),
        "BillingPeriodStart": ("billingperiodstartdate",),
        "BillingPeriodEnd": ("billingperiodenddate",),
        "BillingAccountId": ("billingprofileid", "billingaccountid"),
        "SubAccountId": ("subscriptionid", "subscriptionguid"),
        "SubAccountName": ("subscriptionname",),
        "ServiceName": ("servicename", "metercategory"),
        "PublisherName": ("publishername",),
        "RegionId": ("resourcelocation", "location"),
        "InvoiceId": ("invoiceid",),
        "ListCost": ("paygcostinbillingcurrency",),
        "Tags": ("tags",),
        USD: ("costinusd",),
        "type": ("chargetype",),
        "pricing": ("pricingmodel",),
    }
)
"""FOCUS column → what it is called, without case and punctuation: by EA and MCA, then by older and classic exports.

`type` and `pricing` make ChargeCategory, ChargeClass and CommitmentDiscountStatus. Classic subscriptions have neither,
nor billing periods, and then all is usage of the calendar month.
"""

CATEGORIES: Mapping[str, ChargeCategory] = MappingProxyType(
    {
        "usage": ChargeCategory.USAGE,
        "purchase": ChargeCategory.PURCHASE,
        "credit": ChargeCategory.CREDIT,
        "tax": ChargeCategory.TAX,
        "refund": ChargeCategory.PURCHASE,
        "unusedreservation": ChargeCategory.USAGE,
        "unusedsavingsplan": ChargeCategory.USAGE,
        "roundingadjustment": ChargeCategory.ADJUSTMENT,
        "adjustment": ChargeCategory.ADJUSTMENT,
    }
)
"""ChargeType in lower case → FOCUS category; another one is kept as Adjustment, and noted."""

_HINT = (
    "an actual or amortised cost export has at least CostInBillingCurrency, BillingCurrency and Date, or older words"
)
_NEEDED = {"BilledCost": "CostInBillingCurrency", "BillingCurrency": "BillingCurrency", "ChargePeriodStart": "Date"}


def canonical(column: str) -> str:
    """`costInBillingCurrency` and `Kosten (CostInBillingCurrency)` alike: `costinbillingcurrency`."""
    english = re.search(r"\(([A-Za-z ]+)\)$", column.strip())
    return re.sub(r"[^a-z0-9]", "", (english[1] if english else column).lower())


def shard(native: Native, *, tags: bool) -> NativeShard:
    """A file of an export with FOCUS columns; its one cost is BilledCost, whichever kind of export it is."""
    made: dict[str, Made] = {}
    for column, candidates in COLUMNS.items():
        if column in _NEEDED:
            made[column] = native.plain(native.need(candidates, _HINT, _NEEDED[column]))
        elif name := native.first(candidates):
            made[column] = native.plain(name)
    # Two columns may share a row's service: the older ServiceName goes first and is empty for purchases.
    services = [said(native.cell(name)) for name in COLUMNS["ServiceName"] if name in native.names]
    if services:
        made["ServiceName"] = Made(f"coalesce({', '.join(services)}, NULL)")
    regions = [said(native.cell(name)) for name in COLUMNS["RegionId"] if name in native.names]
    if regions:
        made["RegionId"] = Made(f"lower(replace(coalesce({', '.join(regions)}, NULL), ' ', ''))")
    if "BillingPeriodStart" not in made:
        made["BillingPeriodStart"] = made["ChargePeriodStart"]
    if not tags:
        made.pop("Tags", None)
    made |= _kinds(made.pop("type", None), made.pop("pricing", None))
    return native.shard(made)


def by_calendar(native: Native) -> bool:
    """Whether the export has no billing periods."""
    return native.first(COLUMNS["BillingPeriodStart"]) is None


def _kinds(type_: Made | None, pricing: Made | None) -> dict[str, Made]:
    """What ChargeType and PricingModel say."""
    if type_ is None:
        return {"ChargeCategory": Made(literal(ChargeCategory.USAGE))}
    given, model = said(type_.sql), f"lower({said(pricing.sql)})" if pricing else "''"
    kind = f"lower({given})"
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(category)}" for word, category in CATEGORIES.items())
    used = f"{kind} = 'usage' AND {model} IN ('reservation', 'savingsplan')"
    status = f"CASE WHEN {kind} IN ('unusedreservation', 'unusedsavingsplan') THEN 'Unused' WHEN {used} THEN 'Used' END"
    return {
        "ChargeCategory": Made(f"coalesce(CASE {kind} {cases} ELSE {given} END, 'no ChargeType')"),
        "ChargeClass": Made(f"CASE WHEN {kind} = 'refund' THEN 'Correction' END"),
        "CommitmentDiscountStatus": Made(status),
    }
