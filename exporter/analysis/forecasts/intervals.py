"""How far forecasts missed before, and so how far they may miss now.

Every model forecasts the series' own past again. The mistakes of one series say how large its next one is; the
mistakes of all series together, each in units of its own, say how often a mistake is how large (conformal prediction):
so a 95 % interval holds 95 % of the time without any belief about distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.forecasts.profile import TINY, Array

_FLOOR = 0.005
"""A mistake is at least this share of the forecast: no bill is known better."""
_BELIEF = 2.0
"""What the spread of days makes of a total counts as so many mistakes."""
_POOLED = 200.0
"""With so many mistakes of all series together, what they say counts as much as a distribution with heavy tails."""
_WIDER = (1.28, 0.6)
"""What was learned from the same past makes past mistakes too small; the more so, the farther out. Set on other bills
than those that `benchmarks/forecast` reports."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """How far each series' total may be off: one standard mistake, and past ones in units of it."""

    unit: Array
    """Series: money."""
    past: Array
    """Origins × series, actual minus forecast; NaN where there was no past to look at."""
    drawn: bool = False
    """Whether they are no past at all, but what the model itself believes: taken at its word, series by series."""

    def reach(self, kind: NDArray[np.bool_], level: float) -> tuple[Array, Array]:
        """How far below and above the forecast an interval of this level reaches, in money; both ≥ 0.

        `kind`: the series of one kind are judged together, those of the other apart.
        """
        below, above = np.zeros(len(self.unit)), np.zeros(len(self.unit))
        if self.drawn:
            low, high = np.quantile(self.past, ((1 - level) / 2, (1 + level) / 2), axis=0) * self.unit
            return np.maximum(-low, 0), np.maximum(high, 0)
        for rows in (kind, ~kind):
            if rows.any():
                known = self.past[:, rows]
                known = known[np.isfinite(known)]
                below[rows] = -_quantile(known, (1 - level) / 2) * self.unit[rows]
                above[rows] = _quantile(known, (1 + level) / 2) * self.unit[rows]
        return np.maximum(below, 0), np.maximum(above, 0)


def _quantile(mistakes: Array, share: float) -> float:
    z = NormalDist().inv_cdf(share)
    # Student's t with two degrees of freedom: few mistakes are known, and the next may be one of another kind.
    believed: float = (2 * share - 1) / (2 * share * (1 - share)) ** 0.5
    weight = len(mistakes) / (len(mistakes) + _POOLED)
    seen = (
        float(np.quantile(mistakes, share)) * (_WIDER[0] + _WIDER[1] * max(abs(z) - 1.28, 0)) if len(mistakes) else 0.0
    )
    return weight * seen + (1 - weight) * believed


def mistakes(past: Array, origins: NDArray[np.int64], days: int, noise: Array, total: Array) -> Mistakes:
    """From totals of `days` days missed at past origins (origins × series, actual minus forecast).

    `noise`: what the spread of its days makes of a total; `total`: what is forecast now.
    """
    least = np.maximum(_FLOOR * np.abs(total), TINY)
    noise = np.maximum(noise, least)
    if not len(past):
        return Mistakes(noise, past)
    size = np.minimum(np.abs(past), 3 * np.median(np.abs(past), axis=0) + 3 * noise)
    squares = size**2
    unit = np.sqrt((squares.sum(axis=0) + _BELIEF * noise**2 * len(past) / 8) / (len(past) * (1 + _BELIEF / 8)))
    # In units of what the others say: a mistake must not measure itself.
    others = (np.abs(origins[:, None] - origins[None]) >= days).astype(float)
    count = others.sum(axis=1)[:, None]
    apart = np.sqrt((others @ squares + _BELIEF * noise**2 * len(past) / 8) / (count + len(past) * _BELIEF / 8))
    return Mistakes(np.maximum(unit, least), past / np.maximum(apart, least))
