"""What Cost Explorer calls the types of charges (RECORD_TYPE), and which category each has.

Words are those of the API (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/manage-cost-categories.html,
"Term comparisons", and line item types of the Cost and Usage Report); some have two spellings, and both are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.costs import ChargeCategory

_WORDS: Mapping[ChargeCategory, tuple[str, ...]] = {
    # All that has a service and a region. Discounts lower the usage that they are for, and a SavingsPlanNegation takes
    # covered usage off the invoice again: left out, their sums would no longer be the invoice.
    ChargeCategory.USAGE: (
        *("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation"),
        *("EdpDiscount", "Enterprise Discount Program Discount"),
        *("PrivateRateDiscount", "Private Rate Discount"),
        *("SppDiscount", "Solution Provider Program Discount"),
        *("BundledDiscount", "Bundled Discount"),
        *("DistributorDiscount", "Distributor Discount"),
        *("RiVolumeDiscount", "Reserved Instances Volume Discount", "Discount"),
        "FlatRateSubscription",
    ),
    ChargeCategory.PURCHASE: (
        *("Support", "Fee", "RIFee", "Recurring", "Upfront"),
        *("SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"),
        *("Out-of-cycle", "Other out-of-cycle charges"),
    ),
    ChargeCategory.TAX: ("Tax",),
    ChargeCategory.CREDIT: ("Credit",),
    # What was refunded is not said.
    ChargeCategory.ADJUSTMENT: ("Refund",),
}

CATEGORIES: Mapping[str, ChargeCategory] = MappingProxyType(
    {word: category for category, words in _WORDS.items() for word in words}
)
"""RECORD_TYPE → category. A word that is not here is an Adjustment, and a note names it."""

USAGE: tuple[str, ...] = _WORDS[ChargeCategory.USAGE]
"""The record types that are asked for by service and region. A filter for a word that AWS does not know finds
nothing, and is no error."""

NOTHING = frozenset({"NoRegion", "No Region", "NoService", "No Service", "NoUsageType", "No Usage Type"})
"""Keys of groups that stand for none."""


def category(record_type: str) -> ChargeCategory:
    """The category of a type of charge."""
    return CATEGORIES.get(record_type, ChargeCategory.ADJUSTMENT)
