"""When to ask again: pure arithmetic over what the state file remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from exporter.analysis import finality
from exporter.errors import STORE_ERROR, WORKER_DIED, Throttled, Unavailable
from exporter.periods import ALWAYS, DAY, Month, Window, day_of, midnight
from exporter.polling.sources import Source
from exporter.store.state import SourceState

_FIRST_RETRY = timedelta(minutes=1)
_STEP = timedelta(hours=1)
_SOON = frozenset({Throttled.reason, Unavailable.reason, WORKER_DIED, STORE_ERROR})

OPEN_AT_MOST = timedelta(days=45)
"""How long after its end a month is read again because its provider does not call it final."""

HOURLY_DAYS = 14
"""UTC days kept by the hour, today included."""


def due(sources: Iterable[Source], states: Mapping[str, SourceState], now: datetime) -> tuple[Source, ...]:
    """The sources whose time has come."""
    return tuple(s for s in sources if next_due(s, states.get(s.name), now) <= now)


def next_due(source: Source, state: SourceState | None, now: datetime) -> datetime:
    """When a source is due; now where it was never asked, or never asked what the configuration says now."""
    if state is None or state.next_due is None or state.asked_as != source.fingerprint:
        return now
    if state.last_attempt is not None and state.last_attempt > now + _STEP:
        return now  # the clock was ahead when it was written; waiting for that time could take years
    return state.next_due


def after_success(source: Source, now: datetime) -> datetime:
    """One poll interval later, less a share of up to a tenth, so that sources spread out.

    The share is fixed by the source's name and the day: restarts do not move it.
    """
    seed = hashlib.blake2b(f"{source.name} {day_of(now)}".encode(), digest_size=4).digest()
    share: float = int.from_bytes(seed) / 2**32
    return now + source.poll_every * (1 - share / 10)


def after_failure(
    source: Source, now: datetime, reason: str, failures_in_row: int, retry_after: timedelta | None = None
) -> datetime:
    """Soon and then ever later for what may pass by itself; at the regular time for what a person must mend."""
    regular = now + source.poll_every
    if reason not in _SOON:
        return regular
    if retry_after is not None:
        return min(regular, max(now + _FIRST_RETRY, now + retry_after))
    return min(regular, now + _FIRST_RETRY * int(2 ** min(failures_in_row, 16)))


def hours(now: datetime) -> Window:
    """The days that are kept by the hour too."""
    tomorrow = midnight(day_of(now) + DAY)
    return Window(tomorrow - DAY * HOURLY_DAYS, tomorrow)


def window(source: Source, covered: Window | None, now: datetime, before: SourceState | None = None) -> Window:
    """What a regular poll asks for: all there may be at first (`history` apart), then everything that may still move.

    That is the month that runs, those before it until they are closed (`finality.closed`), and every day that has not
    settled. `before` is what is remembered of the source, if anything.
    """
    if source.spec.history is None:
        return ALWAYS
    tomorrow = midnight(day_of(now) + DAY)
    if covered is None:
        return Window(_first(source, source.spec.history, now).window().start, tomorrow)
    since = _oldest_open(now, before).window().start
    unsettled = midnight(day_of(now - source.settles_after - DAY))
    # Days that went by while nothing was polled are asked for too.
    return Window(min(since, unsettled, midnight(day_of(covered.end)) - DAY), tomorrow)


def history(source: Source, state: SourceState, now: datetime) -> Window | None:
    """The months that the first poll left for later, of a source that is asked for them apart; None once all are in."""
    kept = source.spec.history
    if not source.spec.recent_first or kept is None or state.history_as == source.fingerprint:
        return None
    since, until = Month.containing(now - kept).window().start, _first(source, kept, now).window().start
    return Window(since, until) if since < until else None


def _first(source: Source, kept: timedelta, now: datetime) -> Month:
    """The oldest month that a first poll asks for."""
    oldest, previous = Month.containing(now - kept), Month.containing(now).previous()
    return max(oldest, previous) if source.spec.recent_first else oldest


def _oldest_open(now: datetime, before: SourceState | None) -> Month:
    """The oldest month that is not closed yet, as far as the last reading knows."""
    running = Month.containing(now)
    read = before.last_success if before and before.last_success else now
    told = before.open_months if before else None
    candidates = [running.previous(), *(told or ())]
    recent = [month for month in candidates if month < running and now - month.window().end <= OPEN_AT_MOST]
    return min((month for month in recent if not finality.closed(month, read, told)), default=running)
