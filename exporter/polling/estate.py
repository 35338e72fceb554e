"""The days that are stored of each source, in the form that judgement looks at: usage by line, and how far it reaches.

Imports numpy: import it where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np

from exporter.analysis.anomalies import Edge
from exporter.analysis.basis import unknown
from exporter.analysis.reach import Reach, ended
from exporter.analysis.series import Series, gaps, usage
from exporter.costs import Cost, CostTable
from exporter.periods import DAY, Window, day_of
from exporter.polling.reaching import reached
from exporter.polling.sources import Paths, Source
from exporter.store.lake import Lake
from exporter.store.state import SourceState, State

_SPEAKS = 0.9
"""A source that has charges on so many of its days has them on all: a day without is one that it did not answer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One source that has charges stored."""

    name: str
    series: Series
    """Its usage, from its first day with any, or from the day that was asked for, to its newest day."""
    edge: Edge
    ended: bool
    """Whether it is billed no more: an old bill, kept."""


@dataclass(frozen=True, slots=True)
class Estate:
    """All sources that have charges stored, in the order of the configuration."""

    sources: tuple[Stored, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Account id → name."""
    unsettled: tuple[str, ...] = ()
    """Sources with charges of which no day has settled yet: nothing can be said of them."""

    @property
    def empty(self) -> bool:
        """Whether nothing is stored at all."""
        return not self.sources and not self.unsettled


def stored(sources: Sequence[Source], paths: Paths, now: datetime, since: date) -> Estate:
    """The usage of each source from the UTC day `since` on. Reads the store and changes nothing in it."""
    states: Mapping[str, SourceState] = {}
    accounts: Mapping[str, str] = {}
    if paths.state.exists():
        with State(paths.state) as state:
            states = state.sources()
            accounts = {account: name for (_, account), name in state.accounts().items()}
    lake, found, unsettled = Lake(paths.lake), [], []
    for source in sources:
        costs, reach = reached(source, states.get(source.name, SourceState(source.name)), lake, now)
        if reach is None:
            continue
        usage = usage_of(source.name, costs, reach, now, since)
        if usage is None:
            unsettled.append(source.name)
        else:
            found.append(usage)
    return Estate(tuple(found), accounts, tuple(unsettled))


def usage_of(name: str, costs: CostTable, reach: Reach, now: datetime, since: date) -> Stored | None:
    """The usage of one source from the UTC day `since` on; None while no day has settled."""
    if reach.latest_day is None:
        return None
    newest = day_of(reach.newest - timedelta(microseconds=1))
    edge = Edge(reach.latest_day, max(newest, reach.latest_day))
    series = _series(costs, min(since, edge.newest), edge.newest)
    return Stored(name, series, edge, ended(reach.newest, now))


def _series(costs: CostTable, first: date, newest: date) -> Series:
    # Whose effective cost is to be trusted is judged over all that is stored.
    known = unknown(costs, Cost.EFFECTIVE)
    window = Window.of_days(first, newest + DAY)
    series = usage(costs, window, known)
    if not series.scopes:
        return Series.nothing()
    series = gaps(series, silent(costs, window))
    begun = np.isfinite(series.values).any(axis=0)
    return series.since(series.days[int(np.argmax(begun))])


def silent(costs: CostTable, window: Window) -> Iterator[date]:
    """Days of one source on which it did not answer, going by the others: it has charges before and after them."""
    charged = {date.fromisoformat(line.key[0]) for line in costs.during(window).by("day").rows()}
    if not charged:
        return
    span = [day for day in window.days() if min(charged) <= day <= max(charged)]
    if len(charged) >= _SPEAKS * len(span):
        yield from (day for day in span if day not in charged)
