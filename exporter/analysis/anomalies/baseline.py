"""What a series costs on a plain day, and how much its days differ: weekday factors, growth, spread, clumping.

All arrays are days × series, float32, without NaN. The statistics are medians, so that what was odd before does not
decide what is odd now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.anomalies.order import ascending, middle, middle_of
from exporter.analysis.anomalies.tuning import Tuning

Array = NDArray[np.float32]

WEEK = 7
NORMAL = np.float32(1.4826)
"""From the median distance to the standard deviation of a normal distribution."""
_LEAST_FACTOR = np.float32(0.2)
_TINY = np.float32(1e-9)
_LATE = 4
"""Weeks in which a decline must still go on."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The plain days of a group of series, learned from a reference that ends before the days that are judged."""

    factors: Array
    """Weekday × series, mean 1; the first row is the weekday of the reference's first day."""
    growth: Array
    """Change a day, as a share of the level."""
    growth_error: Array
    """Its standard error."""
    spread: Array
    """Standard deviation of a day without its weekday factor."""
    tails: Array
    """How much oftener than a normal day's its distances are large: 0 for the normal distribution, 1 for Student's t
    with four degrees, give or take one."""
    clumping: Array
    """How many times more the mean of some days varies than if days knew nothing of each other."""

    @property
    def divisors(self) -> Array:
        """The factors, where one divides by them: a weekday that costs next to nothing is not blown up."""
        return np.maximum(self.factors, _LEAST_FACTOR)

    def leveled(self, plain: Array) -> Array:
        """Days without their weekday factors, moved along the growth to the last of them."""
        ages = np.arange(len(plain) - 1, -1, -1, dtype=np.float32)
        return plain * (1 + self.growth * ages[:, None])


