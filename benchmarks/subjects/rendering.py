"""Turning 100 k series into text.

Labels come as new strings each round, as they come from the store; nothing is kept from one rendering to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import generate_latest

from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.peers.gauges import collected, gauges
from benchmarks.scale import Scale
from benchmarks.series import families
from benchmarks.timing import in_turns, milliseconds
from exporter.gzipped import compressed
from exporter.metrics.exposition import Family, render

SERIES = 100_000


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Ours against `generate_latest`, of gauges and of ready-made families."""
    series = families(SERIES)
    body = render(series)
    of_gauges, of_families = gauges(series), collected(series)
    took = in_turns(
        {
            "ours": lambda: _rendering(list(map(_afresh, series))),
            "gauges": lambda: milliseconds(lambda: generate_latest(of_gauges)),
            "families": lambda: milliseconds(lambda: generate_latest(of_families)),
            "compressed": lambda: milliseconds(lambda: compressed(body)),
        },
        scale.rounds,
    )
    ours, whole = Figure.of(took["ours"], "ms"), [a + b for a, b in zip(took["ours"], took["compressed"], strict=True)]
    theirs = Figure.of(took["gauges"], "ms")
    yield Line("render 100 k series", ours, "generate_latest, gauges", theirs, Target(ratio=1 / 8))
    ready = Figure.of(took["families"], "ms")
    yield Line("render 100 k series", ours, "generate_latest, ready families", ready)
    yield Line("render and compress 100 k", Figure.of(whole, "ms"), "generate_latest, plain", theirs)


def _rendering(series: list[Family]) -> float:
    return milliseconds(lambda: render(series))


def _afresh(family: Family) -> Family:
    """The same family, its strings made anew and summed under their labels, as the lines of a bill are."""
    sums = {tuple(value.encode().decode() for value in labels): amount for labels, amount in family.samples}
    return Family(family.spec, list(sums.items()))
