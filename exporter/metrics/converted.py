"""The money families in one currency: each group's exact sum converted once, then added over original currencies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal

from exporter.costs.money import ZERO, add
from exporter.errors import UnknownRate
from exporter.metrics.catalog import CATALOG, CONVERTED
from exporter.metrics.exposition import Family, Value
from exporter.normalise.currency import Rates

Samples = Sequence[tuple[tuple[str, ...], Value]]


def converted(families: Iterable[Family], rates: Rates, day: date) -> Iterator[Family]:
    """The families of `CONVERTED` among these in the reporting currency, the rates used, and what has none.

    All at the rates of one `day`, so that two months differ by what was spent and not by what a currency did.
    """
    originals = {family.spec.name: family for family in families if family.spec.name in CONVERTED}
    used: dict[str, Decimal] = {}
    for currency in sorted({labels[-1] for family in originals.values() for labels, _ in family.samples}):
        with suppress(UnknownRate):
            used[currency] = rates.rate(currency, day)
    for name, into in CONVERTED.items():
        yield Family(CATALOG[into], _in_one_currency(originals[name].samples, used, rates, day))
    pairs = [((currency, rates.reporting), rate) for currency, rate in used.items()]
    yield Family(CATALOG["cloudspend_exchange_rate"], pairs)
    yield Family(CATALOG["cloudspend_unconverted_cost"], _left_out(originals, used))


def _in_one_currency(samples: Samples, used: Mapping[str, Decimal], rates: Rates, day: date) -> Samples:
    sums: dict[tuple[str, ...], Decimal] = {}
    for labels, amount in samples:
        *line, currency = labels
        if currency in used:
            assert isinstance(amount, Decimal), "money is exact"
            key = (*line, rates.reporting)
            sums[key] = add(sums.get(key, ZERO), rates.convert(amount, currency, day))
    return list(sums.items())


def _left_out(originals: Mapping[str, Family], used: Mapping[str, Decimal]) -> Samples:
    """(source, currency) → its month to date; 0 where a currency without a rate has costs on other days only."""
    sums: dict[tuple[str, ...], Decimal] = {}
    for name, family in originals.items():
        if family.spec.labels[0] != "source":
            continue
        for labels, amount in family.samples:
            if labels[-1] not in used:
                assert isinstance(amount, Decimal), "money is exact"
                key = (labels[0], labels[-1])
                counts = name == "cloudspend_month_to_date_cost"
                sums[key] = add(sums.get(key, ZERO), amount if counts else ZERO)
    return sorted(sums.items())
