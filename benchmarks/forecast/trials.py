"""Month ends from the 6th, the 13th and the 21st of each month: what was to come, and what came."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

import numpy as np

from benchmarks.detection.events import Bill, bill
from benchmarks.detection.world import SHIFT, World
from benchmarks.forecast.contenders import Contender, Dates, Floats, Said
from exporter.periods import Month

UNSEEN = (4001, 4002, 4003, 4004, 4005)
SHIFTED_SEEDS = (5001, 5002, 5003)
_HISTORY = 91
"""Days before the first origin."""
_DAYS = (6, 13, 21)
_ANYTHING = 0.5
"""A month that costs less is not judged: a share of nothing says nothing."""

HOME = World(days=275, series=400, begin=0.0)
AWAY = replace(SHIFT, days=275, series=400, begin=0.0)


class Task(NamedTuple):
    """Costs of a number of series, and where they are cut."""

    costs: Floats
    dates: Dates
    cuts: tuple[tuple[int, int, int], ...]
    """(first day of the month, first day forecast, first day of the next month), as columns."""


@dataclass(slots=True)
class Marks:
    """How far a forecaster was off."""

    shares: list[float] = field(default_factory=list)
    """Of each month's total, at most 1."""
    off: float = 0.0
    total: float = 0.0
    held: dict[int, list[bool]] = field(default_factory=lambda: {80: [], 95: []})
    seconds: float = 0.0
    series: int = 0

    @property
    def median(self) -> float:
        """Per cent of the month's total."""
        return 100 * float(np.median(self.shares))

    @property
    def by_money(self) -> float:
        """All that was missed, per cent of all that was spent (WAPE)."""
        return 100 * self.off / self.total

    def coverage(self, level: int) -> float:
        """Per cent of the remaining spends that lay in their interval; NaN where none were given."""
        return 100 * float(np.mean(self.held[level])) if self.held[level] else float("nan")

    @property
    def milliseconds(self) -> float:
        """Of CPU, per series and origin."""
        return 1000 * self.seconds / max(self.series, 1)


def tasks(world: World, seeds: Iterable[int]) -> Iterator[Task]:
    """A task for each seed."""
    for seed in seeds:
        yield task(bill(world, seed))


def task(each: Bill) -> Task:
    """All series of a bill."""
    return Task(each.costs, each.dates, tuple(origins(each.dates)))


def origins(dates: Dates) -> Iterator[tuple[int, int, int]]:
    """(First day of the month, first day forecast, first day of the next month), as columns."""
    for column, day in enumerate(dates.astype("datetime64[D]").astype(object)):
        assert isinstance(day, date)
        end = column + (Month.of(day).next().first - day).days
        if day.day in _DAYS and column >= _HISTORY and end <= len(dates):
            yield column - day.day + 1, column, end


def few(one: Task, series: int, origins: int) -> Task:
    """The first series and the last origins of a task, for forecasters that take their time."""
    return Task(one.costs[:series], one.dates, one.cuts[-origins:])


def summed(each: Bill) -> Task:
    """Sums by provider and service instead of single series."""
    return Task(added(each, each.costs), each.dates, tuple(origins(each.dates)))


def added(each: Bill, values: Floats) -> Floats:
    """Rows of the bill's series added up by provider and service."""
    names = np.array([labels[0] + labels[2] for labels in each.labels])
    return np.stack([values[names == name].sum(axis=0) for name in sorted(set(names.tolist()))])


def marked(contender: Contender, some: Iterable[Task]) -> Marks:
    """What a forecaster is worth."""
    marks = Marks()
    for one in some:
        for begin, cut, end in one.cuts:
            clock = time.process_time()
            said = contender(one.costs[:, :cut], one.dates[:cut], end - cut)
            marks.seconds += time.process_time() - clock
            marks.series += len(one.costs)
            _count(marks, said, one.costs[:, begin:end], one.costs[:, cut:end].sum(axis=1))
    return marks


def marked_as(one: Task, said: Floats) -> Marks:
    """What somebody is worth who says so of each series × origin."""
    marks = Marks()
    for place, (begin, cut, end) in enumerate(one.cuts):
        its = Said(said[:, place : place + 1])
        _count(marks, its, one.costs[:, begin:end], one.costs[:, cut:end].sum(axis=1))
    return marks


def _count(marks: Marks, said: Said, month: Floats, came: Floats) -> None:
    total = month.sum(axis=1)
    judged = total > _ANYTHING
    off = np.abs(said.mean.sum(axis=1) - came)[judged]
    marks.shares += np.minimum(off / total[judged], 1).tolist()
    marks.off += float(off.sum())
    marks.total += float(total[judged].sum())
    for level, interval in ((80, said.of80), (95, said.of95)):
        if interval is not None:
            low, high = interval
            marks.held[level] += ((low <= came) & (came <= high))[judged].tolist()
