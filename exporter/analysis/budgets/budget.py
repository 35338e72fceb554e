"""What a budget is: an amount per period, the charges it is about, and when to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from exporter.costs import RATIO, ChargeCategory, Cost, CostTable
from exporter.costs.money import ZERO
from exporter.periods import Cycle, Recurrence, Window, day_of

_CREDIT = ChargeCategory.CREDIT.value.lower()


@dataclass(frozen=True, slots=True)
class Threshold:
    """A share of the amount, and how bad it is to reach it."""

    ratio: Decimal
    severity: str = "warning"

    def __post_init__(self) -> None:
        if not self.ratio.is_finite() or self.ratio <= 0:
            raise ValueError(f"{self.ratio} is not a share of a budget above 0")


THRESHOLDS = (Threshold(Decimal("0.8")), Threshold(Decimal(1), "critical"))
"""Of a budget that names none."""

MONTHLY = Recurrence(Cycle.MONTHLY)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which charges count: those that match every label given; several values of one are alternatives."""

    provider: frozenset[str] = frozenset()
    account: frozenset[str] = frozenset()
    service: frozenset[str] = frozenset()
    region: frozenset[str] = frozenset()
    charge_category: frozenset[str] = frozenset()
    """Lower case; empty for all but credits, or all (`Budget.net`)."""
    tags: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, costs: CostTable, *, net: bool = False) -> CostTable:
        """The charges in scope. Credits count where they are asked for by name, or the budget is net of them."""
        labels = ("provider", "account", "service", "region", "charge_category")
        chosen = {name: values for name in labels if (values := getattr(self, name))}
        chosen |= {f"tag:{key}": values for key, values in self.tags.items()}
        found = costs.where(**chosen)
        return found if net or self.charge_category else found.without(charge_category=_CREDIT)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A limit that follows what was spent: the mean of the last periods and some headroom, within bounds.

    It moves when a period begins, and stays until it ends.
    """

    periods: int = 3
    """So many settled periods are needed, and looked at."""
    headroom: Decimal = Decimal("0.1")
    most_change: Decimal = Decimal("0.2")
    """At most this share of the limit of the period before, up or down."""
    least: Decimal | None = None
    """In the currency of the budget; half of its amount unless given."""
    most: Decimal | None = None
    """Twice its amount unless given."""


@dataclass(frozen=True, slots=True)
class Budget:
    """So much money a period for some charges."""

    name: str
    amount: Decimal
    currency: str
    recurrence: Recurrence = MONTHLY
    scope: Scope = Scope()
    net: bool = False
    """Whether credits make it last longer. Unless they do, every charge but credits counts."""
    cost: Cost = Cost.BILLED
    thresholds: tuple[Threshold, ...] = THRESHOLDS
    channels: tuple[str, ...] = ()
    cool_down: timedelta = timedelta(seconds=3600)
    """How long a channel is left in peace about a threshold that it was told of."""
    adjustment: Adjustment | None = None

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount <= ZERO:
            raise ValueError(f"budget {self.name}: {self.amount} is not an amount above 0")

    def period_of(self, day: date) -> Window:
        """The period that a UTC day lies in."""
        return self.recurrence.containing(day)

    def period_id(self, period: Window) -> str:
        """The name of a period, `monthly/2024-03-01`: what is spent in one never runs into another."""
        return f"{self.recurrence.cycle}/{day_of(period.start)}"

    def crossed(self, amount: Decimal, limit: Decimal) -> tuple[Threshold, ...]:
        """The thresholds that an amount has reached, the lowest first."""
        # Products, not quotients: exact, and 80 of 100 has reached 0.8.
        reached = (each for each in self.thresholds if amount >= RATIO.multiply(limit, each.ratio))
        return tuple(sorted(reached, key=lambda each: each.ratio))
