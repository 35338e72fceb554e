"""What is measured, and on which seeds. Those that chose numbers are not among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.events import WARM_UP, Bill, Event, bill
from benchmarks.detection.late import SETTLED, fallen, replay
from benchmarks.detection.marks import Marks, mark, runs
from benchmarks.detection.rivals import WINDOW, Contender, Scores, daily, ours
from benchmarks.detection.world import World, plain
from exporter.analysis.anomalies import causes, judge, outlook
from exporter.analysis.anomalies.rollups import together

UNSEEN = (2001, 2002, 2003, 2004, 2005)
SHIFTED_SEEDS = (3001, 3002, 3003)
LATE_SEED = 402
CAUSE_SEED = 604

_SUMS = ((0, 2), (0, 2, 3), (0, 1), (0, 1, 2))
"""Sums that are judged too: provider × service, and with region; provider × account, and with service."""


def flagged(contender: Contender, bills: Iterable[Bill]) -> Marks:
    """What a detector is worth at its own threshold."""
    return mark((each, np.nan_to_num(contender(each), nan=-1.0) > 1) for each in bills)


class Summed(NamedTuple):
    """Lines and sums together."""

    marks: Marks
    false_sums_per_month: float


def with_sums(bills: Sequence[Bill]) -> Summed:
    """Ours on lines and on sums. A sum finds an event only where most of what it is over comes from that event.

    Of a price change, which is one event in many lines, the lines count together.
    """
    flags, false, months = [], 0, 0.0
    for each in bills:
        lifts = np.full(each.costs.shape, np.nan)
        lines = np.nan_to_num(_lines(each, lifts), nan=-1.0) > 1
        members = list(_sums(each))
        costs = np.array([_total(each.costs[rows]) for rows in members])
        judged = np.isfinite(costs) & (np.arange(costs.shape[1]) >= WARM_UP)
        pooled = np.array([[together(lifts[rows, day]) for day in range(lifts.shape[1])] for rows in members])
        odd = (np.fmax(ours(replace(each, costs=costs)), pooled) > 1) & judged
        months += judged.sum() / 30
        for rows, days in zip(members, odd, strict=True):
            events = [event for event in each.events if event.series in set(rows.tolist())]
            false += sum(not any(e.start <= begin <= e.neutral_end for e in events) for begin in runs(days))
            over = each.excess[rows][:, days].sum(axis=0)
            for own in _one_event(events):
                share = each.excess[own][:, days].sum(axis=0)
                lines[np.ix_(own, np.flatnonzero(days)[share > 0.5 * np.maximum(over, 1e-9)])] = True
        flags.append((each, lines))
    return Summed(mark(flags), false / max(months, 1e-9))


def _sums(each: Bill) -> Iterator[NDArray[np.intp]]:
    for kept in _SUMS:
        parts: dict[tuple[str, ...], list[int]] = {}
        for row, labels in enumerate(each.labels):
            parts.setdefault(tuple(labels[place] for place in kept), []).append(row)
        yield from (np.array(rows) for rows in parts.values() if len(rows) > 1)


def _lines(each: Bill, lifts: Scores) -> Scores:
    """The scores of the lines; their lifts are put into `lifts`."""
    day = iter(range(13, lifts.shape[1]))

    def judged(matrix: Scores, dates: NDArray[np.datetime64]) -> Scores:
        found = judge(matrix, dates)
        lifts[:, next(day)] = found.lift
        return found.score

    return daily(judged, each)


def _total(costs: Scores) -> Scores:
    return np.where(np.isnan(costs).all(axis=0), np.nan, np.nansum(costs, axis=0))


def _one_event(events: Iterable[Event]) -> Iterator[list[int]]:
    """The lines of one event: each alone, those of the price change together."""
    listed = list(events)
    if priced := [event.series for event in listed if event.kind == "price"]:
        yield priced
    yield from ([event.series] for event in listed if event.kind != "price")


class Late(NamedTuple):
    """Ours under late data."""

    early: Marks
    """Days of ages 0 to 3 judged at each poll, one-sided."""
    waiting: Marks
    """Days judged once, when settled."""
    drops_per_month: float
    false_drops_per_month: float


def late(world: World, seed: int = LATE_SEED) -> Late:
    """Every daily poll of a bill that arrives in parts."""
    each = bill(world, seed)
    early, waiting = replay(each, range(SETTLED + 1)), replay(each, (SETTLED,))
    total, false = _drops(each, waiting.drops)
    return Late(
        mark([(each, early.flags)], {0: early.raised}), mark([(each, waiting.flags)], {0: waiting.raised}), total, false
    )


def drops(each: Bill) -> tuple[float, float]:
    """Drop alarms per series-month on settled days: all, and those where nothing fell."""
    found, costs = np.zeros(each.costs.shape, bool), each.costs.astype(np.float32)
    for day in range(60, costs.shape[1]):
        first = day - WINDOW + 1 if day >= WINDOW else 0
        judgement = judge(costs[:, first : day + 1], each.dates[first : day + 1])
        found[:, day] = fallen(judgement.drop, costs[:, day], judgement.expected)
    return _drops(each, found)


def _drops(each: Bill, found: NDArray[np.bool_]) -> tuple[float, float]:
    total = false = 0
    for row, flags in enumerate(found & each.judged):
        for begin in runs(flags):
            total += 1
            false += not each.dropped[row, max(0, begin - 3) : begin + 1].any()
    months = each.judged.sum() / 30
    return total / months, false / months


class Named(NamedTuple):
    """Share of changes whose slice was named exactly, first."""

    ours: float
    largest_label: float
    """The single label with the largest change on the day before."""
    by_slice: dict[str, tuple[float, int]]


_DIMENSIONS = ("provider", "account", "service", "region")
_SLICES = (
    ("provider", "account", "service", "region"),
    ("account", "service"),
    ("provider", "service"),
    ("account",),
    ("provider", "region"),
    ("provider", "account", "service"),
)


def named(trials: int = 300, seed: int = CAUSE_SEED) -> Named:
    """Slices that grow by 30 to 300 % on one day, each of their lines by its own factor; what is named as the cause."""
    world = World(series=972, events=0, begin=0, outages=0, credits=0, prices=False)
    each, random = plain(world, seed), np.random.default_rng(seed + 1)
    labels, total = each.labels, 0
    right: dict[str, list[bool]] = {}
    simple = []
    while total < trials:
        day = int(random.integers(120, world.days))
        kept = [_DIMENSIONS.index(name) for name in _SLICES[random.integers(len(_SLICES))]]
        wanted = labels[random.integers(len(labels))]
        rows = np.array([n for n, its in enumerate(labels) if all(its[k] == wanted[k] for k in kept)])
        days = each.costs[:, day - 105 : day + 1].copy()
        base = days[rows, -8:-1].mean(axis=1)
        more = np.exp(random.uniform(np.log(0.3), np.log(3))) * base * random.uniform(0.6, 1.4, len(rows))
        if more.sum() < 0.002 * days[:, -1].sum() or base.sum() < 5:
            continue  # too small for anybody to ask
        days[rows, -1] += more
        total += 1
        ahead, spread = outlook(days[:, :-1].astype(np.float32), each.dates[day - 105 : day], 1)
        expected = np.maximum(ahead[:, 0], 0)
        best = causes.rank(labels, days[:, -1], expected, np.maximum(spread, 0.01 * expected + 0.01))[0]
        name = " × ".join(_DIMENSIONS[k] for k in kept)
        right.setdefault(name, []).append(bool(np.array_equal(best.rows, rows)))
        simple.append(bool(np.array_equal(_largest(labels, days[:, -1] - days[:, -2]), rows)))
    every = [one for some in right.values() for one in some]
    shares = {name: (float(np.mean(some)), len(some)) for name, some in right.items()}
    return Named(float(np.mean(every)), float(np.mean(simple)), shares)


def _largest(labels: Sequence[tuple[str, ...]], change: Scores) -> NDArray[np.intp]:
    best: tuple[float, NDArray[np.intp]] = (-np.inf, np.array([], np.intp))
    for column in zip(*labels, strict=True):
        names, of = np.unique(np.array(column), return_inverse=True)
        sums = np.bincount(of, change, len(names))
        place = int(sums.argmax())
        if sums[place] > best[0]:
            best = float(sums[place]), np.flatnonzero(of == place)
    return best[1]
