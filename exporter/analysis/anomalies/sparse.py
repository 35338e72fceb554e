"""Series that mostly cost nothing: jobs once a week, regions that sleep. Only the days that cost are compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.anomalies.baseline import NORMAL, Array
from exporter.analysis.anomalies.tuning import Tuning

_NOTHING = np.float32(1e-9)
_LOOK_BACK = 70
_FEW = 4


def mostly_nothing(days: Array, tuning: Tuning) -> NDArray[np.bool_]:
    """Which series have no cost on more than a third of the days before the newest."""
    before = days[-(_LOOK_BACK + 1) : -1]
    known = np.maximum(np.isfinite(before).sum(axis=0), 1)
    return (np.abs(before) < _NOTHING).sum(axis=0) >= tuning.sparse * known  # type: ignore[no-any-return]


def judge_sparse(
    days: Array, twins: Sequence[int], tuning: Tuning
) -> tuple[Array, Array, Array, Array, Array, NDArray[np.int8]]:
    """Score, drop (none), expectation, standard deviation, lift (none) and scale of the newest day."""
    known = np.nan_to_num(days[-(_LOOK_BACK + 1) :])
    before, today = known[:-1], known[-1]
    costs = before > _NOTHING
    count = costs.sum(axis=0)
    usual = _median(np.where(costs, before, np.inf), count)
    off = _median(np.where(costs, np.abs(before - usual), np.inf), count)
    most = before.max(axis=0, initial=0)
    spread = np.maximum.reduce([NORMAL * off, 0.25 * usual, 0.125 * (most - usual), np.full_like(usual, tuning.least)])
    for lag in twins:
        if lag <= len(before):
            twin = before[-lag]
            again = twin > usual + 2 * spread
            spread = np.where(again, np.maximum(spread, 0.15 * twin), spread)
            usual = np.where(again, np.maximum(usual, twin), usual)
    few = count < _FEW
    spread = np.where(few, np.maximum(0.5 * most, tuning.first), spread).astype(np.float32)
    usual = np.where(few, most, usual).astype(np.float32)
    high = (today - usual) / (spread * np.float32(tuning.scales[0].threshold * tuning.sparse_rise))
    score = np.where(today > _NOTHING, high, np.minimum(high, 0)).astype(np.float32)
    none = np.full_like(score, np.nan)
    return score, none, usual, spread, none, np.ones(len(score), np.int8)


def _median(values: Array, count: NDArray[np.intp]) -> Array:
    """Of the first `count` in order; 0 of none."""
    ordered, lane = np.sort(values, axis=0), np.arange(values.shape[1])
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, len(ordered) - 1)
    with np.errstate(invalid="ignore"):
        found: Array = np.where(count > 0, (ordered[low, lane] + ordered[high, lane]) / 2, 0).astype(np.float32)
    return found
