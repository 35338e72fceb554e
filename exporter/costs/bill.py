"""The question to a provider and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from exporter.costs.money import PLACES, RATIO
from exporter.costs.table import CostTable
from exporter.periods import Grain, Month, Window

_STEP = Decimal(1).scaleb(-PLACES)


@dataclass(frozen=True, slots=True)
class Ask:
    """What the poller wants to know: charges whose period starts in `window`, as days or hours, with these tags."""

    window: Window
    grain: Grain = Grain.DAY
    tags: tuple[str, ...] = ()
    known: str = ""
    """`Bill.made_of` of the answer that is stored whole for this very question; empty where none is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Accounts × days × billing months for which an answer is complete; None stands for all of them.

    An API answers for days. A bill in a file answers for its billing months, on whatever days their charges lie: a
    credit of October's bill for a day in September says nothing about September's bill.
    """

    window: Window
    accounts: tuple[str, ...] | None = None
    billing: tuple[Month, ...] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a bill should know and no number shows. `subject` is a short constant word."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class BilledRate:
    """What one unit of a currency was worth in US dollars in a billing month, as the bill of that month has it."""

    month: Month
    rate: Decimal

    @classmethod
    def implied(cls, month: Month, dollars: Decimal, amount: Decimal) -> BilledRate:
        """By the sums of the same charges in both currencies, to 24 places."""
        return cls(month, RATIO.divide(dollars, amount).quantize(_STEP, context=RATIO))


@dataclass(frozen=True, slots=True)
class Bill:
    """What a provider answers.

    Replacing touches `covered` and nothing else: a complete answer without charges is covered without rows, and
    an answer that proves nothing covers nothing. A provider that cannot answer raises a SourceError instead.
    """

    costs: CostTable
    covered: tuple[Scope, ...]
    by_account: CostTable | None = None
    """The same money again by account and charge category, where `costs` cannot join account with service."""
    totals: CostTable | None = None
    """The provider's own totals, fetched on another way than `costs`, for the conservation check."""
    estimated: frozenset[date] = frozenset()
    """UTC days that the provider itself still calls an estimate."""
    open_months: frozenset[Month] | None = None
    """Billing months in the window whose bill the provider itself does not call final yet; None where it does not
    say. Their days still settle one by one: an open month says nothing about its days."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Account id → name."""
    rates: Mapping[str, BilledRate] = field(default_factory=dict)
    """Currency → its rate in the newest billing month that the bill tells in US dollars too; empty where none is."""
    notes: tuple[Note, ...] = ()
    made_of: str = ""
    """What it was read from, in a word that changes with it; empty where only reading tells."""
    unchanged: bool = False
    """Whether it was not read: it would be what `Ask.known` stands for. It then has no costs and covers nothing."""
    rounded: int = 0
    """Amounts that had more than 24 digits behind the point and were rounded half even."""
