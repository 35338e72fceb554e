"""Hourly snapshots as files for people and other tools: `<source>_YYYY-MM-DD-HH.json`, one per source and UTC hour.

    {"source": "prod", "month": "2024-03", "charges": [{"currency": "USD", "month_to_date": "812.5", …}],
     "change": [{"currency": "USD", "since": "2024-03-15T11:00:04+00:00", "hours": "1", "charged": "6.1", …}]}

A change is what the bill says now of a span of days less what it said then of the same days. The span reaches from the
month before the earlier file to now, so neither a new month, nor what is booked late, nor a file that is missing makes
a difference that no charge has made. Amounts are exact decimal text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from exporter.analysis.basis import primary, unknown
from exporter.costs import REFUND, ChargeCategory, Cost, CostTable
from exporter.costs.money import RATIO, ZERO, add, text
from exporter.errors import CloudspendError
from exporter.periods import ALWAYS, DAY, HOUR, Month, Window, day_of, midnight
from exporter.polling.sources import Source
from exporter.store.files import make_folder, storing, write_durably
from exporter.store.lake import Lake

_log = logging.getLogger(__name__)

SCHEMA = 1
_NAME = re.compile(r"_(\d{4}-\d{2}-\d{2}-\d{2})\.json")
_STEP = Decimal("0.01")
_CREDITS = (ChargeCategory.CREDIT.value.lower(), REFUND)
_RECENT = 30
"""Days whose cost a change is measured against, beside the month to date."""

Service = tuple[str, str, str]
"""Currency, provider, service."""
Sums = dict[Service, Decimal]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Before:
    """An earlier file, as far as the next one needs it."""

    taken: datetime
    since: date
    """The first day that `charged` and `credited` hold."""
    basis: str
    charged: Sums
    """Services → month to date and the month before, without credits and refunds."""
    credited: dict[str, Decimal]
    """Currency → credits and refunds of the same days."""
    month_to_date: dict[str, Decimal]
    """Currency → what `percent` is of, without credits and refunds."""
    recent: dict[str, Decimal]
    """… what `percent_of_30_days` is of."""


def keep(
    folder: Path | None, sources: Collection[Source], lake: Lake, now: datetime, basis: Cost, titles: Mapping[str, str]
) -> list[Path]:
    """Write this hour's file of each of these sources, which were read just now; the files are returned.

    A second file of an hour takes the place of the first. What cannot be written is logged, and hurts nobody.
    No folder: nothing is written. `titles`: source → what people call it.
    """
    written: list[Path] = []
    if folder is None:
        return written
    for source in sources:
        try:
            with storing(folder):
                make_folder(folder)
                path = folder / f"{source.name}_{now:%Y-%m-%d-%H}.json"
                body = document(source.name, source.spec.name, folder, lake, now, basis)
                head = {"source": source.name, "display_name": titles.get(source.name) or source.name}
                write_durably(path, (json.dumps(head | body, indent=1, ensure_ascii=False) + "\n").encode())
            written.append(path)
        except CloudspendError as error:
            _log.error("no hourly file", extra={"fields": {"source": source.name, "error": error}})
    return written


def document(name: str, adapter: str, folder: Path, lake: Lake, now: datetime, basis: Cost) -> dict[str, Any]:
    """What the store says of a source now, and how that differs from its file of an earlier hour."""
    costs = lake.read(ALWAYS, sources=[name])
    bill = _Bill(costs, name, basis)
    coverage = lake.coverage(name) or costs.span()
    month = Month.containing(now)
    since = max(day_of(coverage.start) if coverage else day_of(now), month.previous().first)
    tomorrow = midnight(day_of(now) + DAY)
    spans = {
        "month_to_date": month.window(),
        "previous_month": month.previous().window(),
        "last_30_days": Window(tomorrow - _RECENT * DAY, tomorrow),
    }
    charges = {span: bill.charged(window) for span, window in spans.items()}
    credits = {span: bill.credited(window) for span, window in spans.items()}
    before = _before(folder, name, now)
    return {
        "schema": SCHEMA,
        "provider": adapter,
        "taken": now.isoformat(),
        "month": str(month),
        "known_since": since.isoformat(),
        "basis": str(basis),
        "charges": [_charges(currency, charges, credits) for currency in _currencies(charges, credits)],
        "change": None if before is None or before.basis != basis else _change(bill, before, now),
    }


class _Bill:
    """The charges of one source on one basis."""

    def __init__(self, costs: CostTable, name: str, basis: Cost) -> None:
        self._costs = costs
        self._name = name
        self._basis = basis
        self._unknown = unknown(costs, basis)

    def charged(self, window: Window) -> Sums:
        """Services → all but credits and refunds."""
        return self._sums(self._costs.during(window).without(charge_category=_CREDITS))

    def credited(self, window: Window) -> dict[str, Decimal]:
        """Currency → credits and refunds; negative where they are money back."""
        everything = self._sums(self._costs.during(window))
        return _difference(_by_currency(everything), _by_currency(self.charged(window)))

    def _sums(self, costs: CostTable) -> Sums:
        return {
            (line.currency, line.key[0], line.key[1]): primary(
                line, self._name, line.key[0], self._basis, self._unknown
            )
            for line in costs.by("provider", "service").rows()
        }


def _charges(
    currency: str, charges: Mapping[str, Sums], credits: Mapping[str, Mapping[str, Decimal]]
) -> dict[str, Any]:
    totals = {span: _by_currency(sums).get(currency, ZERO) for span, sums in charges.items()}
    given = {span: sums.get(currency, ZERO) for span, sums in credits.items()}
    services = {key for sums in charges.values() for key in sums if key[0] == currency}
    ordered = sorted(services, key=lambda key: (-charges["month_to_date"].get(key, ZERO), key))
    return {
        "currency": currency,
        **{span: text(add(totals[span], given[span])) for span in totals},
        "without_credits": {span: text(amount) for span, amount in totals.items()},
        "services": [
            {
                "provider": key[1],
                "service": key[2],
                **{span: text(charges[span].get(key, ZERO)) for span in ("month_to_date", "previous_month")},
            }
            for key in ordered
        ],
    }


def _change(bill: _Bill, before: _Before, now: datetime) -> list[dict[str, Any]]:
    """What has come since an earlier file, by currency."""
    window = Window.of_days(before.since, Month.containing(now).next().first)
    moved = _difference(bill.charged(window), before.charged)
    credited = _difference(bill.credited(window), before.credited)
    hours = (_hour(now) - _hour(before.taken)) // HOUR
    told = []
    for currency in sorted({key[0] for key in moved} | set(credited)):
        services = {key: amount for key, amount in moved.items() if key[0] == currency and amount}
        net = add(*services.values())
        charged, lowered = (net, ZERO) if net > 0 else (ZERO, net)
        ordered = sorted(services, key=lambda key: (-abs(services[key]), key))
        told.append(
            {
                "currency": currency,
                "since": before.taken.isoformat(),
                "hours": hours,
                "charged": text(charged),
                "percent": _percent(charged, before.month_to_date.get(currency)),
                "percent_of_30_days": _percent(charged, before.recent.get(currency)),
                "lowered": text(lowered),
                "credits": text(credited.get(currency, ZERO)),
                "services": [{"provider": key[1], "service": key[2], "amount": text(services[key])} for key in ordered],
            }
        )
    return told


def _before(folder: Path, name: str, now: datetime) -> _Before | None:
    """The newest file of an earlier hour that can be read; None where there is none."""
    hours = [
        match[1]
        for path in folder.glob(f"{name}_*.json")
        if (match := _NAME.fullmatch(path.name.removeprefix(name))) and match[1] < f"{now:%Y-%m-%d-%H}"
    ]
    for hour in sorted(hours, reverse=True):
        try:
            return _read(json.loads((folder / f"{name}_{hour}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, InvalidOperation):
            continue  # not ours, or cut off by somebody else
    return None


def _read(given: Mapping[str, Any]) -> _Before:
    if given["schema"] != SCHEMA:
        raise ValueError(f"schema {given['schema']}")
    charged: Sums = {}
    credited: dict[str, Decimal] = {}
    for each in given["charges"]:
        currency, plain = each["currency"], each["without_credits"]
        spans = ("month_to_date", "previous_month")
        for line in each["services"]:
            charged[currency, line["provider"], line["service"]] = add(*(Decimal(line[span]) for span in spans))
        credited[currency] = _less(add(*(Decimal(each[span]) for span in spans)), *(Decimal(plain[s]) for s in spans))
    return _Before(
        taken=datetime.fromisoformat(given["taken"]),
        since=date.fromisoformat(given["known_since"]),
        basis=given["basis"],
        charged=charged,
        credited=credited,
        month_to_date={each["currency"]: _of(each, "month_to_date") for each in given["charges"]},
        recent={each["currency"]: _of(each, "last_30_days") for each in given["charges"]},
    )


def _of(charges: Mapping[str, Any], span: str) -> Decimal:
    return Decimal(charges["without_credits"][span])


def _percent(amount: Decimal, base: Decimal | None) -> str | None:
    """A share in percent, to two places; None where there is nothing that it could be a share of."""
    if base is None or base <= 0:
        return None
    return text(RATIO.quantize(RATIO.divide(RATIO.multiply(amount, Decimal(100)), base), _STEP))


def _currencies(charges: Mapping[str, Sums], credits: Mapping[str, Mapping[str, Decimal]]) -> list[str]:
    return sorted(
        {key[0] for sums in charges.values() for key in sums} | {key for sums in credits.values() for key in sums}
    )


def _by_currency(sums: Sums) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for (currency, _, _), amount in sums.items():
        totals[currency] = add(totals.get(currency, ZERO), amount)
    return totals


def _difference(now: Mapping[K, Decimal], then: Mapping[K, Decimal]) -> dict[K, Decimal]:
    return {key: _less(now.get(key, ZERO), then.get(key, ZERO)) for key in {**then, **now}}


def _less(amount: Decimal, *others: Decimal) -> Decimal:
    return add(amount, *(other.copy_negate() for other in others))


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)
