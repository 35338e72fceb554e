"""What the columns of a FOCUS file are called: the versions of FOCUS, and the ways in which tools spell their names.

The header decides all of it. A spelling counts only where the whole header keeps to it, so that a column of somebody's
own never passes for one of FOCUS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

REQUIRED = ("BilledCost", "BillingCurrency", "BillingPeriodStart", "ChargeCategory", "ChargePeriodStart")

PREVIEW = "1.0-preview"

PREVIEW_NAMES: Mapping[str, str] = MappingProxyType({"Region": "RegionId"})
"""Column of FOCUS 1.0-preview → the same today. UsageQuantity and UsageUnit were renamed too; no bill is made of them.

ChargeSubcategory has no successor: its values went to ChargeCategory and CommitmentDiscountStatus (`focus_columns`).
"""

USD = "x_BilledCostInUsd"
"""Azure's own column: BilledCost in US dollars. A rate comes from it, and no bill; a row without it is whole."""

READ: tuple[str, ...] = (
    *REQUIRED,
    "BillingAccountId",
    "BillingPeriodEnd",
    "ChargeClass",
    "ChargePeriodEnd",
    "ChargeSubcategory",
    "CommitmentDiscountStatus",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceId",
    "ListCost",
    "ProviderName",
    "PublisherName",
    "Region",
    "RegionId",
    "RegionName",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    USD,
    "x_Project",
    "x_SkuMeterSubcategory",
)
"""Every column that a bill, or its rate, is made of; all others are passed over."""

_TELLING = ("BillingAccountType", "PricingCurrency", "ServiceSubcategory", "SkuMeter")
"""Columns that only tell the version."""


def _words(name: str) -> list[str]:
    """`SubAccountId` → Sub, Account, Id."""
    return re.findall(r"[A-Z][a-z]*|[a-z]+", name.removeprefix("x_"))


def _spaced(name: str) -> str:
    """The display name of the specification's column pages: `Sub Account ID`."""
    words = {"Id": "ID", "Sku": "SKU"}
    return " ".join(words.get(word, word) for word in _words(name))


def _snake(name: str) -> str:
    return ("x_" if name.startswith("x_") else "") + "_".join(word.lower() for word in _words(name))


SPELLINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "": lambda name: name,
        "in lower case": str.lower,  # Glue, Athena and Hive tables know no capitals
        "in upper case": str.upper,  # Snowflake unloads
        "in snake_case": _snake,
        "in SNAKE_CASE": lambda name: _snake(name).upper(),
        "in camelCase": lambda name: name[0].lower() + name[1:],
        "as display names": _spaced,
        "as display names with Id": lambda name: " ".join(_words(name)),
    }
)
"""How a header may spell the names of FOCUS, in words for a note; empty is the specification's own way."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header understood: FOCUS name → the name it has there, the version, and the spelling it keeps to."""

    columns: dict[str, str]
    version: str
    spelling: str


def read(given: Collection[str]) -> Header:
    """What a header says. Where no spelling gives a bill it is read as FOCUS', for `missing` to name what it lacks."""
    for spelling, spelt in SPELLINGS.items():
        columns = {name: spelt(name) for name in (*READ, *_TELLING) if spelt(name) in given}
        if not missing(columns):
            return Header(_modern(columns), version(columns), spelling)
    columns = {name: name for name in READ if name in given}
    return Header(columns, version(columns), "")


def missing(columns: Collection[str]) -> str | None:
    """The first column without which there is no bill."""
    provider = "ServiceProviderName" if "ServiceProviderName" in columns else "ProviderName"
    return next((name for name in (*REQUIRED, provider) if name not in columns), None)


def version(columns: Collection[str]) -> str:
    """The FOCUS version that a header belongs to, by the columns that each version brought or took."""
    if "ServiceProviderName" in columns:
        return "1.3" if "ProviderName" in columns else "1.4"
    # Azure's 1.0 exports already carry BillingAccountType, so that column proves nothing by itself.
    if "PricingCurrency" in columns or "InvoiceId" in columns:
        return "1.2"
    if "SkuMeter" in columns or "ServiceSubcategory" in columns:
        return "1.1"
    preview = "ChargeSubcategory" in columns or "Region" in columns
    return PREVIEW if preview and not {"ChargeClass", "RegionId"} & set(columns) else "1.0"


def _modern(columns: dict[str, str]) -> dict[str, str]:
    """The preview's names as those of today: its Region became RegionId, and what it says of usage is not read.

    Only where the file is of the preview: in a later one such a column is somebody's own.
    """
    read_ = {name: given for name, given in columns.items() if name not in _TELLING}
    if version(columns) == PREVIEW:
        return {PREVIEW_NAMES.get(name, name): given for name, given in read_.items()}
    return {name: given for name, given in read_.items() if name not in ("Region", "ChargeSubcategory")}
