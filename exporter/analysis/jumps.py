"""Hours that add too much to their month: no statistic needed, only the month so far and the day before.

An hour jumps when its usage is more than a share of what the month had before it, and more by that share than any hour
of the day before; the second keeps the first days of a month quiet, when every hour is a large share. Each hour is
judged by its own charges: a gap, a new month and a credit make no jump, and what arrives late belongs to its hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from exporter.analysis.basis import Unknown, primary
from exporter.costs import REFUND, ChargeCategory, Cost, CostTable
from exporter.costs.money import MONEY, RATIO, ZERO, add
from exporter.periods import DAY, Month, Window, day_of, midnight

_KNOWN = 12
"""So many hours of the 24 before must have charges: next to a single one anything can look dear."""
_CENT = Decimal("0.01")

_Bill = tuple[str, str, str]
"""source, provider, currency"""


@dataclass(frozen=True, slots=True)
class Jump:
    """An hour that added too much to its month. Amounts are usage in `currency`."""

    source: str
    provider: str
    currency: str
    hour: datetime
    """When it began, UTC."""
    cost: Decimal
    before: Decimal
    """What the month had cost until then."""
    dearest: Decimal
    """The dearest hour of the 24 before."""
    services: tuple[tuple[str, Decimal], ...]
    """The services that cost more than in a mean hour of the 24 before, and by how much; the largest first."""

    @property
    def percent(self) -> Decimal | None:
        """The hour in percent of the month before it, to one place; None where there is none."""
        if self.before <= 0:
            return None
        share = RATIO.divide(RATIO.multiply(self.cost, Decimal(100)), self.before)
        return RATIO.quantize(share, Decimal("0.1"))

    @property
    def sentence(self) -> str:
        """For people."""
        share = "" if self.percent is None else f", {self.percent}% of its month until then"
        return (
            f"{self.source} ({self.provider}) cost {self.cost:,.2f} {self.currency} in the hour from"
            f" {self.hour:%H:%M} UTC on {self.hour.day} {self.hour:%B %Y}{share}; no hour of the day before cost more"
            f" than {self.dearest:,.2f}."
        )


def jumps(
    days: CostTable,
    hours: CostTable,
    window: Window,
    share: Decimal,
    minimum: Decimal,
    basis: Cost = Cost.BILLED,
    unknown: Unknown = frozenset(),
) -> tuple[Jump, ...]:
    """The hours of a window that jump, the latest first.

    `share`: of the month so far, 0.05 for five percent. `minimum`: hours that cost no more than this never jump.
    `days` and `hours` are the same bill; the days reach back to the beginning of the month that `window` begins in.
    """
    by_hour = _hourly(_usage(hours).during(Window(window.start - DAY, window.end)), basis, unknown)
    by_day = _daily(_usage(days).during(Window(_month(window.start), window.end)), basis, unknown)
    found = []
    for bill, costs in by_hour.items():
        totals = {hour: add(*services.values()) for hour, services in costs.items()}
        for hour, cost in totals.items():
            if hour not in window or cost <= minimum:
                continue
            earlier = [each for each in totals if hour - DAY <= each < hour]
            if len(earlier) < _KNOWN:
                continue
            dearest = max(totals[each] for each in earlier)
            midnight_before = midnight(day_of(hour))
            before = add(
                *(amount for day, amount in by_day.get(bill, {}).items() if _month(hour) <= day < midnight_before),
                *(totals[each] for each in totals if midnight_before <= each < hour),
            )
            if cost > MONEY.multiply(before, share) and cost > MONEY.multiply(dearest, add(Decimal(1), share)):
                moved = _moved(costs[hour], [costs[each] for each in earlier])
                found.append(Jump(*bill, hour, cost, before, dearest, moved))
    return tuple(sorted(found, key=lambda jump: (-jump.hour.timestamp(), jump.source, jump.provider, jump.currency)))


def _usage(costs: CostTable) -> CostTable:
    # Fees, taxes, credits and refunds come by the calendar or by decision.
    return costs.where(charge_category=ChargeCategory.USAGE.value.lower()).without(charge_category=REFUND)


def _hourly(costs: CostTable, basis: Cost, unknown: Unknown) -> dict[_Bill, dict[datetime, dict[str, Decimal]]]:
    """Hour → service → cost of each bill."""
    found: dict[_Bill, dict[datetime, dict[str, Decimal]]] = {}
    for line in costs.by("source", "provider", "service", "hour").rows():
        source, provider, service, hour = line.key
        services = found.setdefault((source, provider, line.currency), {}).setdefault(datetime.fromisoformat(hour), {})
        services[service] = primary(line, source, provider, basis, unknown)
    return found


def _daily(costs: CostTable, basis: Cost, unknown: Unknown) -> dict[_Bill, dict[datetime, Decimal]]:
    """Midnight → cost of the day of each bill."""
    found: dict[_Bill, dict[datetime, Decimal]] = {}
    for line in costs.by("source", "provider", "day").rows():
        source, provider, day = line.key
        cost = primary(line, source, provider, basis, unknown)
        found.setdefault((source, provider, line.currency), {})[datetime.fromisoformat(f"{day}T00:00Z")] = cost
    return found


def _moved(now: Mapping[str, Decimal], earlier: Iterable[Mapping[str, Decimal]]) -> tuple[tuple[str, Decimal], ...]:
    hours = list(earlier)
    excess = {}
    for service, cost in now.items():
        mean = RATIO.divide(add(*(each.get(service, ZERO) for each in hours)), Decimal(len(hours)))
        excess[service] = RATIO.quantize(RATIO.subtract(cost, mean), _CENT)
    return tuple(sorted(((name, more) for name, more in excess.items() if more > 0), key=lambda m: (-m[1], m[0])))


def _month(instant: datetime) -> datetime:
    return Month.containing(instant).window().start
