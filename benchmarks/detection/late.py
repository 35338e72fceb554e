"""The bill as polls see it: a day arrives in parts, sometimes a whole provider a day later. Replayed poll by poll."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.events import Bill
from benchmarks.detection.rivals import WINDOW, Scores
from benchmarks.detection.world import PROVIDERS
from exporter.analysis.anomalies import judge

ARRIVED = {
    "aws": ((0.55, 0.12), (0.95, 0.03), (0.99, 0.008), (1.0, 0.002)),
    "gcp": ((0.40, 0.15), (0.90, 0.06), (0.985, 0.01), (1.0, 0.003)),
    "azure": ((0.15, 0.12), (0.70, 0.15), (0.95, 0.04), (0.995, 0.004)),
}
"""Share of a day's cost that a poll shows at its end, and one, two, three days later: mean, standard deviation."""
SETTLED = 3
"""Days after which a day is judged for good."""
LATER = 0.04
"""How often a whole provider is a day later."""


class Replay(NamedTuple):
    """What was flagged, and at which poll."""

    flags: NDArray[np.bool_]
    raised: NDArray[np.int64]
    drops: NDArray[np.bool_]


def replay(bill: Bill, ages: Sequence[int], first: int = 60) -> Replay:
    """One poll a day: days of these ages are judged, rises only until settled; each day is told once."""
    raised = np.full(bill.costs.shape, -1)
    drops = np.zeros(bill.costs.shape, bool)
    for poll in range(first, bill.costs.shape[1]):
        seen = _seen(bill, poll)
        for age in ages:
            day = poll - age
            days = seen[:, : seen.shape[1] - age].copy()
            for moving in range(2, SETTLED - age + 1):  # days before it that have not settled either
                days[:, -moving] = np.fmax(days[:, -moving], days[:, -moving - 7])
            missing = np.isnan(days[:, -1]) & np.isfinite(days[:, -8])
            days[missing, -1] = 0
            found = judge(days.astype(np.float32), bill.dates[day + 1 - days.shape[1] : day + 1])
            raised[(found.score > 1) & (raised[:, day] < 0), day] = poll
            if age >= SETTLED:
                drops[:, day] = fallen(found.drop, days[:, -1], found.expected)
    return Replay(raised >= 0, raised, drops)


def fallen(drop: Scores, actual: Scores, expected: Scores) -> NDArray[np.bool_]:
    """What is told as a drop: three days far below, the last below half."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = (drop > 1) & (actual < 0.5 * expected) & (expected - actual >= 1)
    return found


def _seen(bill: Bill, poll: int) -> Scores:
    """The last days as a poll sees them; NaN for what was not reported."""
    first = max(0, poll - WINDOW - SETTLED + 1)
    seen = bill.costs[:, first : poll + 1].copy()
    providers = np.array([labels[0] for labels in bill.labels])
    for number, provider in enumerate(PROVIDERS):
        rows = np.flatnonzero(providers == provider)
        seed = [bill.plain.seed, 36, number]
        later = np.random.default_rng([*seed, poll]).random() < LATER
        for age in range(SETTLED + 1):
            column, arrived = poll - age - first, age - later
            if arrived < 0:
                seen[rows, column] = np.nan
                continue
            mean, deviation = ARRIVED[provider][arrived]
            common = np.random.default_rng([*seed, poll - age, arrived]).normal()
            own = np.random.default_rng([*seed, poll - age, arrived, 1]).normal(size=len(rows))
            share = mean + deviation * 0.7 * (common + own)
            seen[rows, column] *= np.clip(share, 0.0, 1.0 if arrived < 2 else 1.01)
    return seen
