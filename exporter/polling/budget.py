"""The cap on what asking may cost: pure arithmetic in USD and UTC months.

First intervals stretch, so that what is left lasts to the end of the month; then calls that the bill is whole without
are left out; at the cap nothing that costs is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from exporter.costs.money import MONEY, RATIO
from exporter.periods import Month

NEAR = Decimal("0.8")
"""The share of a cap from which on optional calls are left out."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent in a UTC month, in USD: by the source, and by all together. None: no cap."""

    own: Decimal | None = None
    overall: Decimal | None = None

    def __bool__(self) -> bool:
        return self.own is not None or self.overall is not None


@dataclass(frozen=True, slots=True)
class Purse:
    """One cap, and what is spent of it."""

    limit: Decimal
    spent: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be spent; less than nothing where the cap was lowered."""
        return MONEY.subtract(self.limit, self.spent)

    @property
    def near(self) -> bool:
        """Whether so much is spent that only the necessary is asked."""
        return self.spent >= MONEY.multiply(self.limit, NEAR)

    def stretch(self, following: Decimal, rest: Decimal) -> Decimal | None:
        """By how much intervals must grow (1: not at all) for the rest of the month to fit; None where nothing fits.

        `following` is the price of the next poll; `rest` is what the rest of the month costs at regular intervals.
        """
        if following > self.left:
            return None
        return max(Decimal(1), RATIO.divide(rest, self.left)) if rest else Decimal(1)


def month_end(now: datetime) -> datetime:
    """When a new month, and with it a new budget, begins."""
    return Month.containing(now).next().window().start


def due(now: datetime, regular: datetime, interval: timedelta, stretch: Decimal | None) -> datetime:
    """The next poll, stretched; at the latest when the next month has begun, a little apart from other sources."""
    begun = month_end(now) + max(now + interval - regular, timedelta(0))
    if stretch is None or regular >= begun:
        return max(regular, begun)
    if stretch == 1:
        return regular
    later = (begun - now).total_seconds()
    return now + timedelta(seconds=min((regular - now).total_seconds() * float(min(stretch, Decimal(10**9))), later))
