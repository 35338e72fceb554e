"""What a configuration costs to ask, worked out without asking: the schedule is replayed, each poll priced.

How many pages an answer takes is not in any configuration. The ledger remembers it for each number of days that was
asked for; where it has seen nothing, one page per question is assumed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from exporter.costs import Ask
from exporter.costs.money import MONEY, RATIO, ZERO, add
from exporter.periods import DAY, Grain, Month, Window, day_of
from exporter.polling import budget, schedule
from exporter.polling.budget import Purse
from exporter.polling.sources import Source
from exporter.providers import Call
from exporter.store.spending import USD, Answer
from exporter.store.state import SourceState, State


@dataclass(frozen=True, slots=True)
class Price:
    """What asking takes: requests, charges by currency, and the vendor's units."""

    requests: int = 0
    charges: Mapping[str, Decimal] = field(default_factory=dict)
    units: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def usd(self) -> Decimal:
        """The charges in USD."""
        return self.charges.get(USD, ZERO)

    @property
    def free(self) -> bool:
        """Whether it costs nothing."""
        return not any(self.charges.values())

    def plus(self, other: Price) -> Price:
        """Both together."""
        return Price(self.requests + other.requests, _sum(self.charges, other.charges), _sum(self.units, other.units))

    @classmethod
    def sum(cls, prices: Iterable[Price]) -> Price:
        """All together."""
        total = cls()
        for price in prices:
            total = total.plus(price)
        return total


def unasked(source: Source, now: datetime) -> Price:
    """What a source has cost before it is asked: 0 of each currency and unit that its provider's calls tell of.

    USD where they tell of no currency, for such a source has paid no dollar either.
    """
    try:
        yesterday = Ask(Window.of_day(day_of(now) - DAY), tags=source.tags)
        calls = source.spec.calls(source.options, yesterday)
    except Exception:  # a plug-in's mistake is told by its poll; what the others show does not suffer
        calls = ()
    currencies = {call.currency for call in calls if call.charge} or {USD}
    units = {unit for call in calls for unit in call.units}
    return Price(charges=dict.fromkeys(sorted(currencies), ZERO), units=dict.fromkeys(sorted(units), ZERO))


class Poll(NamedTuple):
    """A poll to come: when, and what it asks."""

    at: datetime
    asks: tuple[Ask, ...]


def polls(
    source: Source, first: datetime, covered: Window | None, until: datetime, before: SourceState | None = None
) -> Iterator[Poll]:
    """The regular polls of a source from `first` on, before `until`, each at its time and none failing.

    `covered` is what the store holds for the question as it is now; None: the first poll asks for all the history.
    `before` is what is remembered of the poll before the first. Months to come are taken to close as months do.
    """
    at = first
    while at < until:
        asked = schedule.window(source, covered, at, before)
        asks = [Ask(asked, tags=source.tags)]
        if source.hours:
            asks.append(Ask(schedule.hours(at), Grain.HOUR, source.tags))
        if at == first and (left := schedule.history(source, before or SourceState(source.name), at)):
            asks += [Ask(month, tags=source.tags) for month in left.by_month().values()]
        yield Poll(at, tuple(asks))
        covered = asked if covered is None else covered.join(asked)
        before = SourceState(source.name, last_success=at)
        at = schedule.after_success(source, at)


def priced(
    source: Source, ahead: Iterable[Poll], answers: Sequence[Answer], pages: int | None = None
) -> Iterator[tuple[datetime, Price]]:
    """When each poll comes, and its price."""
    known: dict[tuple[Ask, ...], Price] = {}  # most polls of a day ask the same
    for poll in ahead:
        if poll.asks not in known:
            known[poll.asks] = price(source, poll.asks, answers, pages)
        yield poll.at, known[poll.asks]


def price(source: Source, asks: Iterable[Ask], answers: Sequence[Answer], pages: int | None = None) -> Price:
    """What it takes to answer; `answers` say how large earlier ones were, unless `pages` per question are given."""
    return Price.sum(_asked(source, ask, answers, pages) for ask in asks)


