"""How final a day is: provisional → settling → settled → closed.

A day is *provisional* until a reading after its end, and while the provider calls it an estimate; then it is *settling*
until it was read `settles_after` past its end, and no day before it is an estimate; then it has *settled*. Its figures
may still be corrected until its billing month is *closed*: by the provider's own word where it gives one, else by the
calendar.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from enum import StrEnum

from exporter.periods import DAY, Month, midnight, settled_until

CLOSES_AFTER = timedelta(days=9)
"""A month closes on the 10th of the next: AWS, Azure and Google Cloud finalise bills in its first days."""


class Finality(StrEnum):
    """What may still happen to a day, from most to least."""

    PROVISIONAL = "provisional"
    SETTLING = "settling"
    SETTLED = "settled"
    CLOSED = "closed"


def settled_edge(read: datetime, settles_after: timedelta, estimated: Collection[date] = ()) -> datetime:
    """Before it every day has settled that the bill reaches, as it was read at `read`."""
    horizon = settled_until(read, settles_after)
    return min((midnight(day) for day in estimated if midnight(day) < horizon), default=horizon)


def closed(month: Month, read: datetime, open_months: Collection[Month] | None = None) -> bool:
    """Whether nothing is expected to change in a billing month that was read at `read`.

    `open_months`: those whose bill the provider does not call final; None where it does not say.
    """
    if read < month.window().end:
        return False
    return read >= midnight(month.next().first) + CLOSES_AFTER if open_months is None else month not in open_months


def state(
    day: date,
    read: datetime,
    settles_after: timedelta,
    estimated: Collection[date] = (),
    open_months: Collection[Month] | None = None,
) -> Finality:
    """How final a UTC day is whose source was last read at `read`."""
    end = midnight(day + DAY)
    if read < end or day in estimated:
        return Finality.PROVISIONAL
    if settled_edge(read, settles_after, estimated) < end:
        return Finality.SETTLING
    return Finality.CLOSED if closed(Month.of(day), read, open_months) else Finality.SETTLED
