"""From the columns of AWS' Cost and Usage Report, 2.0 or legacy, to those of FOCUS, as SQL.

One file is read twice. The first reading makes one charge of each line. The second holds what a line says besides:
the unused part of a commitment, which FOCUS wants as a charge of its own, and what savings plans took back.

Σ BilledCost over both is the sum of the lines as AWS wrote them, whatever the lines are. A line covered by a savings
plan is written at its on-demand cost, and a SavingsPlanNegation takes that back; both are billed 0 here, and whatever
of a pair does not cancel stays as a charge named `NEGATION`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from exporter.costs import ChargeCategory
from exporter.costs.engine import literal
from exporter.costs.money import SQL_TYPE
from exporter.providers.export_files import Made, Native, NativeShard
from exporter.providers.focus_amounts import said
from exporter.providers.focus_tags import value

LINE_TYPE = "line_item_line_item_type"
BILLING_PERIOD = "bill_billing_period_start_date"
BILLED, NET = "line_item_unblended_cost", "line_item_net_unblended_cost"

CATEGORIES: Mapping[str, ChargeCategory] = MappingProxyType(
    {
        "Usage": ChargeCategory.USAGE,
        "DiscountedUsage": ChargeCategory.USAGE,
        "SavingsPlanCoveredUsage": ChargeCategory.USAGE,
        "SavingsPlanRecurringFee": ChargeCategory.PURCHASE,
        "SavingsPlanUpfrontFee": ChargeCategory.PURCHASE,
        "RIFee": ChargeCategory.PURCHASE,
        "Fee": ChargeCategory.PURCHASE,
        "Tax": ChargeCategory.TAX,
        "Credit": ChargeCategory.CREDIT,
        # It does not say of what; FOCUS keeps such money under Adjustment.
        "Refund": ChargeCategory.ADJUSTMENT,
    }
)
"""Line item type → FOCUS category. Those that end in `Discount` lower usage; one that is not here is noted."""

NEGATION = "Savings Plan Negation"
"""ServiceName of what remains of negations that do not cancel; nothing, as far as is known."""

_TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BillingAccountId": ("bill_payer_account_id",),
        "SubAccountId": ("line_item_usage_account_id",),
        "SubAccountName": ("line_item_usage_account_name",),
        "InvoiceId": ("bill_invoice_id",),
        "ServiceName": ("product_product_name", "product[product_name]", "product_servicename"),
        "RegionId": ("product_region_code", "product_region", "product[region]"),
    }
)
"""FOCUS column → where it comes from, the first that says something; `product[…]` is a key of CUR 2.0's map."""

_CODES = ("product_servicecode", "line_item_product_code")
"""What a service is called where it has no name."""

_AMORTISED: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "savings plan": (
            ("savings_plan_savings_plan_effective_cost",),
            ("savings_plan_total_commitment_to_date",),
            ("savings_plan_used_commitment",),
        ),
        "reservation": (
            ("reservation_effective_cost",),
            ("reservation_unused_amortized_upfront_fee_for_billing_period",),
            ("reservation_unused_recurring_fee",),
        ),
    }
)
"""What it takes to spread a commitment's cost. AWS leaves these out of a legacy report that has none of it."""

_NET: Mapping[str, str] = MappingProxyType(
    {
        BILLED: NET,
        "savings_plan_savings_plan_effective_cost": "savings_plan_net_savings_plan_effective_cost",
        "reservation_effective_cost": "reservation_net_effective_cost",
        "reservation_unused_amortized_upfront_fee_for_billing_period": (
            "reservation_net_unused_amortized_upfront_fee_for_billing_period"
        ),
        "reservation_unused_recurring_fee": "reservation_net_unused_recurring_fee",
    }
)
"""The same amounts after discounts."""

_HINT = "a Cost and Usage Report has at least " + ", ".join(
    (LINE_TYPE, BILLED, "line_item_currency_code", "line_item_usage_start_date", BILLING_PERIOD)
)


def canonical(column: str) -> str:
    """`lineItem/UsageStartDate` as CUR 2.0, Athena and Parquet call it: `line_item_usage_start_date`.

    The rule is AWS': a capital starts a word, and whatever is neither letter nor digit is an underscore ("Querying Cost
    and Usage Reports using Amazon Athena", column names).
    """
    words = re.sub(r"([A-Z])", r"_\1", column).lower()
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_")


def is_cur(native: Native) -> bool:
    """Whether it is a Cost and Usage Report by its header."""
    return LINE_TYPE in native.names


def net_months(native: Native) -> str | None:
    """The statement that finds the billing periods whose lines have costs after discounts, as the file writes them."""
    if NET not in native.names:
        return None
    scan = native.shard({}).plain()
    period = said(native.cell(native.need((BILLING_PERIOD,), _HINT)))
    # CUR 2.0 has the column for everybody, empty or 0 throughout where no discount was agreed.
    return f"SELECT DISTINCT {period} FROM {scan} WHERE try_cast({said(native.cell(NET))} AS DOUBLE) <> 0"


