"""What the page at `/` shows of a bill: check.json as values, summed per currency and ordered.

Amounts are exact and of one currency each; nothing is added across currencies. Days are UTC days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from exporter.costs.money import MONEY, ZERO, add
from exporter.periods import DAY, Month, day_of

Json = Mapping[str, Any]
Services = dict[tuple[str, str], Decimal]

DAYS = 35
"""So many bars, today's included: as many days as check.json has."""
_WORST_FIRST = ("over", "at_risk", "on_track")
_SEVEREST_FIRST = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Day:
    """What a day cost."""

    on: date
    amount: Decimal
    settled: bool
    """Whether its source no longer moves it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the month comes to. `lower` and `upper`: four in five months lie between; None for a sum of several."""

    total: Decimal
    lower: Decimal | None = None
    upper: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider in one currency."""

    name: str
    so_far: Decimal
    previous: Decimal
    expected: Expected | None
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """One service of one provider in one currency, this month so far."""

    provider: str
    name: str
    so_far: Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """All that is billed in one currency."""

    currency: str
    so_far: Decimal
    previous: Decimal
    expected: Expected | None
    """None too where a provider that is billed this month has no forecast: the sum would lack it."""
    providers: tuple[Provider, ...]
    services: tuple[Service, ...]
    """The most expensive first."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The bill at a glance."""

    made: datetime
    """When the figures were made, on the business clock."""
    month: Month
    first: date
    """Of the days."""
    basis: str
    """What forecasts count: billed or effective cost. The sums are billed ones."""
    money: tuple[Money, ...]
    """The currency with most services first."""
    budgets: tuple[Json, ...]
    """As in check.json, the worst first."""
    findings: tuple[Json, ...]
    """The open ones, the severest and dearest first."""
    first_spend: tuple[Json, ...]
    judged: frozenset[str]
    """What was asked for: anomalies, tripwire, budgets, forecasts."""
    failed: frozenset[str]
    """What of it could not be told."""


def summarised(check: Json) -> Summary:
    """The summary of a check.json. KeyError, ValueError where it is none."""
    now = datetime.fromisoformat(check["now"])
    so_far, previous = (_by_currency(check["totals"][window]) for window in ("month_to_date", "previous_month"))
    money = [
        _money(check, currency, now, so_far.get(currency, {}), previous.get(currency, {}))
        for currency in {*so_far, *previous}
    ]
    return Summary(
        made=now,
        month=Month.containing(now),
        basis=next((said["basis"] for said in check["sources"].values()), "billed"),
        first=day_of(now) - DAY * (DAYS - 1),
        money=tuple(sorted(money, key=lambda each: (-len(each.services), each.currency))),
        budgets=tuple(sorted(check["budgets"], key=lambda each: (_place(_WORST_FIRST, each["status"]), each["name"]))),
        findings=tuple(
            sorted(
                (each for each in check["findings"] if each["status"] != "resolved"),
                key=lambda each: (_place(_SEVEREST_FIRST, each["severity"]), -abs(float(each["impact"]))),
            )
        ),
        first_spend=tuple(check["first_spend"]),
        judged=frozenset(check["judged"]),
        failed=frozenset(check["failed"]),
    )


def _by_currency(rows: Iterable[tuple[str, str, str, str, str]]) -> dict[str, Services]:
    """Currency → (provider, service) → the sum of rows of [provider, account, service, currency, billed]."""
    found: dict[str, Services] = {}
    for provider, _, service, currency, billed in rows:
        services = found.setdefault(currency, {})
        key = provider, service
        amount = Decimal(billed)
        services[key] = MONEY.add(services[key], amount) if key in services else amount
    return found


def _by_provider(services: Services) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for (provider, _), amount in services.items():
        found[provider] = add(found.get(provider, ZERO), amount)
    return found


def _money(check: Json, currency: str, now: datetime, services: Services, previously: Services) -> Money:
    so_far, previous = _by_provider(services), _by_provider(previously)
    month = str(Month.containing(now))
    own = {each["provider"]: each for each in check["forecasts"] if _is(each, month, currency)}
    providers = tuple(
        Provider(
            name=name,
            so_far=so_far.get(name, ZERO),
            previous=previous.get(name, ZERO),
            expected=_expected(own[name]) if name in own else None,
            days=_days(check, name, currency),
        )
        for name in {*so_far, *previous}
    )
    return Money(
        currency=currency,
        so_far=add(*so_far.values()),
        previous=add(*previous.values()),
        expected=_together(providers),
        providers=tuple(sorted(providers, key=lambda each: (each.so_far.copy_negate(), each.name))),
        services=tuple(
            Service(provider, name, amount)
            for (provider, name), amount in sorted(services.items(), key=lambda each: (each[1].copy_negate(), each[0]))
        ),
    )


def _is(forecast: Json, month: str, currency: str) -> bool:
    return bool(forecast["month"] == month and forecast["currency"] == currency)


def _expected(forecast: Json) -> Expected:
    return Expected(*(Decimal(forecast[name]) for name in ("total", "lower", "upper")))


def _together(providers: Iterable[Provider]) -> Expected | None:
    """Means add up; intervals of several do not."""
    billed = [each for each in providers if each.so_far or each.expected]
    found = [each.expected for each in billed if each.expected is not None]
    if not found or len(found) < len(billed):
        return None
    return found[0] if len(found) == 1 else Expected(add(*(each.total for each in found)))


def _days(check: Json, provider: str, currency: str) -> tuple[Day, ...]:
    """The last days, oldest first; one without charges is left out."""
    until = [said["settled"] for said in check["sources"].values() if provider in said["providers"]]
    settled = min(map(datetime.fromisoformat, until)) if until and all(until) else None
    known = check["days"].get(provider, {}).get(currency, ())
    days = ((date.fromisoformat(on), Decimal(amount)) for on, amount in known)
    return tuple(Day(on, amount, settled is not None and on < settled.date()) for on, amount in days)


def _place(order: tuple[str, ...], word: str) -> int:
    return order.index(word) if word in order else len(order)


def last_day(until: str) -> date:
    """The last UTC day before an instant in ISO 8601."""
    return (datetime.fromisoformat(until) - timedelta(microseconds=1)).date()
