"""How long Prometheus takes for the slowest query of any panel, over the demo and thirteen months of history."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import timedelta

from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale
from tests.dashboards import boards
from tests.dashboards.boards import Target as Query
from tests.dashboards.estate import Estate, filled

LIMIT = Target(value=300)
YEAR = 400 * 86400.0


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Every query as the dashboard is opened, and over a year."""
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        yield Skipped("panel queries", "install the Debian package prometheus")
        return
    folder = scale.folder / "dashboards"
    folder.mkdir()
    # A day of scrapes, one a minute, unless in a hurry.
    with filled(folder, (timedelta(days=2),), minutes=scale.dashboard_minutes) as estate:
        yield _slowest("slowest panel query, as opened", estate, scale, None)
        yield _slowest("slowest panel query, thirteen months", estate, scale, YEAR)


def _slowest(what: str, estate: Estate, scale: Scale, seconds: float | None) -> Line:
    took: dict[str, list[float]] = {}
    for name in boards.NAMES:
        span = boards.span(name)
        chosen = boards.defaults(estate.server, name, estate.now, span)
        for target in boards.targets(name):
            took[target.id] = [_once(estate, target, chosen, seconds or span) for _ in range(scale.rounds)]
    slowest = max(took, key=lambda one: Figure.of(took[one], "ms").median)
    return Line(what, Figure.of(took[slowest], "ms"), target=LIMIT, note=f"{slowest}; of {len(took)} queries")


def _once(estate: Estate, target: Query, chosen: boards.Chosen, seconds: float) -> float:
    began = time.perf_counter()
    boards.asked(estate.server, target, chosen, estate.now, seconds)
    return (time.perf_counter() - began) * 1e3
