"""Periods that have ended: what they cost, under which limit, and the limit that follows from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from exporter.analysis.budgets.budget import Budget
from exporter.analysis.finality import CLOSES_AFTER
from exporter.costs import RATIO, text
from exporter.costs.money import add
from exporter.periods import Window, day_of, midnight

KEPT = 120
"""So many ended periods are remembered."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A period that has ended."""

    period_id: str
    first: date
    until: date
    """Its last day is the one before."""
    limit: Decimal
    """As it was when the period ended."""
    spent: Decimal
    settled: bool
    """Whether all its days have settled."""
    final: bool = False
    """Whether it is looked at no more: settled, and past the time in which bills are corrected."""
    reconstructed: bool = False
    """Whether it ended before this budget was first looked at: its limit is then the one of that day."""

    @property
    def over(self) -> bool:
        """Whether more was spent than the limit."""
        return self.spent > self.limit


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of a budget from one evaluation to the next."""

    period_id: str
    first: date
    """Of the period that was open."""
    amount: Decimal
    """As it was configured."""
    limit: Decimal
    """As it was then, adjusted or not."""
    reason: str = ""
    """Why the limit is not the amount."""
    closed: tuple[Closed, ...] = ()
    """The oldest first."""

    def written(self) -> str:
        """As JSON, amounts as text."""
        return json.dumps(
            {
                **{name: getattr(self, name) for name in ("period_id", "reason")},
                "first": self.first.isoformat(),
                "amount": text(self.amount),
                "limit": text(self.limit),
                "closed": [_written(each) for each in self.closed],
            }
        )

    @classmethod
    def read(cls, written: str) -> Remembered:
        """What `written` wrote."""
        given: dict[str, Any] = json.loads(written)
        amounts = {name: Decimal(given[name]) for name in ("amount", "limit")}
        closed = tuple(_read(each) for each in given["closed"])
        return cls(**{**given, **amounts, "first": date.fromisoformat(given["first"]), "closed": closed})


def _written(closed: Closed) -> dict[str, Any]:
    given = {name: getattr(closed, name) for name in ("period_id", "settled", "final", "reconstructed")}
    days = {name: getattr(closed, name).isoformat() for name in ("first", "until")}
    return {**given, **days, "limit": text(closed.limit), "spent": text(closed.spent)}


def _read(given: Mapping[str, Any]) -> Closed:
    days = {name: date.fromisoformat(given[name]) for name in ("first", "until")}
    amounts = {name: Decimal(given[name]) for name in ("limit", "spent")}
    return Closed(**{**given, **days, **amounts})


def closed_periods(
    budget: Budget,
    today: date,
    before: Remembered | None,
    since: date,
    edge: date,
    spent: Callable[[Window], Decimal],
) -> tuple[Closed, ...]:
    """Every period that has ended, the newest last.

    Those remembered as final stay as they are; the others are counted anew. `since`: from when charges are known;
    `edge`: the first day that has not settled.
    """
    current = day_of(budget.period_of(today).start)
    known = {each.period_id: each for each in before.closed if _ended(each, budget, current)} if before else {}
    # What was first looked at before its history was read has older periods now than it remembers.
    first = min((each.first for each in known.values()), default=before.first if before else current)
    open_ended = [each.first for each in known.values() if not each.final]
    begin = min([since, *open_ended, *([before.first] if before else [])])
    found = dict(known)
    for period in budget.recurrence.between(begin, current) if begin < current else ():
        name = budget.period_id(period)
        old = known.get(name)
        unknown = period.start < midnight(since)
        reconstructed = old.reconstructed if old else before is None or day_of(period.end) <= first
        # Of a period that is remembered, or that nobody looked at, charges that are kept no more say nothing.
        if (old and (old.final or unknown)) or (reconstructed and unknown):
            continue
        limit = old.limit if old else before.limit if before and not reconstructed else budget.amount
        settled = midnight(edge) >= period.end
        final = settled and midnight(today) >= period.end + CLOSES_AFTER
        found[name] = Closed(
            name, day_of(period.start), day_of(period.end), limit, spent(period), settled, final, reconstructed
        )
    return tuple(sorted(found.values(), key=lambda each: (each.until, each.first)))[-KEPT:]


def _ended(closed: Closed, budget: Budget, current: date) -> bool:
    """Whether a remembered period has ended, and is one of the budget as it is now: it may have had others."""
    period = budget.period_of(closed.first)
    same = budget.period_id(period) == closed.period_id and day_of(period.start) == closed.first
    return same and day_of(period.end) == closed.until <= current


def limit_of(
    budget: Budget, period_id: str, closed: Sequence[Closed], before: Remembered | None
) -> tuple[Decimal, str]:
    """The limit of the open period, and why it is not the configured amount (empty where it is).

    It stays within a period; only the first time it moves as soon as enough periods are known.
    """
    rule = budget.adjustment
    if rule is None:
        return budget.amount, ""
    same = before is not None and before.amount == budget.amount
    if before and same and before.period_id == period_id and before.reason:
        return before.limit, before.reason
    seen = [each for each in closed if each.settled][-rule.periods :]
    if len(seen) < rule.periods:
        return budget.amount, ""
    mean = RATIO.divide(add(*(each.spent for each in seen)), Decimal(len(seen)))
    wanted = RATIO.multiply(mean, add(Decimal(1), rule.headroom))
    last = before.limit if before and same else budget.amount
    said = [f"mean of {len(seen)} periods {_short(mean)} {budget.currency} and {_percent(rule.headroom)} headroom"]
    limit = wanted
    for low, high, why in _bounds(budget, last):
        bounded = min(max(limit, low), high)
        said += [why] if bounded != limit else []
        limit = bounded
    limit = RATIO.quantize(limit, Decimal("0.01"))
    return limit, f"limit {_short(limit)} instead of {_short(budget.amount)}: {'; '.join(said)}"


def _bounds(budget: Budget, last: Decimal) -> Iterator[tuple[Decimal, Decimal, str]]:
    rule = budget.adjustment
    assert rule is not None
    step = RATIO.multiply(last, rule.most_change)
    low, high = RATIO.subtract(last, step), RATIO.add(last, step)
    yield low, high, f"at most {_percent(rule.most_change)} from {_short(last)} at a time"
    least = RATIO.divide(budget.amount, Decimal(2)) if rule.least is None else rule.least
    most = RATIO.multiply(budget.amount, Decimal(2)) if rule.most is None else rule.most
    yield least, most, f"between {_short(least)} and {_short(most)}"


def _short(amount: Decimal) -> str:
    return text(RATIO.quantize(amount, Decimal("0.01")))


def _percent(ratio: Decimal) -> str:
    return f"{text(RATIO.multiply(ratio, Decimal(100)))} %"


def remember(budget: Budget, period: Window, limit: Decimal, reason: str, closed: tuple[Closed, ...]) -> Remembered:
    """What the next evaluation has to know."""
    return Remembered(budget.period_id(period), day_of(period.start), budget.amount, limit, reason, closed)