def fit(reference: Array, usual: Sequence[int], tuning: Tuning) -> tuple[Baseline, Array]:
    """The baseline of whole weeks, and their days without weekday factors.

    `usual`: the days that say how much days differ. At the edges of months they differ for reasons of their own.
    """
    days, series = reference.shape
    blocks = reference.reshape(days // WEEK, WEEK, series)
    factors = _weekdays(blocks)
    plain: Array = (blocks / np.maximum(factors, _LEAST_FACTOR)).astype(np.float32, copy=False)
    weekly = middle(ascending(plain.transpose(1, 0, 2).copy(), middle_of(WEEK)))
    growth, error = _growth(weekly, tuning)
    off: Array = (plain - weekly[:, None]).reshape(days, series)[usual]
    # Dips are holidays and outages, which say nothing about how far up a plain day goes.
    place = min(int(tuning.tail * len(off)), len(off) - 2)
    tail = ascending(off.copy(), (place,))[place] / np.float32(tuning.tail_normal)
    typical = NORMAL * middle(ascending(np.abs(off), middle_of(len(off))))
    spread = np.sqrt(np.float32(tuning.spread_typical) * typical**2 + np.float32(tuning.spread_tail) * tail**2)
    tails = _tails(off, np.maximum(typical, tail), tuning)
    baseline = Baseline(factors, growth, error, spread, tails, _clumping(plain, weekly, typical, tuning))
    return baseline, plain.reshape(days, series).astype(np.float32, copy=False)


def _weekdays(blocks: Array) -> Array:
    """Weekday factors, shrunk towards one by how little the weeks agree about them."""
    weeks, _, series = blocks.shape
    mean = blocks.mean(axis=1, keepdims=True)
    known = mean > _TINY
    ratio = np.where(known, blocks / np.where(known, mean, np.float32(1)), np.float32(1))
    factors = np.maximum(middle(ascending(ratio.copy(), middle_of(weeks))), np.float32(0))
    average = factors.mean(axis=0)
    factors = factors / np.where(average > _TINY, average, np.float32(1))
    off = np.abs(ratio - factors).reshape(-1, series)
    # 1.25: what a median loses against a mean.
    noise = (np.float32(1.25) * NORMAL * middle(ascending(off, middle_of(len(off))))) ** 2 / np.float32(
        max(weeks - 0.5, 0.5)
    )
    between = ((factors - np.float32(1)) ** 2).mean(axis=0)
    trust = np.clip(1 - noise / np.maximum(between, np.float32(1e-12)), 0, 1)
    shrunk: Array = (1 + trust * (factors - 1)).astype(np.float32)
    return shrunk


def _growth(weekly: Array, tuning: Tuning) -> tuple[Array, Array]:
    """Growth a day as a share of the level, and its standard error: Theil and Sen's median of slopes, of ratios.

    A growth that its own error could have made is shrunk towards none.
    """
    weeks, series = weekly.shape
    if weeks < 3:
        nothing = np.zeros(series, np.float32)
        return nothing, nothing + np.float32(tuning.growth_unknown)
    apart = max(1, weeks // 3)
    pairs = [(i, j) for i in range(weeks) for j in range(i + apart, weeks)]
    growth = middle(ascending([_ratio(weekly[i], weekly[j], WEEK * (j - i)) for i, j in pairs], middle_of(len(pairs))))
    ages = [np.float32(WEEK * (week - (weeks - 1) / 2)) for week in range(weeks)]
    level = [weekly[week] / np.maximum(1 + growth * age, np.float32(0.1)) for week, age in enumerate(ages)]
    center = middle(ascending([row.copy() for row in level]))
    off = NORMAL * middle(ascending([np.abs(row - center) for row in level])) / np.maximum(center, _TINY)
    # The error of a least-squares slope through so many weeks, a third more for its being a median.
    error = np.maximum(off * np.float32(1.3 * (12 / weeks**3) ** 0.5 / WEEK), np.float32(tuning.growth_error))
    growth = np.clip(growth, -np.float32(tuning.growth_most), np.float32(tuning.growth_most))
    growth = growth**3 / (growth**2 + error**2)
    if weeks > _LATE:
        # One fall, and level weeks since, are no decline.
        since = [(i, j) for i in range(weeks - _LATE, weeks) for j in range(i + 2, weeks)]
        late = middle(
            ascending([_ratio(weekly[i], weekly[j], WEEK * (j - i)) for i, j in since], middle_of(len(since)))
        )
        growth = np.where(growth < 0, np.minimum(np.maximum(growth, late), np.float32(0)), growth)
    # A decline ends some day, and that is no rise.
    return np.where(growth < 0, growth * np.float32(tuning.decline), growth), error


def _ratio(before: Array, after: Array, days: int) -> Array:
    between = (before + after) * np.float32(0.5 * days)
    known = between > _TINY
    return np.where(known, (after - before) / np.where(known, between, np.float32(1)), np.float32(0))


def _tails(off: Array, spread: Array, tuning: Tuning) -> Array:
    """The logarithm of how much likelier Student's t with four degrees is than a normal distribution, a day."""
    off = np.clip(off / np.maximum(spread, _TINY), np.float32(-3), np.float32(4))
    off *= off
    gain = (np.float32(0.5) * off - np.float32(2.5) * np.log1p(np.float32(0.25) * off)).mean(axis=0)
    least, most = tuning.tails_range
    found: Array = np.clip((gain - np.float32(tuning.tails_usual)) * 10, np.float32(least), np.float32(most))
    return found


def _clumping(plain: Array, weekly: Array, typical: Array, tuning: Tuning) -> Array:
    """From how much each day has of the day before it, around a line through the weeks."""
    weeks, _, series = plain.shape
    if weeks < 4:
        return np.full(series, tuning.clumping, np.float32)
    padded = np.concatenate([weekly[:1], weekly, weekly[-1:]])
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(3)
    days = np.arange(weeks * WEEK)
    before = np.clip((days - WEEK // 2) // WEEK, 0, weeks - 2)
    part = np.clip((days - WEEK // 2) / WEEK - before, 0, 1).astype(np.float32)[:, None]
    off = plain.reshape(-1, series) - smooth[before] * (1 - part) - smooth[before + 1] * part
    off = np.clip(off / np.maximum(typical, _TINY), np.float32(-2.5), np.float32(2.5))
    off -= off.mean(axis=0)
    memory = (off[1:] * off[:-1]).mean(axis=0) / np.maximum((off * off).mean(axis=0), _TINY)
    clumping = np.float32(tuning.clumping) * (1 + np.float32(tuning.clumping_memory) * (memory - np.float32(0.2)))
    least, most = tuning.clumping_range
    limited: Array = np.clip(clumping, np.float32(least), np.float32(most))
    return limited
