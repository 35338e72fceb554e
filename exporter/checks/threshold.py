"""`threshold`: what something costs, by the day, in the month so far, or by the end of the month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from exporter.checks.nagios import Limits, Perf, Result, State, Unanswerable, add, money, plain, worst
from exporter.checks.picture import Picture, Trust, amount, day, instant, minute, settled_until

DAILY, MONTH_TO_DATE, FORECAST = WINDOWS = ("daily", "month-to-date", "forecast")
_DAY = timedelta(days=1)


class Scope(NamedTuple):
    """Whose costs. None: all."""

    provider: str | None = None
    account: str | None = None
    service: str | None = None
    currency: str | None = None

    def __str__(self) -> str:
        words = [word for word in (self.provider, self.account, self.service) if word]
        return " ".join(words) or "all"

    @property
    def narrow(self) -> bool:
        """Whether it is finer than a provider."""
        return self.account is not None or self.service is not None

    def holds(self, row: Sequence[str]) -> bool:
        """Whether a row of `totals` (provider, account, service, currency, amount) lies in it, in any currency."""
        wanted = (self.provider, self.account, self.service)
        return all(want is None or want == got for want, got in zip(wanted, row, strict=False))


class _Found(NamedTuple):
    """What the window costs."""

    amount: Decimal
    currency: str
    when: str
    settled: bool = True
    """Whether `amount` cannot change any more, as far as is known."""
    moving: tuple[tuple[date, Decimal], ...] = ()
    """Days after it, which may still grow."""
    firm: Decimal | None = None
    """The part of `amount` that is settled; None where that is not known."""
    band: tuple[Decimal, Decimal] | None = None
    missing: str = ""
    """Why this cannot be called good."""


def threshold(picture: Picture, scope: Scope, window: str, limits: Limits) -> Result:
    """Judge a window of a scope by the limits."""
    sources = picture.concerned(scope.provider)
    trust = Trust.of(sources)
    try:
        find = {DAILY: _daily, MONTH_TO_DATE: _month_to_date, FORECAST: _forecast}[window]
        found = find(picture, scope)
    except Unanswerable as error:
        if trust.unusable:  # that is why
            raise Unanswerable(trust.unusable[0], (str(error), *trust.details)) from None
        raise
    if found.missing:
        trust = trust._replace(unusable=(found.missing, *trust.unusable))
    state, words = _judged(found, limits)
    label = f"{scope} {window} {found.currency}"
    perf = [Perf(label, found.amount, limits=limits)]
    if found.band:
        perf += [Perf(f"{label} {end}", value) for end, value in zip(("lower", "upper"), found.band, strict=True)]
    more = [f"{moved.isoformat()}: {plain(cost)} {found.currency}, may still grow" for moved, cost in found.moving]
    return Result(
        trust.state(state), trust.summary(f"{scope}: {words}"), tuple(perf), trust.details, (*more, *_standing(picture))
    )


def _judged(found: _Found, limits: Limits) -> tuple[State, str]:
    state = limits.state(found.amount)
    words = f"{money(found.amount, found.currency)} {found.when}"
    if state:
        words += f", {_passed(limits, state, found.amount)}"
        if not found.settled:
            words += _firmness(found.firm, limits, state)
        elif found.band is None:
            words += ", settled"
    # A day that has not settled can only grow: past a limit it is told at once, below one it says nothing yet.
    rising = [(limits.state(cost, growing=True), moved, cost) for moved, cost in found.moving]
    early = worst(found_state for found_state, _, _ in rising)
    if worst((state, early)) is not state:
        moved, cost = next((moved, cost) for found_state, moved, cost in rising if found_state is early)
        return early, (
            f"{money(cost, found.currency)} on {moved.isoformat()}, {_passed(limits, early, cost)}, "
            f"while that day still moves; {words}"
        )
    return state, words


def _firmness(firm: Decimal | None, limits: Limits, state: State) -> str:
    if firm is None:
        return ", days that still move included"
    return ", already by settled days alone" if limits.state(firm) == state else ", by data that still moves"


def _passed(limits: Limits, state: State, cost: Decimal) -> str:
    """Which limit is passed; with every digit where cents do not show it."""
    exact = "" if limits.state(round(cost, 2)) == state else f" ({plain(cost)})"
    return limits.passed(state) + exact


def _daily(picture: Picture, scope: Scope) -> _Found:
    """The newest settled day, and the days after it."""
    until = settled_until(picture.concerned(scope.provider))
    return _daily_of_rows(picture, scope, until) if scope.narrow else _daily_of_providers(picture, scope, until)


def _daily_of_providers(picture: Picture, scope: Scope, until: date | None) -> _Found:
    days: dict[str, dict[str, list[list[str]]]] = picture.part("days", dict)
    _known("provider", scope.provider, days)
    chosen = [days[provider] for provider in days if scope.provider in (None, provider)]
    currency = _currency(scope, {currency for by_currency in chosen for currency in by_currency})
    costs: dict[date, Decimal] = {}
    for by_currency in chosen:
        for when, cost in by_currency.get(currency, ()):
            costs[day(when)] = add((costs.get(day(when), Decimal(0)), amount(cost)))
    moving = tuple(sorted((when, cost) for when, cost in costs.items() if until is None or when >= until))
    if until is None:
        return _Found(Decimal(0), currency, "on settled days", moving=moving, missing="no day has settled yet")
    last = until - _DAY
    if last not in costs:
        missing = f"no charges are known of {last.isoformat()}, the newest settled day"
        return _Found(Decimal(0), currency, f"on {last.isoformat()}", moving=moving, missing=missing)
    return _Found(costs[last], currency, f"on {last.isoformat()}", moving=moving)


def _daily_of_rows(picture: Picture, scope: Scope, until: date | None) -> _Found:
    rows, currency = _rows(picture, scope, "latest_day")
    total = add(amount(row[4]) for row in rows)
    written: dict[str, list[list[str]]] = picture.part("moving", dict)
    costs = {
        day(when): [amount(row[4]) for row in of_day if scope.holds(row) and row[3] == currency]
        for when, of_day in written.items()
    }
    moving = tuple((when, add(amounts)) for when, amounts in sorted(costs.items()) if amounts)
    if until is None:
        return _Found(total, currency, "on settled days", moving=moving, missing="no day has settled yet")
    current = [source for source in picture.concerned(scope.provider) if source.settled and not source.ended]
    ends = {source.settled.date() for source in current if source.settled}
    return _Found(
        total,
        currency,
        f"on {(until - _DAY).isoformat()}" if len(ends) == 1 else "on the newest settled day of each source",
        moving=moving,
    )


def _month_to_date(picture: Picture, scope: Scope) -> _Found:
    """All that is billed for this UTC month, days that still move included."""
    written = instant(picture.part("now", str))
    if (written.year, written.month) != (picture.now.year, picture.now.month):
        raise Unanswerable("a new month has begun, and the snapshot is still of the one before")
    rows, currency = _rows(picture, scope, "month_to_date")
    sources = [source for source in picture.concerned(scope.provider) if source.published and not source.ended]
    until = settled_until(sources)
    first = picture.today.replace(day=1)
    firm = None
    if not scope.narrow and until is not None:
        days = picture.part("days", dict)
        firm = add(
            amount(cost)
            for provider, by_currency in days.items()
            if scope.provider in (None, provider)
            for when, cost in by_currency.get(currency, ())
            if first <= day(when) < until
        )
    known = f"settled before {until.isoformat()}" if until and until > first else "of which nothing is settled"
    return _Found(
        add(amount(row[4]) for row in rows), currency, f"in {first:%Y-%m} so far, {known}", settled=False, firm=firm
    )


def _forecast(picture: Picture, scope: Scope) -> _Found:
    """The whole of this month as it is expected."""
    if scope.narrow:
        raise Unanswerable("a forecast is by provider and currency. hint: leave out --account and --service")
    month = f"{picture.now:%Y-%m}"
    entries = [entry for entry in picture.judged("forecasts", "forecasts") if entry["month"] == month]
    if not entries:
        raise Unanswerable(f"there is no forecast of {month}. hint: it needs some weeks of settled days")
    _known("provider", scope.provider, {entry["provider"] for entry in entries})
    chosen = [entry for entry in entries if scope.provider in (None, entry["provider"])]
    currency = _currency(scope, {entry["currency"] for entry in chosen})
    chosen = [entry for entry in chosen if entry["currency"] == currency]
    band = None
    words = f"expected for {month}"
    if len(chosen) == 1:  # bands of several cannot be added
        band = amount(chosen[0]["lower"]), amount(chosen[0]["upper"])
        words += f" ({band[0]:,.2f} to {band[1]:,.2f} by four in five)"
    return _Found(add(amount(entry["total"]) for entry in chosen), currency, words, band=band)


def _rows(picture: Picture, scope: Scope, window: str) -> tuple[list[list[str]], str]:
    """The rows of one window of `totals` that lie in the scope, and their currency.

    What has no row in the window and one in another costs nothing there. What has none in any is Unanswerable.
    """
    totals: dict[str, list[list[str]]] = picture.part("totals", dict)
    if window not in totals:
        raise Unanswerable(f"the exporter publishes no totals of {window!r}. hint: is it of this version?")
    known = [row for rows in totals.values() for row in rows]
    inside = [row for row in known if scope.holds(row)]
    if not inside:
        for name, wanted, column in (("provider", scope.provider, 0), ("account", scope.account, 1)):
            _known(name, wanted, {row[column] for row in known})
        if scope.service is not None:
            near = scope._replace(service=None)
            _known("service", scope.service, {row[2] for row in known if near.holds(row)})
        raise Unanswerable(f"there are no costs of {scope}")
    currency = _currency(scope, {row[3] for row in inside})
    return [row for row in totals[window] if scope.holds(row) and row[3] == currency], currency


def _currency(scope: Scope, there: Iterable[str]) -> str:
    """The one currency to judge. Currencies are never added."""
    known = sorted(there)
    if scope.currency is not None:
        _known("currency", scope.currency, known)
        return scope.currency
    if len(known) > 1:
        raise Unanswerable(f"{scope} is billed in {', '.join(known)}. hint: choose one by --currency")
    if not known:
        raise Unanswerable(f"there are no costs of {scope}")
    return known[0]


def _known(name: str, wanted: str | None, there: Iterable[str]) -> None:
    known = sorted(there)
    if wanted is not None and wanted not in known:
        shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        raise Unanswerable(f"there are no costs of {name} {wanted!r}. hint: there are {shown or 'none at all'}")


def _standing(picture: Picture) -> Iterable[str]:
    for source in picture.sources:
        if source.published:
            newest = minute(source.newest) if source.newest else "nothing"
            settled = minute(source.settled) if source.settled else "nothing"
            yield f"{source.name}: newest charge until {newest}, settled until {settled}"
