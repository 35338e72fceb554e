"""How far the data of a source reaches, and which of its days can be trusted.

A day has settled when it was read `settles_after` or more past its end, unless the provider still calls it an
estimate: time alone settles nothing, since a figure that was read earlier may have moved since. Daily figures use
settled days only; month-to-date uses all days and grows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from exporter.analysis.finality import Finality, settled_edge, state
from exporter.costs import CostTable
from exporter.periods import DAY, Month, day_of


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one source's data reaches, as of an instant."""

    newest: datetime
    """End of the newest charge period billed so far; of a long one, the end of its first day."""
    settled: datetime | None
    """End of the latest settled day that has data; None while no day has settled."""
    previous_month: Finality
    """How final the last day of the previous UTC month is, and so all of it."""

    @property
    def previous_month_closed(self) -> bool:
        """Whether the bill of the previous UTC month is final."""
        return self.previous_month is Finality.CLOSED

    @property
    def latest_day(self) -> date | None:
        """The latest settled UTC day that has data."""
        return day_of(self.settled - DAY) if self.settled else None


def reach(
    costs: CostTable,
    now: datetime,
    read: datetime,
    settles_after: timedelta,
    estimated: Collection[date] = (),
    answered: datetime | None = None,
    open_months: Collection[Month] | None = None,
) -> Reach | None:
    """How far the charges of one source reach, which were last read at `read`; None where there are none yet.

    `answered`: until when the source has said all there is, days without charges among it; None where only a charge
    proves that its day was billed. `open_months` as in `finality.closed`.
    """
    [(oldest, newest)] = costs.select(
        "min(ChargePeriodStart)",
        # A month's fee reaches to the month's end, and proves nothing about the days until then.
        "max(least(ChargePeriodEnd, ChargePeriodStart + INTERVAL 1 DAY))",
        where=f"ChargePeriodStart <= TIMESTAMP '{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}'",
    )
    if newest is None:
        return None
    newest, oldest = newest.replace(tzinfo=UTC), oldest.replace(tzinfo=UTC)
    read = min(now, read)
    settled = min(settled_edge(read, settles_after, estimated), max(newest, answered or newest))
    last = day_of(Month.containing(now).window().start - DAY)
    return Reach(
        newest=newest,
        settled=settled if settled > oldest else None,
        previous_month=state(last, read, settles_after, estimated, open_months),
    )


def ended(newest: datetime, now: datetime) -> bool:
    """Whether a source is billed no more: its newest charge lies before the previous month. An old bill, kept."""
    return newest <= Month.containing(now).previous().window().start


def common_day(reaches: Iterable[Reach], now: datetime) -> date | None:
    """The newest day that is settled in every source that has not ended; None where there is none."""
    days = [each.latest_day for each in reaches if not ended(each.newest, now)]
    known = [day for day in days if day is not None]
    return min(known) if known and len(known) == len(days) else None
