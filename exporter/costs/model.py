"""What a charge is: the columns of a stored bill, and one row of it as a provider writes it.

Column names are those of FOCUS 1.4 (https://focus.finops.org/); names of our own say what FOCUS has no word for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from exporter.costs.money import SQL_TYPE
from exporter.periods import DAY, Month, midnight

GLOBAL = "global"
"""Region of a charge that lies in none."""
UNKNOWN = "unknown"
"""Service or account that the bill does not name."""
NONE = "none"
"""Value of a tag or a status that a charge does not carry."""


class ChargeCategory(StrEnum):
    """What kind of charge a row is (FOCUS ChargeCategory)."""

    USAGE = "Usage"
    PURCHASE = "Purchase"
    TAX = "Tax"
    CREDIT = "Credit"
    ADJUSTMENT = "Adjustment"


class Cost(StrEnum):
    """The four amounts of a charge: on the invoice, amortised, at list price, at contract price."""

    BILLED = "billed"
    EFFECTIVE = "effective"
    LIST = "list"
    CONTRACTED = "contracted"

    @property
    def column(self) -> str:
        """The FOCUS column that holds it."""
        return f"{self.value.capitalize()}Cost"


class CostBasis(StrEnum):
    """How the EffectiveCost of a row came about."""

    REPORTED = "reported"
    """The source gave it."""
    COMPUTED = "computed"
    """We derived it from the source's own amortisation."""
    BILLED = "billed"
    """The source has none; it repeats BilledCost."""


class Column(NamedTuple):
    """One column of a stored bill."""

    name: str
    type: str
    role: str
    """`key`: part of what a row is; `cost`: summed; `fact`: said about the rows summed into it."""


COLUMNS: tuple[Column, ...] = (
    Column("SourceId", "VARCHAR", "key"),
    Column("ChargePeriodStart", "TIMESTAMP", "key"),
    Column("ChargePeriodEnd", "TIMESTAMP", "key"),
    Column("BillingPeriodStart", "TIMESTAMP", "key"),
    Column("ServiceProviderName", "VARCHAR", "key"),
    Column("BillingAccountId", "VARCHAR", "key"),
    Column("SubAccountId", "VARCHAR", "key"),
    Column("ServiceName", "VARCHAR", "key"),
    Column("RegionId", "VARCHAR", "key"),
    Column("ChargeCategory", "VARCHAR", "key"),
    Column("ChargeClass", "VARCHAR", "key"),
    Column("CommitmentDiscountStatus", "VARCHAR", "key"),
    Column("InvoiceId", "VARCHAR", "key"),
    Column("BillingCurrency", "VARCHAR", "key"),
    Column("Tags", "MAP(VARCHAR, VARCHAR)", "key"),
    Column("CostBasis", "VARCHAR", "key"),
    Column("IsEstimated", "BOOLEAN", "key"),
    # Ours: money that came back. Kept apart from the first, or the sum of both would hide it.
    Column("IsRefund", "BOOLEAN", "key"),
    Column("BilledCost", SQL_TYPE, "cost"),
    Column("EffectiveCost", SQL_TYPE, "cost"),
    Column("ListCost", SQL_TYPE, "cost"),
    Column("ContractedCost", SQL_TYPE, "cost"),
    Column("RowCount", "BIGINT", "fact"),
)
"""A stored row is one source × charge period × these keys. ListCost and ContractedCost are null where unknown."""

KEYS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.role == "key")
COSTS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.role == "cost")
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One charge as a provider writes it. Amounts are in `currency` and keep their sign: credits are negative.

    `start` is a UTC day, or an instant where the source has hours. `effective=None` says that the source has no
    amortised cost, and repeats `billed`. `billing_month=None` takes the UTC month of `start`.
    """

    start: date | datetime
    account: str
    service: str
    region: str
    billed: Decimal
    currency: str
    effective: Decimal | None = None
    list: Decimal | None = None
    contracted: Decimal | None = None
    category: ChargeCategory = ChargeCategory.USAGE
    end: datetime | None = None
    """Where the charge period ends; one day after `start` unless said."""
    billing_month: Month | None = None
    billing_account: str = ""
    provider: str = ""
    """Only where the rows of one source are from several providers; else the poller stamps it."""
    charge_class: str = ""
    commitment_status: str = ""
    invoice: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    estimated: bool = False

    @property
    def begins(self) -> datetime:
        """The instant at which the charge period starts, UTC."""
        return self.start.astimezone(UTC) if isinstance(self.start, datetime) else midnight(self.start)

    @property
    def refund(self) -> bool:
        """Money that came back: a negative purchase or adjustment, or a negative correction of an earlier invoice.

        FOCUS has no category for it: a refund keeps the category of what it refunds.
        """
        kind = self.category in (ChargeCategory.PURCHASE, ChargeCategory.ADJUSTMENT)
        return self.billed < 0 and (kind or self.charge_class == "Correction")

    @property
    def ends(self) -> datetime:
        """The instant at which the charge period ends, UTC."""
        return self.end.astimezone(UTC) if self.end else self.begins + DAY

    @property
    def billed_from(self) -> datetime:
        """The instant at which the billing period starts, UTC."""
        return midnight((self.billing_month or Month.containing(self.begins)).first)


Line = tuple[str, str, str, str]
"""What a line of the bill is: provider, account, service, region."""


def slug(words: str) -> str:
    """A vendor's name as a label value: `Red Hat Inc.` becomes `red-hat-inc`."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
