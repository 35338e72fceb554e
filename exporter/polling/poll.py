"""One poll of one source: ask, tidy, check, replace, remember. A failure leaves the stored bill as it was."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from exporter import log
from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostTable, Note, Scope
from exporter.costs.money import add, text
from exporter.errors import STORE_ERROR, BadData, SourceError, StoreError, Unavailable
from exporter.normalise import names
from exporter.periods import ALWAYS, DAY, Grain, Window, day_of, midnight, settled_until
from exporter.polling import finality, plan, schedule
from exporter.polling.ledger import Ledger
from exporter.polling.sources import Source
from exporter.store import Restatement
from exporter.store.lake import Lake
from exporter.store.state import Failure, SourceState, State, Success

_log = logging.getLogger(__name__)
_STORING = threading.Lock()
_CENT = Decimal("0.01")


def poll(source: Source, lake: Lake, state: State, clock: Clock, rivals: Collection[str] = ()) -> Success | Failure:
    """Ask a source for all that may have moved; what came of it is stored, remembered and returned.

    `rivals` are the other configured sources: none of them may bill the same account for the same days.
    """
    began, now = time.monotonic(), clock.now()
    before = state.source(source.name)
    # Should this process die now, the next try waits as if it had failed: a crash loop spends nothing.
    crashed = schedule.after_failure(source, now, STORE_ERROR, before.failures_in_row)
    state.begin(source.name, now, crashed, os.getpid(), source.fingerprint)
    state.drop_pages(stale_at=now)
    held = lake.coverage(source.name)
    try:
        # All the history again once the question has changed.
        same = before.stored_as == source.fingerprint
        asked = schedule.window(source, held if same else None, now, before)
        hours = schedule.hours(now) if source.hours else None
        whole = asked == ALWAYS and not hours  # then nothing but the files decides the answer
        known = lake.made_of(source.name) if whole and same else ""
        bill, change = _fetch_and_store(
            source, lake, state, clock, Ask(asked, tags=source.tags, known=known), hours, rivals
        )
        bill = _as_before(bill, before) if bill.unchanged else bill
        lake.mark(source.name, bill.made_of if whole else "")
    except (Exception, SystemExit) as error:  # whatever it is, it must not take the other sources down
        if isinstance(error, MemoryError):
            raise
        failed = _failure(source, clock.now(), before, error, time.monotonic() - began)
        state.fail(source.name, failed)
        if failed.reason == BadData.reason:
            state.drop_pages(source.name)  # what cannot be a bill will not be one at the next try either
        _say_failure(source, before, failed)
        return failed
    now = clock.now()
    unattributed = before.unattributed if bill.unchanged else _unattributed(bill)
    succeeded = Success(
        at=now,
        next_due=plan.next_due(source, state, now, asked, rivals),
        seconds=time.monotonic() - began,
        rows=change.rows,
        estimated=bill.estimated,
        open_months=bill.open_months,
        restated=_restated(source, bill, change, before, held),
        unattributed=unattributed,
        lasting=same or not _lost(unattributed) or _read_twice(source, before),
        rates=bill.rates,
        notes={note.subject: log.masked(note.text) for note in (*bill.notes, *_rates_said(bill))},
    )
    state.succeed(source.name, succeeded)
    _learn(source, lake, state, now)
    _say_success(source, before, succeeded, change)
    return succeeded


def backfill(
    source: Source, lake: Lake, state: State, clock: Clock, window: Window, rivals: Collection[str] = ()
) -> Success | Failure:
    """Ask a source for one window of the past and store it.

    It says nothing about the present: whether the source is up, how far its data reaches and when it is due stay as
    the regular polls left them.
    """
    began, now = time.monotonic(), clock.now()
    before = state.source(source.name)
    try:
        bill, change = _fetch_and_store(source, lake, state, clock, Ask(window, tags=source.tags), None, rivals)
    except (Exception, SystemExit) as error:
        if isinstance(error, MemoryError):
            raise
        failed = _failure(source, now, before, error, time.monotonic() - began)
        _say_failure(source, before, failed)
        return failed
    state.backfilled(source.name, change.rows)
    return Success(
        at=now,
        next_due=schedule.next_due(source, before, now),
        seconds=time.monotonic() - began,
        rows=change.rows,
        unattributed=_unattributed(bill),
    )


def _fetch_and_store(
    source: Source,
    lake: Lake,
    state: State,
    clock: Clock,
    asked: Ask,
    hours: Window | None,
    rivals: Collection[str],
) -> tuple[Bill, Restatement]:
    ledger = Ledger(state, source, clock)
    provider = source.spec.connect(source.options, ledger)

    def answer(ask: Ask) -> Bill:
        bill = _tidied(source, provider.fetch(ask))
        ledger.answered(ask)
        return bill

    bill = answer(asked)
    if bill.unchanged:
        return bill, Restatement(rows=lake.rows(source.name))
    by_hour = answer(Ask(hours, Grain.HOUR, source.tags)) if hours else None
    with _STORING:  # two sources that bill the same account must not slip past each other
        _refuse_second_route(lake, bill, rivals)
        change = lake.replace(source.name, bill)
        if by_hour and hours:
            # All that lies before is covered too, so hours that grew old go.
            until = Scope(Window(ALWAYS.start, hours.start))
            lake.replace(source.name, replace(by_hour, covered=(*by_hour.covered, until)), Grain.HOUR)
        if bill.by_account is not None:
            lake.replace(source.name, replace(bill, costs=bill.by_account), Grain.ACCOUNT_DAY)
    if bill.rounded and change.changed:  # the same amounts at every reading are counted once
        state.count("cloudspend_source_rounded_values_total", source.name, amount=Decimal(bill.rounded))
    state.name_accounts(_account_names(bill))
    return bill, change


def _as_before(bill: Bill, before: SourceState) -> Bill:
    """A bill that was not read again says what it said when it was."""
    notes = tuple(Note(subject, text) for subject, text in before.notes.items())
    moving = replace(bill, estimated=before.estimated, open_months=before.open_months)
    return replace(moving, rates=before.rates, notes=notes)


def _rates_said(bill: Bill) -> Iterator[Note]:
    """Rates that the bill itself has; they are used where `currency.rates_from` asks for it."""
    if bill.rates:
        said = ", ".join(f"1 {name} = {text(it.rate)} USD in {it.month}" for name, it in sorted(bill.rates.items()))
        yield Note("exchange_rate", f"the bill is told in US dollars too: {said}")


def _tidied(source: Source, bill: Bill) -> Bill:
    """The bill with label values for names, in what it covers too, and held in memory."""
    covered = (
        replace(scope, accounts=None if scope.accounts is None else tuple(map(names.account, scope.accounts)))
        for scope in bill.covered
    )
    by_account = names.tidy(bill.by_account, source.spec.label).kept() if bill.by_account is not None else None
    costs = names.tidy(bill.costs, source.spec.label).kept()
    return replace(bill, costs=costs, by_account=by_account, covered=tuple(covered))


def _refuse_second_route(lake: Lake, bill: Bill, rivals: Collection[str]) -> None:
    """BadData where a rival already holds charges of one of the bill's billing accounts for the same days."""
    span = bill.costs.span()
    if span is None or not rivals:
        return
    mine = _routes(bill.costs)
    for other, theirs in _routes_by_source(lake.read(span, sources=rivals)).items():
        if twice := mine & theirs:
            provider, account, day = min(twice)
            raise BadData(
                f"billing account {account} of {provider} is already billed by source {other!r}, {day} among others",
                hint="two routes to one bill would be added up; remove one of the two sources",
            )


