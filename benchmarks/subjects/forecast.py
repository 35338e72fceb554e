"""Forecasts of month ends: how far off, whether intervals hold, what a series costs; on unseen seeds and elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks import process
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale

if TYPE_CHECKING:
    from benchmarks.detection.world import Floats
    from benchmarks.forecast.trials import Marks, Task

_SERIES = 100_000
_FEW, _ORIGINS = 100, 9
_MEDIAN, _BY_MONEY = Target(value=1.1), Target(value=2.3)
_TRIED = (
    "other gains of the level, 12 to 32 weeks, a line where it was better: within 0.1 points; growth of the last "
    "10 or 14 weeks alone, or a trend of the last two weeks: worse. The oracle knows how bills are made and what has "
    "begun, but no noise to come: what it misses, too, nobody can forecast. Of the rest (seeds 301 to 304) two fifths "
    "are series that are on and off"
)
_ORACLE = "oracle"


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Per cent, less is better. Quick methods see every series; packages of milliseconds a series see few."""
    # numpy is not loaded by those who measure something else
    from benchmarks.detection import page
    from benchmarks.detection.events import bill
    from benchmarks.forecast import contenders, oracle, trials

    full = scale.heavy_rounds > 2
    seeds = trials.UNSEEN if full else trials.UNSEEN[:1]
    futures = oracle.FUTURES if full else 1
    bills = [bill(trials.HOME, seed) for seed in seeds]
    home, told = [trials.task(each) for each in bills], [oracle.told(each, futures) for each in bills]
    note = f"seeds {_listed(seeds)}, {trials.HOME.series} series each, home world"
    at_home = _all(home, told)
    yield from _compared("forecast", at_home, note)
    moved = trials.SHIFTED_SEEDS if full else trials.SHIFTED_SEEDS[:1]
    others = [bill(trials.AWAY, seed) for seed in moved]
    away = _all([trials.task(each) for each in others], [oracle.told(each, futures) for each in others])
    yield from _compared("forecast, shifted world", away, f"seeds {_listed(moved)}, never used to choose anything")
    added = [trials.added(each, said) for each, said in zip(bills, told, strict=True)]
    sums = _all([trials.summed(each) for each in bills], added)
    yield from _compared("forecast of provider × service", sums, "sums of lines, what most people look at")

    # A few of one seed, as packages take their time.
    some = [trials.few(home[0], _FEW, _ORIGINS)] if full else [trials.few(home[0], 5, 1)]
    ours = trials.marked(contenders.ours, some)
    beside = {"ours": [ours]}
    for name, (package, contender) in contenders.PACKAGES.items():
        if not contenders.installed(package):
            yield Skipped(f"forecast beside {name}", f"pip install {package}")
            continue
        theirs = trials.marked(contender, some)
        beside[name] = [theirs]
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
    if full:
        tables = {"forecasts": _table(at_home), "forecasts-shifted": _table(away), "forecasts-sums": _table(sums)}
        if len(beside) > len(contenders.PACKAGES):
            tables["forecasts-packages"] = _table(beside)
        head = ("series × days", "CPU, one core", "memory")
        tables["forecasts-speed"] = page.grid(head, [(f"{count:,} × 90", str(seconds), f"{ended.peak:.0f} MiB")])
        page.write(tables)


def _all(tasks: list[Task], told: list[Floats]) -> dict[str, list[Marks]]:
    """What ours, the quick ones and the oracle are worth, seed by seed."""
    from benchmarks.forecast import contenders, trials

    found = {
        name: [trials.marked(contender, [task]) for task in tasks]
        for name, contender in {"ours": contenders.ours, **contenders.QUICK}.items()
    }
    return {**found, _ORACLE: [trials.marked_as(*each) for each in zip(tasks, told, strict=True)]}


def _compared(what: str, found: dict[str, list[Marks]], note: str) -> Iterator[Outcome]:
    """Ours beside the quick ones and the oracle."""
    ours = found["ours"]
    alone = what == "forecast"
    for name, theirs in found.items():
        if name == "ours":
            continue
        mine, its = _figure([each.median for each in ours]), _figure([each.median for each in theirs])
        yield Line(f"{what}: median error", mine, name, its, _MEDIAN if alone else Target(), note, _TRIED)
        mine, its = _figure([each.by_money for each in ours]), _figure([each.by_money for each in theirs])
        yield Line(f"{what}: error by money", mine, name, its, _BY_MONEY if alone else Target(), tried=_TRIED)
        alone, note = False, ""
    yield from _held(what, _together(ours), "", None, Target(value=2))


def _table(found: dict[str, list[Marks]]) -> str:
    """The same for the page; errors are the middle of the seeds."""
    from benchmarks.detection import page

    head = (
        "forecaster",
        "median error",
        "error by money",
        "80 % intervals hold",
        "95 % intervals hold",
        "CPU, series and origin",
    )
    rows = []
    for name, marks in found.items():
        both = _together(marks)
        errors = (_figure([each.median for each in marks]).median, _figure([each.by_money for each in marks]).median)
        held = (f"{both.coverage(level):.1f} %" if both.held[level] else "–" for level in (80, 95))
        cpu = (f"{both.milliseconds:.2f} ms" if both.milliseconds >= 0.01 else "< 0.01 ms") if both.series else "–"
        rows.append((name, *(f"{error:.2f} %" for error in errors), *held, cpu))
    return page.grid(head, rows)


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
        whole.seconds, whole.series = whole.seconds + each.seconds, whole.series + each.series
        for level, held in each.held.items():
            whole.held[level] += held
    return whole


def _figure(values: list[float]) -> Figure:
    return Figure.of(values, "%")


def _per_cent(value: float) -> Figure:
    return _figure([value])


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
