"""Names: vendors to slugs, account paths to ids, regions and services to one spelling, and nothing left empty.

Runs on grouped charges, so it costs next to nothing; what becomes equal is summed by the store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from exporter.costs import GLOBAL, UNKNOWN, CostTable, slug
from exporter.costs.engine import literal


def tidy(costs: CostTable, label: str = "") -> CostTable:
    """The same charges with label values for names. `label` stamps the provider of rows that do not say theirs."""
    spellings = [row[0] for row in costs.select("DISTINCT ServiceProviderName")]
    cases = " ".join(f"WHEN {literal(words)} THEN {literal(provider(words, label))}" for words in spellings)
    vendor = f"CASE ServiceProviderName {cases} END" if spellings else "ServiceProviderName"
    vendors = {provider(words, label) for words in spellings}
    squeezed = ", ".join(literal(name) for name in _names()["regions_without_spaces"] if name in vendors)
    region = "RegionId"
    if squeezed:
        region = f"CASE WHEN {vendor} IN ({squeezed}) THEN replace(lower(RegionId), ' ', '') ELSE RegionId END"
    # Azure writes /subscriptions/<guid>; the id is its last part.
    id = "if(contains(SubAccountId, '/'), regexp_extract(SubAccountId, '([^/]*)/*$', 1), SubAccountId)"
    return costs.mapped(
        ServiceProviderName=vendor,
        SubAccountId=_filled(id, UNKNOWN),
        ServiceName=_service(_filled("ServiceName", UNKNOWN), vendor, vendors),
        RegionId=_filled(region, GLOBAL),
    )


def account(id: str) -> str:
    """An account id as the `account` label has it."""
    return id.rstrip("/").rpartition("/")[2] or UNKNOWN


def provider(words: str, label: str = "") -> str:
    """A vendor's spelling as the `provider` label has it."""
    return _slugs().get(words.strip().lower()) or slug(words) or label or UNKNOWN


def _service(name: str, vendor: str, vendors: Collection[str]) -> str:
    """The expression of a service whose meters and models have one name. Other providers' names stay as they are."""
    cases = " ".join(
        f"WHEN {vendor} = {literal(provider)} AND regexp_full_match({name}, {literal('|'.join(patterns))}, 'i')"
        f" THEN {literal(service)}"
        for provider, services in _names()["services"].items()
        if provider in vendors
        for service, patterns in services.items()
    )
    return f"CASE {cases} ELSE {name} END" if cases else name


def _filled(expression: str, otherwise: str) -> str:
    return f"coalesce(nullif(trim({expression}), ''), {literal(otherwise)})"


@cache
def _names() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load(files("exporter.normalise").joinpath("names.yml").read_text("utf-8"))
    return loaded


@cache
def _slugs() -> Mapping[str, str]:
    return {words: name for name, spellings in _names()["providers"].items() for words in spellings}
