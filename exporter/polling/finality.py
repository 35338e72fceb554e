"""How long days really keep moving: what each poll saw of the last weeks, and what can be learned from it.

A vintage is the total of a day as one poll saw it. From the vintages of days that hold still now follows how long
after their end such days were still moving, which tells whether `settles_after` is long enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from exporter.costs.money import MONEY
from exporter.periods import DAY, midnight
from exporter.store.state import Vintage

REMEMBERED = timedelta(days=45)
"""How far back vintages are kept."""

_STILL = timedelta(days=10)  # a day this old is taken to hold still
_NOTABLE = Decimal("0.005")  # of the day's final total; smaller changes settle nothing for anybody
_ENOUGH = 14  # days to learn from


def news(totals: Mapping[tuple[date, str], Decimal], known: Iterable[Vintage], now: datetime) -> tuple[Vintage, ...]:
    """What a poll saw that no poll before it did: totals of recent days that are new or have changed."""
    last: dict[tuple[date, str], Vintage] = {}
    for vintage in known:
        key = (vintage.day, vintage.currency)
        if key not in last or last[key].seen < vintage.seen:
            last[key] = vintage
    return tuple(
        Vintage(day, currency, now, billed)
        for (day, currency), billed in sorted(totals.items())
        if (day, currency) not in last or last[day, currency].billed != billed
    )


def observed(vintages: Iterable[Vintage], now: datetime) -> timedelta | None:
    """How long after their end days were last seen to move by more than half a percent.

    The longest of the days that hold still by now; None where there are fewer than fourteen of them. A day that was
    first seen when it was old already says nothing.
    """
    series: dict[tuple[date, str], list[Vintage]] = {}
    for vintage in sorted(vintages, key=lambda each: each.seen):
        series.setdefault((vintage.day, vintage.currency), []).append(vintage)
    delays = {}
    for (day, currency), seen in series.items():
        end = midnight(day + DAY)
        if now - end >= _STILL and seen[0].seen - end < DAY:
            delays[day, currency] = _delay(seen, end)
    return max(delays.values()) if len({day for day, _ in delays}) >= _ENOUGH else None


def _delay(seen: list[Vintage], end: datetime) -> timedelta:
    """When the last notable change of a day had been seen, counted from its end; zero for one that never moved."""
    final = seen[-1].billed
    slack = MONEY.multiply(final.copy_abs(), _NOTABLE)
    delay = timedelta(0)
    for before, after in pairwise(seen):
        if MONEY.subtract(before.billed, final).copy_abs() > slack:
            delay = max(delay, after.seen - end)
    return max(delay, timedelta(0))