# Without a billing account the account itself tells; billing months may be cut in another zone than days.
_ROUTE = ("provider", "billing_account", "account", "billing_month", "day")

Route = tuple[str, str, str]
"""provider, billing account or else account, and billing month with day."""


def _routes(costs: CostTable) -> frozenset[Route]:
    return frozenset(_route(line.key) for line in costs.by(*_ROUTE).rows())


def _routes_by_source(costs: CostTable) -> Mapping[str, frozenset[Route]]:
    found: dict[str, set[Route]] = {}
    for line in costs.by("source", *_ROUTE).rows():
        found.setdefault(line.key[0], set()).add(_route(line.key[1:]))
    return {name: frozenset(routes) for name, routes in found.items()}


def _route(key: tuple[str, ...]) -> Route:
    provider, billing_account, account, billing_month, day = key
    return provider, billing_account or account, f"{day} in the bill of {billing_month}"


def _account_names(bill: Bill) -> dict[tuple[str, str], str]:
    """(provider, account) → name, for the accounts of the bill that have one."""
    given = {names.account(id): name for id, name in bill.accounts.items() if name}
    tables = (bill.costs, *([bill.by_account] if bill.by_account is not None else []))
    keys = (line.key for table in tables for line in table.by("provider", "account").rows())
    return {(provider, account): given[account] for provider, account in keys if account in given}


