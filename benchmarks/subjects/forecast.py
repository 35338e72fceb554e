"""Forecasts of month ends: how far off, whether intervals hold, what a series costs; on unseen seeds and elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks import process
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale

if TYPE_CHECKING:
    from benchmarks.forecast.trials import Marks, Task

_SERIES = 100_000
_FEW, _ORIGINS = 100, 9
_MEDIAN, _BY_MONEY = Target(value=1.1), Target(value=2.3)
_TRIED = (
    "other gains of the level, 12 to 32 weeks, a line where it was better: within 0.1 points; growth of the last "
    "10 or 14 weeks alone: worse. A quarter to a half of it is missed by whoever knows all noise but not what has not "
    "begun; a fifth (seeds 301 to 304) are series that slept and woke; a quiet year's end shows in no half year before"
)


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Per cent, less is better. Quick methods see every series; packages of milliseconds a series see few."""
    # numpy is not loaded by those who measure something else
    from benchmarks.detection.events import bill
    from benchmarks.forecast import contenders, trials

    full = scale.heavy_rounds > 2
    seeds = trials.UNSEEN if full else trials.UNSEEN[:1]
    home = list(trials.tasks(trials.HOME, seeds))
    yield from _compared("forecast", home, f"seeds {_listed(seeds)}, {trials.HOME.series} series each, home world")
    moved = trials.SHIFTED_SEEDS if full else trials.SHIFTED_SEEDS[:1]
    away = list(trials.tasks(trials.AWAY, moved))
    yield from _compared("forecast, shifted world", away, f"seeds {_listed(moved)}, never used to choose anything")
    sums = [trials.summed(bill(trials.HOME, seed)) for seed in seeds]
    yield from _compared("forecast of provider × service", sums, "sums of lines, what most people look at")

    # A few of one seed, as packages take their time.
    some = [trials.few(home[0], _FEW, _ORIGINS)] if full else [trials.few(home[0], 5, 1)]
    ours = trials.marked(contenders.ours, some)
    for name, (package, contender) in contenders.PACKAGES.items():
        if not contenders.installed(package):
            yield Skipped(f"forecast beside {name}", f"pip install {package}")
            continue
        theirs = trials.marked(contender, some)
        what = f"forecast of {some[0].costs.shape[0]} series"
        yield Line(f"{what}: median error", _per_cent(ours.median), name, _per_cent(theirs.median))
        yield Line(f"{what}: error by money", _per_cent(ours.by_money), name, _per_cent(theirs.by_money))
        yield from _held(what, ours, name, theirs, Target())
        took = Figure.of([ours.milliseconds], "ms of CPU")
        yield Line(f"{what}: a series", took, name, Figure.of([theirs.milliseconds], "ms of CPU"))

    count = _SERIES if full else _SERIES // 10
    ended = process.run("benchmarks.forecast.speed", count, scale.heavy_rounds)
    seconds = Figure.of([float(line) for line in ended.printed.split()], "s of CPU")
    yield Line(f"forecast: {count:,} series × 90 days with intervals, one core", seconds, target=Target(value=15))
    yield Line("forecast: memory of that process", Figure.of([ended.peak], "MiB"), target=Target(value=400))


def _compared(what: str, tasks: list[Task], note: str) -> Iterator[Outcome]:
    """Ours beside the quick ones, seed by seed."""
    from benchmarks.forecast import contenders, trials

    ours = [trials.marked(contenders.ours, [task]) for task in tasks]
    alone = what == "forecast"
    for name, contender in contenders.QUICK.items():
        theirs = [trials.marked(contender, [task]) for task in tasks]
        mine, its = _figure([each.median for each in ours]), _figure([each.median for each in theirs])
        yield Line(f"{what}: median error", mine, name, its, _MEDIAN if alone else Target(), note, _TRIED)
        mine, its = _figure([each.by_money for each in ours]), _figure([each.by_money for each in theirs])
        yield Line(f"{what}: error by money", mine, name, its, _BY_MONEY if alone else Target(), tried=_TRIED)
        alone, note = False, ""
    least = _figure([trials.all_knowing([task]).by_money for task in tasks])
    mine = _figure([each.by_money for each in ours])
    yield Line(f"{what}: error by money", mine, "who knows all but what has not begun", least)
    both = _together(ours)
    yield from _held(what, both, "", None, Target(value=2))


def _held(what: str, ours: Marks, peer: str, theirs: Marks | None, target: Target) -> Iterator[Outcome]:
    """How far the share of totals within their interval is from what the interval promises."""
    for level, allowed in ((80, 2.0), (95, 1.5)):
        of_peer = theirs and theirs.held[level]
        wanted = Target(value=allowed) if target.value is not None else Target()
        note = f"{ours.coverage(level):.1f} % held" + (
            f", {peer} {theirs.coverage(level):.1f} %" if of_peer and theirs else ""
        )
        its = Figure.of([abs(theirs.coverage(level) - level)], "points") if of_peer and theirs else None
        mine = Figure.of([abs(ours.coverage(level) - level)], "points")
        yield Line(f"{what}: {level} % intervals off by", mine, peer if its else "", its, wanted, note)


def _together(some: list[Marks]) -> Marks:
    from benchmarks.forecast.trials import Marks

    whole = Marks()
    for each in some:
        for level, held in each.held.items():
            whole.held[level] += held
    return whole


def _figure(values: list[float]) -> Figure:
    return Figure.of(values, "%")


def _per_cent(value: float) -> Figure:
    return _figure([value])


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
