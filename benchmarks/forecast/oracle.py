"""Whoever knows how an invented bill is made, and all that has happened, but not what chance still has in store.

Of a series it knows level, growth, weekdays, holidays, closes, fees, where its wander and its noise stand, and every
event that has begun, to its end. It does not know how days to come wobble, on which of them a series costs that costs
on some only, credits, outages, and what has not begun. No forecast from the days before can do better for long, and
much of what it knows cannot be seen in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.detection.events import Bill
from benchmarks.detection.world import Floats, _Days, _series
from benchmarks.forecast.trials import origins

FUTURES = 9
"""So many futures are drawn of a series that costs on some days only; the middle one is said. Of others one is enough,
in which nothing wobbles."""
_ON_AND_OFF = ("intermittent", "dormant")
_SHARE_OF = 7
"""Days before another event begins that say how large the ones before it are."""


class _Anew:
    """A source of chance that draws the days before a cut as `known` does, and later ones as `other` does, or as 0."""

    def __init__(self, known: np.random.Generator, other: np.random.Generator | None, days: int, cut: int) -> None:
        self._known, self._other, self._days, self._cut = known, other, days, cut

    def __getattr__(self, name: str) -> Any:
        first = getattr(self._known, name)
        second = getattr(self._other, name) if self._other else lambda *_, **__: np.zeros(self._days)

        def drawn(*given: Any, **more: Any) -> Any:
            found = first(*given, **more)
            if np.shape(found) == (self._days,):
                found = np.concatenate([found[: self._cut], second(*given, **more)[self._cut :]])
            return found

        return drawn


def told(each: Bill, futures: int = FUTURES) -> Floats:
    """Series × origins: what is said of the days from each origin to the end of its month."""
    cuts = tuple(origins(each.dates))
    said = np.empty((len(each.costs), len(cuts)))
    for row, family in enumerate(each.plain.families):
        some = range(futures) if family in _ON_AND_OFF else (None,)
        for place, (_, cut, end) in enumerate(cuts):
            drawn = [_plain(each, row, cut, future)[cut:end].sum() for future in some]
            said[row, place] = np.median(drawn) + _begun(each, row, cut)[cut:end].sum()
    return said


def _plain(each: Bill, row: int, cut: int, future: int | None) -> Floats:
    """The days of a series without events: as they were, and from a cut on as they might have been."""
    base, world = each.plain, each.plain.world
    weights = np.array([family.weight for family in world.families.values()])
    known = np.random.default_rng([base.seed, row, 32])
    known.choice(len(weights), p=weights / weights.sum())  # as `world.plain` drew its family
    other = None if future is None else np.random.default_rng([base.seed, row, cut, future, 36])
    chance: Any = _Anew(known, other, world.days, cut)
    days = _Days.of(world, np.random.default_rng([base.seed, 31]))
    found: Floats = base.levels[row] * _series(chance, world, base.families[row], days)["cost"]
    assert np.allclose(found[:cut], base.costs[row, :cut]), "the world draws its days otherwise now"
    return found


def _begun(each: Bill, row: int, cut: int) -> Floats:
    """What the events that began before a cut add to each day. Beside later ones: as much of a day as before those."""
    found, shape = each.excess[row].copy(), each.plain.shape[row]
    later = [event.start for event in each.events if event.series == row and event.start >= cut]
    if later and found.any():
        start = min(later)
        before = slice(max(start - _SHARE_OF, 0), start)
        found[start:] = shape[start:] * float(np.median(found[before] / np.maximum(shape[before], 1e-9)))
    return np.asarray(found)
