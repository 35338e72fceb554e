"""The first spend ever in a region, a service or an account: no statistic needed, and none waited for.

Works on the finest grain that a source has, hours where there are hours. Pure: what was known before comes in, what is
known now goes out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from exporter.costs import GLOBAL, UNKNOWN, ChargeCategory, CostTable
from exporter.costs.money import ZERO, add, text

KINDS = ("account", "service", "region")
"""What is watched, the widest first: a new account brings services and regions of its own."""


class Place(NamedTuple):
    """Something that can cost money for the first time."""

    source: str
    provider: str
    kind: str
    """One of KINDS."""
    name: str


@dataclass(frozen=True, slots=True)
class FirstSpend:
    """A place that has never cost anything before."""

    place: Place
    since: datetime
    """The start of the first charge period with a cost, UTC."""
    cost: Decimal
    """What it has cost since, in `currency`."""
    currency: str

    @property
    def sentence(self) -> str:
        """For people."""
        source, provider, kind, name = self.place
        what = f"{provider} {kind} {name} ({source})"
        return f"First spend ever in {what}: {text(self.cost)} {self.currency} since {self.since:%Y-%m-%d %H:%M} UTC."


@dataclass(frozen=True, slots=True)
class Watched:
    """What the tripwire knows after a look: hand it in at the next one."""

    places: frozenset[Place]
    since: Mapping[str, datetime]
    """Source → where its watch began. Until then everything is new, and nothing is news."""

    def written(self) -> str:
        """As JSON: hand it in at the next look, in another process."""
        since = {source: begun.isoformat() for source, begun in self.since.items()}
        return json.dumps({"places": sorted(self.places), "since": since})

    @classmethod
    def read(cls, written: str) -> Watched:
        """What `written` wrote, exactly. ValueError for anything else."""
        try:
            given: dict[str, Any] = json.loads(written)
            since = {source: datetime.fromisoformat(begun) for source, begun in given["since"].items()}
            return cls(frozenset(Place(*place) for place in given["places"]), since)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is not what the tripwire knows: {error!r}") from error


def trip(
    costs: CostTable, watched: Watched, *, minimum: Decimal = ZERO, ignore: Collection[str] = ()
) -> tuple[tuple[FirstSpend, ...], Watched]:
    """What spent for the first time, ordered by cost, and what is known from now on.

    A source that is looked at for the first time is learned in silence. A place counts when its usage costs more than
    `minimum` in all; until then it stays unknown. What lies in a new account is told once, as the account.
    `ignore`: names that are never told.
    """
    lines = _spends(costs)
    known, told = set(watched.places), []
    fresh = {place.source for place, *_ in lines} - set(watched.since)
    accounts: set[tuple[str, str, str]] = set()
    for place, since, cost, currency, account in sorted(lines, key=lambda line: KINDS.index(line[0].kind)):
        if place in watched.places or cost <= minimum:
            continue
        known.add(place)
        if place.source in fresh or place.name in (GLOBAL, UNKNOWN, "", *ignore):
            continue
        if place.kind == "account":
            accounts.add((place.source, place.provider, place.name))
        elif (place.source, place.provider, account) in accounts:
            continue
        told.append(FirstSpend(place, since, cost, currency))
    begun = {place.source: since for place, since, *_ in lines if place.source in fresh}
    ordered = sorted(told, key=lambda first: (-first.cost, first.place))
    return tuple(ordered), Watched(frozenset(known), {**begun, **watched.since})


def learn(costs: CostTable, watched: Watched, *, minimum: Decimal = ZERO) -> Watched:
    """What is known once everything that has cost something here is, in silence: the past of a source."""
    usage = costs.where(charge_category=ChargeCategory.USAGE.value.lower())
    sums: dict[tuple[Place, str], Decimal] = {}
    for line in usage.by("source", "provider", "account", "service", "region").rows():
        source, provider, *names = line.key
        cost = max(line.effective, line.billed, ZERO)
        for kind, name in zip(KINDS, names, strict=True):
            key = (Place(source, provider, kind, name), line.currency)
            sums[key] = add(sums.get(key, ZERO), cost)
    places = {place for (place, _), cost in sums.items() if cost > minimum}
    span = costs.span()
    begun = {place.source: span.start for place, _ in sums} if span else {}
    return Watched(watched.places | places, {**begun, **watched.since})


Spend = tuple[Place, datetime, Decimal, str, str]


def _spends(costs: CostTable) -> list[Spend]:
    """What each place has cost since when, and the one account that it lies in, or ''."""
    usage = costs.where(charge_category=ChargeCategory.USAGE.value.lower())
    found: dict[tuple[Place, str], tuple[datetime, Decimal, set[str]]] = {}
    for line in usage.by("source", "provider", "account", "service", "region", "hour").rows():
        cost = max(line.effective, line.billed)
        if cost <= 0:
            continue
        source, provider, account, service, region, hour = line.key
        since = datetime.fromisoformat(hour)
        for kind, name in zip(KINDS, (account, service, region), strict=True):
            key = (Place(source, provider, kind, name), line.currency)
            before = found.get(key, (since, ZERO, set()))
            found[key] = (min(before[0], since), add(before[1], cost), before[2] | {account})
    return [
        (place, since, cost, currency, next(iter(accounts)) if len(accounts) == 1 else "")
        for (place, currency), (since, cost, accounts) in sorted(found.items(), key=lambda item: item[0])
    ]