def _learn(source: Source, lake: Lake, state: State, now: datetime) -> None:
    """Remember what this poll saw of the recent days, and how long such days turned out to move."""
    since = day_of(now - finality.REMEMBERED)
    recent = lake.read(Window.of_days(since, day_of(now) + DAY), sources=[source.name]).by("day").rows()
    totals = {(date.fromisoformat(line.key[0]), line.currency): line.billed for line in recent}
    known = state.vintages(source.name)
    fresh = finality.news(totals, known, now)
    moved = finality.observed([*known, *fresh], now)
    state.keep_vintages(source.name, fresh, since, moved.total_seconds() if moved is not None else None)


def _restated(
    source: Source, bill: Bill, change: Restatement, before: SourceState, held: Window | None
) -> dict[str, Decimal]:
    """Currency → by how much days changed that were held, and settled, at the poll before; 0 where none did."""
    unmoved = [(line.currency, Decimal(0)) for line in bill.costs.rows()]
    if bill.unchanged:
        unmoved = [(currency, Decimal(0)) for currency in before.restated]
    if before.last_success is None or held is None:
        return _by_currency(unmoved)
    edge = settled_until(before.last_success, source.settles_after)
    moved = [
        (currency, amount if midnight(day) < edge and midnight(day) in held else Decimal(0))
        for (day, currency), amount in change.changes.items()
    ]
    return _by_currency([*unmoved, *moved])


def _unattributed(bill: Bill) -> dict[str, Decimal]:
    """Currency → the provider's own total less the sum of its charges; empty where it gives no totals."""
    if bill.totals is None:
        return {}
    total = [(line.currency, line.billed) for line in bill.totals.rows()]
    charged = [(line.currency, line.billed.copy_negate()) for line in bill.costs.rows()]
    return _by_currency([*total, *charged])


def _lost(unattributed: Mapping[str, Decimal]) -> bool:
    """Whether charges are missing. Vendors round each group by itself, which comes to less than a cent."""
    return any(amount.copy_abs() >= _CENT for amount in unattributed.values())


def _read_twice(source: Source, before: SourceState) -> bool:
    """Whether the poll before asked for all the history too, and missed charges: the bill itself does not add up."""
    asked = before.asked_as == source.fingerprint and before.stored_as != source.fingerprint
    return asked and before.last_success is not None and _lost(before.unattributed)


def _by_currency(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        sums[currency] = add(sums.get(currency, Decimal(0)), amount)
    return sums


def _failure(source: Source, now: datetime, before: SourceState, error: BaseException, seconds: float) -> Failure:
    """What to remember of a failed poll: its reason, its sentence without secrets, and when to try again."""
    reason, message, hint, retry_after = STORE_ERROR, str(error), None, None
    if isinstance(error, SourceError):
        reason, message, hint, retry_after = error.reason, error.message, error.hint, error.retry_after
    elif not isinstance(error, StoreError):
        _log.error("provider broke", exc_info=error, extra={"fields": {"source": source.name}})
        reason, message = Unavailable.reason, f"unexpected {type(error).__name__}: {error}"
        hint = "this is a bug in the provider; --debug logs where"
    again = schedule.after_failure(source, now, reason, before.failures_in_row, retry_after)
    return Failure(now, again, reason, log.masked(message), hint and log.masked(hint), seconds)


def _say_failure(source: Source, before: SourceState, failure: Failure) -> None:
    """Log that a source fails, once for each reason."""
    if failure.reason != before.failed_reason:
        said = {"source": source.name, "reason": failure.reason, "error": failure.message, "hint": failure.hint}
        _log.warning("source failed", extra={"fields": said})


def _say_success(source: Source, before: SourceState, success: Success, change: Restatement) -> None:
    seconds = round(success.seconds, 2)
    fields = {"source": source.name, "rows": success.rows, "days_changed": len(change.days), "seconds": seconds}
    _log.info("source recovered" if before.failed_reason else "source polled", extra={"fields": fields})
