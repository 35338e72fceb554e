"""What a simulated cloud has charged, and from when its billing API shows it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from exporter.costs.money import add
from exporter.periods import HOUR, Window

Key = TypeVar("Key", bound=Hashable)

_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One line of a ledger. Words are the cloud's own, amounts are in `currency` and keep their sign."""

    start: datetime
    """UTC."""
    account: str
    service: str
    region: str
    billed: Decimal
    currency: str
    kind: str
    """What the cloud calls the type of charge: a RECORD_TYPE, a cost_type, a ChargeType."""
    effective: Decimal | None = None
    """Amortised; `billed` unless said."""
    lasts: timedelta = HOUR
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    """What only this cloud knows of a charge: usage type, resource group, invoice month, credit type."""
    shown_from: datetime = _ALWAYS
    """When the billing API begins to show it: late charges come days after their hour."""
    shown_until: datetime | None = None
    """When it ceases to: restated charges are replaced."""

    @property
    def end(self) -> datetime:
        """The instant at which the charge period ends."""
        return self.start + self.lasts

    @property
    def amortised(self) -> Decimal:
        """The effective amount."""
        return self.billed if self.effective is None else self.effective


class Ledger:
    """All charges of one cloud, and who the accounts are."""

    def __init__(self, charges: Iterable[Charge], accounts: Mapping[str, str]) -> None:
        self.charges = list(charges)
        self.accounts = dict(accounts)
        """Account id → name."""

    def shown(self, now: datetime, window: Window | None = None) -> Iterator[Charge]:
        """The charges that the billing API shows at `now`, of periods that start in the window. None of the future."""
        for charge in self.charges:
            begun = charge.start <= now and charge.shown_from <= now
            replaced = charge.shown_until is not None and charge.shown_until <= now
            if begun and not replaced and (window is None or charge.start in window):
                yield charge

    def totals(self, now: datetime, key: Callable[[Charge], Key], window: Window | None = None) -> dict[Key, Decimal]:
        """Exact sums of the billed amounts by whatever `key` makes of a charge."""
        sums: dict[Key, Decimal] = {}
        for charge in self.shown(now, window):
            which = key(charge)
            sums[which] = add(sums.get(which, Decimal(0)), charge.billed)
        return sums