class Report:
    """One file of a report and how its lines become charges."""

    def __init__(self, native: Native, net: Collection[str], tags: tuple[str, ...]) -> None:
        self.native = native
        self.net = net
        """The billing periods whose lines have costs after discounts; what lowers them is then in them already."""
        self.tags = tags
        self.line = said(native.cell(native.need((LINE_TYPE,), _HINT)))
        self.spread = {
            kind for kind, needed in _AMORTISED.items() if all(native.first(candidates) for candidates in needed)
        }
        """The commitments whose cost can be spread over their use."""

    def shards(self) -> tuple[NativeShard, NativeShard]:
        """Its lines, and what they say besides."""
        return self._lines(), self._besides()

    def _lines(self) -> NativeShard:
        reservation = self._text("reservation_reservation_a_r_n")
        upfront = f"({self._is('RIFee')} OR ({self._is('Fee')} AND {reservation} IS NOT NULL))"
        billed = [(self._is("SavingsPlanCoveredUsage"), None)]
        effective: list[tuple[str, str | None]] = list(billed)
        if "savings plan" in self.spread:
            effective = [
                (self._is("SavingsPlanCoveredUsage"), "savings_plan_savings_plan_effective_cost"),
                (self._is("SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"), None),
            ]
        if "reservation" in self.spread:
            effective += [(self._is("DiscountedUsage"), "reservation_effective_cost"), (upfront, None)]
        priced = self._is("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
        used = self._is("DiscountedUsage", "SavingsPlanCoveredUsage")
        made = {
            **self._common(),
            "ChargeCategory": Made(self._category()),
            "CommitmentDiscountStatus": Made(f"CASE WHEN {used} THEN 'Used' END"),
            "BilledCost": self._amount(billed, BILLED),
            "EffectiveCost": self._amount(effective, BILLED),
        }
        if "pricing_public_on_demand_cost" in self.native.names:
            at_list = self.native.plain("pricing_public_on_demand_cost")
            made["ListCost"] = Made(f"CASE WHEN {priced} THEN {at_list.sql} END", at_list.type, at_list.of)
        left_out = [self._is("SavingsPlanNegation")]
        if self.net:
            left_out.append(f"({self._discount()} AND {self._has_net()})")
        return self.native.shard(made, f"NOT coalesce({' OR '.join(left_out)}, false)")

    def _besides(self) -> NativeShard:
        """The unused parts, and the pairs of savings plans, of which only what does not cancel is kept (`tidied`)."""
        pair = self._is("SavingsPlanCoveredUsage", "SavingsPlanNegation")
        kinds, unused = [pair], ""
        if "savings plan" in self.spread:
            kinds.append(self._is("SavingsPlanRecurringFee"))
            rest = self._both("savings_plan_total_commitment_to_date", "-", "savings_plan_used_commitment")
            unused += f" WHEN {kinds[-1]} THEN {rest}"
        if "reservation" in self.spread:
            kinds.append(self._is("RIFee"))
            _, upfront, recurring = (needed[0] for needed in _AMORTISED["reservation"])
            unused += f" WHEN {kinds[-1]} THEN {self._both(upfront, '+', recurring)}"
        common = self._common()
        billed = said(self._amount([], BILLED).sql)
        of = self.native.names[BILLED]
        made = {
            **common,
            "ServiceName": Made(f"CASE WHEN {pair} THEN {literal(NEGATION)} ELSE {common['ServiceName'].sql} END"),
            "RegionId": Made(f"CASE WHEN NOT {pair} THEN {common['RegionId'].sql} END"),
            "ChargeCategory": Made(literal(ChargeCategory.USAGE)),
            "CommitmentDiscountStatus": Made(f"CASE WHEN NOT {pair} THEN 'Unused' END"),
            "BilledCost": Made(f"CASE WHEN {pair} THEN {billed} ELSE '0' END", of=of),
            "EffectiveCost": Made(f"CASE WHEN {pair} THEN '0'{unused} END", of=of),
        }
        made.pop("Tags", None)
        return self.native.shard(made, f"coalesce({' OR '.join(kinds)}, false)")

    def _common(self) -> dict[str, Made]:
        """What both readings say alike."""
        native = self.native
        made = {
            "BillingPeriodStart": native.plain(native.need((BILLING_PERIOD,), _HINT)),
            "ChargePeriodStart": native.plain(native.need(("line_item_usage_start_date",), _HINT)),
            "BillingCurrency": native.plain(native.need(("line_item_currency_code",), _HINT)),
        }
        native.need((BILLED,), _HINT)
        for column, name in (
            ("BillingPeriodEnd", "bill_billing_period_end_date"),
            ("ChargePeriodEnd", "line_item_usage_end_date"),
        ):
            if name in native.names:
                made[column] = native.plain(name)
        for column, candidates in _TEXTS.items():
            codes = _CODES if column == "ServiceName" else ()
            made[column] = Made(self._text(*candidates, *codes))
        if self.tags:
            pairs = ", ".join(f"{{'k': {literal(key)}, 'v': {self._tag(key)}}}" for key in self.tags)
            made["Tags"] = Made(f"map_from_entries([{pairs}])", "MAP(VARCHAR, VARCHAR)")
        return made

    def _text(self, *candidates: str) -> str:
        """The first of these that says something; null where none does."""
        given = []
        for name in candidates:
            column, _, key = name.partition("[")
            if column in self.native.names:
                cell, type_ = self.native.cell(column), self.native.type(column)
                given.append(said(value(cell, type_, said(cell), key.rstrip("]")) if key else cell))
        return f"coalesce({', '.join(given)}, NULL)" if given else "CAST(NULL AS VARCHAR)"

    def _tag(self, key: str) -> str:
        """The value of a tag: a column of its own in legacy reports, a key of a map in CUR 2.0."""
        owned = key if key.startswith("aws:") else f"user:{key}"
        columns = [name for name in (f"resourceTags/{owned}",) if name in self.native.header]
        given = [said(self.native.exact(name)) for name in columns]
        given.append(self._text(canonical(f"resourceTags/{owned}")))
        spelt = (canonical(owned), owned, key)
        given += [self._text(f"{column}[{each}]") for column in ("resource_tags", "tags") for each in spelt]
        return f"coalesce({', '.join(given)})"

    def _is(self, *kinds: str) -> str:
        return f"({self.line} IN ({', '.join(map(literal, kinds))}))"

    def _discount(self) -> str:
        """EdpDiscount, PrivateRateDiscount, BundledDiscount, RiVolumeDiscount, SppDiscount, Discount …"""
        return f"ends_with({self.line}, 'Discount')"

    def _has_net(self) -> str:
        period = said(self.native.cell(BILLING_PERIOD))
        return f"({period} IN ({', '.join(map(literal, sorted(self.net)))}))"

    def _category(self) -> str:
        cases = " ".join(f"WHEN {literal(kind)} THEN {literal(category)}" for kind, category in CATEGORIES.items())
        other = f"CASE WHEN {self._discount()} THEN {literal(ChargeCategory.USAGE)} ELSE {self.line} END"
        return f"coalesce(CASE {self.line} {cases} ELSE {other} END, 'no line item type')"

    def _amount(self, cases: Iterable[tuple[str, str | None]], otherwise: str) -> Made:
        """An amount: the column of the first case that holds, 0 where that is None, else `otherwise`.

        Doubles stay doubles, which are read faster and as exactly; all else is text.
        """
        cases = list(cases)
        named = [name for _, name in cases if name] + [otherwise]
        double = {self.native.type(each) for name in named for each in self._versions(name)} == {"DOUBLE"}
        when = " ".join(
            f"WHEN {test} THEN {self._best(name, double=double) if name else ('0' if double else literal('0'))}"
            for test, name in cases
        )
        plain = self._best(otherwise, double=double)
        sql = f"CASE {when} ELSE {plain} END" if when else plain
        return Made(sql, "DOUBLE" if double else "VARCHAR", self.native.names[named[0]])

    def _versions(self, name: str) -> list[str]:
        """The columns of an amount: after discounts, where the file has it, and before."""
        net = _NET.get(name, "")
        return [net, name] if self.net and net in self.native.names else [name]

    def _best(self, name: str, *, double: bool) -> str:
        cells = [self.native.cell(each) for each in self._versions(name)]
        *net, plain = cells if double else [said(cell) for cell in cells]
        return f"CASE WHEN {self._has_net()} THEN coalesce({net[0]}, {plain}) ELSE {plain} END" if net else plain

    def _both(self, one: str, sign: str, other: str) -> str:
        """The sum or difference of two amounts, as text; the text of the one that is none."""
        texts = [_text_of(self._amount([], name)) for name in (one, other)]
        # AWS writes ten digits or so behind the point, far from the 24 at which a cast would round half up.
        read = [f"try_cast({text} AS {SQL_TYPE})" for text in texts]
        wrong = " ".join(
            f"WHEN {text} IS NOT NULL AND ({amount} IS NULL OR contains({text}, '_')) THEN {text}"
            for text, amount in zip(texts, read, strict=True)
        )
        return f"CASE {wrong} ELSE CAST(coalesce({read[0]}, 0) {sign} coalesce({read[1]}, 0) AS VARCHAR) END"


def _text_of(amount: Made) -> str:
    """A double in its shortest digits, which are those that AWS meant; a text as it stands."""
    return f"CAST({amount.sql} AS VARCHAR)" if amount.type == "DOUBLE" else f"({amount.sql})"
