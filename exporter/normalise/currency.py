"""Conversion into one currency: exact rates, exact amounts, and no rate that nobody gave.

A converted amount is `amount × rate`, multiplied with 60 digits (`RATIO`) and then rounded half even to 24 places. So
it is an amount like those of the bill: it can be written out whole, it adds up in any order without rounding, and every
run has the same bytes. Each is off by half of 10⁻²⁴ at most; n of them together differ from their converted total by
n + 1 such halves, which stays below 10⁻²⁰ for 19,998 of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from exporter.config import rates as files
from exporter.config.rates import Quote
from exporter.config.schema import CurrencySettings
from exporter.costs.money import PLACES, RATIO
from exporter.errors import UnknownRate

_STEP = Decimal(1).scaleb(-PLACES)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Rates:
    """What each currency is worth in the reporting currency: fixed by the configuration, by date, or by the bills."""

    settings: CurrencySettings
    dated: Mapping[str, Sequence[Quote]] = field(default_factory=dict)
    """Currency → the quotes of the file, by day."""
    billed: Mapping[str, Decimal] = field(default_factory=dict)
    """Currency → what bills themselves say of it, for those that have no other rate."""

    @property
    def reporting(self) -> str:
        """The currency that amounts are converted into."""
        return self.settings.reporting

    def rate(self, currency: str, day: date) -> Decimal:
        """What one unit of `currency` is worth on a UTC day: the newest rate up to it. UnknownRate where none is."""
        if currency == self.reporting:
            return _ONE
        if (fixed := self.settings.rates.get(currency)) is not None:
            return fixed
        quotes = self.dated.get(currency, ())
        known = bisect_right(quotes, day, key=lambda quote: quote.day)
        if not known and currency in self.billed:
            return self.billed[currency]
        if not known:
            raise UnknownRate(f"no exchange rate from {currency} to {self.reporting} on {day}")
        return quotes[known - 1].rate

    def convert(self, amount: Decimal, currency: str, day: date) -> Decimal:
        """An amount of `currency` in the reporting currency, to 24 places. UnknownRate as `rate`.

        What is in the reporting currency already comes back as it is.
        """
        rate = self.rate(currency, day)
        return amount if currency == self.reporting else RATIO.multiply(amount, rate).quantize(_STEP, context=RATIO)

    def next_change(self, day: date) -> date | None:
        """The first day after `day` on which a rate of the file changes; None where it ends before."""
        coming = (
            quote.day for name, quotes in self.dated.items() if name not in self.settings.rates for quote in quotes
        )
        return min((each for each in coming if each > day), default=None)


def load(settings: CurrencySettings) -> Rates:
    """The rates that a configuration names; its file is read now. ConfigError where it cannot be used."""
    dated: dict[str, list[Quote]] = {}
    for quote in sorted(files.read(settings.rates_file, settings.reporting) if settings.rates_file else ()):
        dated.setdefault(quote.currency, []).append(quote)
    return Rates(settings, dated)
