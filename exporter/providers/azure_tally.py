"""From lines of answers to rows of a bill: what belongs together is summed, billed beside effective."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from exporter.costs import CostRow, CostTable
from exporter.costs.money import ZERO, add
from exporter.providers.azure_query import ChargeType, Dataset

OTHER = "other"
"""Region of what lies in none of the listed ones, where regions are listed."""


class Key(NamedTuple):
    """What a row of the bill is, amounts apart."""

    day: date
    account: str
    billing_account: str
    service: str
    region: str
    value: str
    """Of the tag or dimension; empty where there is none."""
    kind: ChargeType
    currency: str

    def row(self, tag: str, billed: Decimal, effective: Decimal | None) -> CostRow:
        """The row."""
        return CostRow(
            start=self.day,
            account=self.account,
            billing_account=self.billing_account,
            service=self.service,
            region=self.region,
            currency=self.currency,
            category=self.kind.category,
            charge_class=self.kind.charge_class,
            tags={tag: self.value} if self.value else {},
            billed=billed,
            effective=effective,
        )


class Tally:
    """Amounts summed by key, one sum for each dataset."""

    def __init__(self) -> None:
        self._sums: dict[Key, dict[Dataset, Decimal]] = {}

    def add(self, key: Key, dataset: Dataset, amount: Decimal) -> None:
        """Add an amount of a charge."""
        sums = self._sums.setdefault(key, {})
        sums[dataset] = add(sums.get(dataset, ZERO), amount)

    def table(self, tag: str, *, amortized: bool) -> CostTable:
        """The charges. One that only one dataset has costs nothing in the other."""
        return CostTable.of(
            key.row(tag, sums.get(Dataset.ACTUAL, ZERO), sums.get(Dataset.AMORTIZED, ZERO) if amortized else None)
            for key, sums in self._sums.items()
            if key.region != OTHER or any(sums.values())  # nothing is left of it
        )