def next_due(source: Source, state: State, now: datetime, covered: Window | None, rivals: Collection[str]) -> datetime:
    """When to poll again after a success: at the regular time, or later where a cap would not last the month.

    `rivals` are the other configured sources: they spend from the overall cap too.
    """
    regular = schedule.after_success(source, now)
    if not source.caps:
        return regular
    month, end = Month.containing(now), budget.month_end(now)
    polled = SourceState(source.name, last_success=now)
    answers = state.answers(source.name, source.fingerprint)
    ahead = [each.usd for _, each in priced(source, polls(source, regular, covered, end, polled), answers)]
    if not ahead:
        return regular
    rest = add(*ahead)
    state.keep_pace(source.name, _per_day(RATIO.divide(rest, len(ahead)), source.poll_every))
    stretches: list[Decimal | None] = []
    if source.caps.own is not None:
        stretches.append(Purse(source.caps.own, state.usd_spent(month, source.name)).stretch(ahead[0], rest))
    if source.caps.overall is not None:
        theirs = RATIO.multiply(state.pace(rivals), Decimal(str((end - now) / DAY)))
        everything = RATIO.add(rest, theirs)
        purse = Purse(source.caps.overall, state.usd_spent(month))
        stretches.append(purse.stretch(ahead[0], everything) if rest else Decimal(1))
    known = [stretch for stretch in stretches if stretch is not None]
    stretch = max(known) if len(known) == len(stretches) else None
    return budget.due(now, regular, source.poll_every, stretch if rest else Decimal(1))


def _asked(source: Source, ask: Ask, answers: Sequence[Answer], pages: int | None) -> Price:
    days = (ask.window.end - ask.window.start).days
    calls: dict[str, list[Call]] = {}
    for call in source.spec.calls(source.options, ask):
        calls.setdefault(call.operation, []).append(call)
    seen = {} if pages else _nearest(answers, ask.grain, days)
    declared = (_operation(group, seen.get(name), days, pages) for name, group in calls.items())
    # A provider that does not say what it calls: as at the last poll.
    undeclared = (_as_seen(answer) for name, answer in seen.items() if name not in calls)
    return Price.sum((*declared, *undeclared))


def _operation(calls: Sequence[Call], seen: Answer | None, days: int, pages: int | None) -> Price:
    """The calls of one operation."""
    if seen is not None and seen.days == days and seen.questions == sum(call.times for call in calls):
        return _as_seen(seen)
    total = Price()
    for call in calls:
        each = _pages(seen, days) if seen and seen.questions else pages or 1
        requests = call.times * (each if call.paged else 1)
        charge = call.charge
        if seen and seen.pages:  # what BigQuery charges only its answer tells
            charge = max(charge, RATIO.divide(seen.charge, seen.pages).quantize(Decimal("1E-9"), context=RATIO))
        count = Decimal(requests)
        units = {unit: MONEY.multiply(amount, count) for unit, amount in call.units.items()}
        total = total.plus(Price(requests, {call.currency: MONEY.multiply(charge, count)}, units))
    return total


def _as_seen(seen: Answer) -> Price:
    return Price(seen.pages, {seen.currency: seen.charge}, seen.units)


def _pages(seen: Answer, days: int) -> int:
    """Pages of one question over so many days, from what another number of days took.

    The last page is on average half full, so it counts half before it is stretched over more days, or fewer.
    """
    return max(1, ceil((seen.pages / seen.questions - 0.5) * days / max(seen.days, 1)))


def _nearest(answers: Iterable[Answer], grain: Grain, days: int) -> Mapping[str, Answer]:
    """Operation → the answer over the most similar number of days."""
    found: dict[str, Answer] = {}
    for answer in answers:
        best = found.get(answer.operation)
        if answer.grain is grain and (best is None or abs(answer.days - days) < abs(best.days - days)):
            found[answer.operation] = answer
    return found


def _sum(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {key: MONEY.add(one.get(key, ZERO), other.get(key, ZERO)) for key in (*one, *other)}


def _per_day(amount: Decimal, every: timedelta) -> Decimal:
    # Polls come up to a tenth early, so a twentieth on average.
    return RATIO.divide(amount, Decimal(str(every / DAY * 0.95))).quantize(Decimal("1E-9"), context=RATIO)
