"""Anomalies: what is found, what is told that was nothing, how soon, how fast, and whether the cause is named."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks import process
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale

_SERIES, _DAYS = 100_000, 90


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """On unseen seeds, and in a shifted world. Rates are written so that less is better. Full scale writes the page."""
    # numpy is not loaded by those who measure something else
    from benchmarks.detection import page, rivals, trials
    from benchmarks.detection.events import bill
    from benchmarks.detection.world import SHIFT, World

    full = scale.heavy_rounds > 2
    home = World() if full else World(series=150)
    shifted = SHIFT if full else World(families=SHIFT.families, first=SHIFT.first, series=150)
    seeds = trials.UNSEEN if full else trials.UNSEEN[:1]
    bills = [bill(home, seed) for seed in seeds]
    tables = {}
    found = {"ours": trials.flagged(rivals.ours, bills)}
    found |= {name: trials.flagged(rival, bills) for name, rival in rivals.RIVALS.items()}
    ours, peer = found["ours"], "z-score, 30 days, 3 sd"
    theirs = found[peer]
    note = f"seeds {', '.join(map(str, seeds))}, {home.series} series each, {sum(ours.events.values())} events"
    yield Line("detection: 1 − event F1", _one(1 - ours.f1), peer, _one(1 - theirs.f1), Target(value=0.10), note)
    what, false = "detection: false alarms per 1,000 series-months", 1000 * ours.false_per_month
    yield Line(what, _one(false, "a"), peer, _one(1000 * theirs.false_per_month, "a"), Target(value=8))
    tables["detectors"] = page.detectors(found)

    sums = trials.with_sums(bills[:3])
    tables["kinds"] = page.kinds({**found, "ours, lines and sums": sums.marks})
    rate = f"{sums.false_sums_per_month:.3f}"
    tables["sums"] = f"Sums alone have {rate} false alarms per sum and month: lines that begin, for the most part."
    what = "detection: false alarms of sums per 1,000 sum-months"
    yield Line(what, _one(1000 * sums.false_sums_per_month, "a"))
    for kind, least in (("forgotten", 0.80), ("price", 0.90)):
        what = f"detection: {kind} missed, with sums"
        yield Line(what, _one(1 - sums.marks.of(kind)), peer, _one(1 - theirs.of(kind)), Target(value=1 - least))

    moved = [bill(shifted, seed) for seed in trials.SHIFTED_SEEDS[: 3 if full else 1]]
    away = {"ours": trials.flagged(rivals.ours, moved)}
    away |= {name: trials.flagged(rival, moved) for name, rival in rivals.RIVALS.items()}
    tables["shifted"] = page.detectors(away)
    yield Line("detection, shifted world: 1 − event F1", _one(1 - away["ours"].f1), peer, _one(1 - away[peer].f1))

    yield from _forest(bill(World(series=30 if full else 6), seeds[0]), tables)

    total, wrong = trials.drops(bills[0])
    yield Line("detection: drop alarms per 1,000 series-months", _one(1000 * total, "a"), target=Target(value=50))
    yield Line("detection: false ones among them", _one(1000 * wrong, "a"), target=Target(value=20))

    late = trials.late(World(series=400 if full else 60))
    tables["late"] = page.detectors({"as it arrives, one-sided": late.early, "waiting three days": late.waiting})
    tables["late-kinds"] = page.delays(late.early)
    yield Line("detection under late data: delay", _one(late.early.delay, "days"), target=Target(value=2.5))

    named = trials.named(300 if full else 60)
    rows = [(name, f"{share:.2f}", str(count)) for name, (share, count) in sorted(named.by_slice.items())]
    tables["causes"] = page.grid(("the change lies in one", "named exactly, first", "trials"), rows)
    what, alone = "causes: not named exactly first", "largest single label"
    yield Line(what, _one(1 - named.ours), alone, _one(1 - named.largest_label), Target(value=0.08))

    count = _SERIES if full else _SERIES // 10
    ended = process.run("benchmarks.detection.speed", count, scale.rounds)
    seconds = Figure.of([float(line) for line in ended.printed.split()], "s of CPU")
    yield Line(f"detection: a poll of {count:,} series × {_DAYS} days, one core", seconds, target=Target(value=1))
    yield Line("detection: memory of that process", _one(ended.peak, "MiB"), target=Target(value=400))
    tables["speed"] = page.grid(
        ("series × days", "CPU, one core", "memory"), [(f"{count:,} × {_DAYS}", str(seconds), f"{ended.peak:.0f} MiB")]
    )
    if full:
        page.write(tables)


def _forest(small: object, tables: dict[str, str]) -> Iterator[Outcome]:
    """The slow one, on a few series."""
    from benchmarks.detection import page, rivals, trials
    from benchmarks.detection.events import Bill

    assert isinstance(small, Bill)
    if find_spec("sklearn") is None:
        yield Skipped("Isolation Forest", "pip install scikit-learn")
        return
    found = {
        "ours": trials.flagged(rivals.ours, [small]),
        "Isolation Forest, 5 %": trials.flagged(rivals.forest, [small]),
    }
    tables["forest"] = page.detectors(found)
    ours, theirs = (1 - marks.f1 for marks in found.values())
    what = f"detection, {len(small.costs)} series: 1 − event F1"
    yield Line(what, _one(ours), "Isolation Forest", _one(theirs))


def _one(value: float, unit: str = "") -> Figure:
    return Figure.of([float(value)], unit)
