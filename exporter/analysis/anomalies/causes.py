"""Which slice of a bill explains a change: the widest one whose parts all moved, and no part that did not.

For each conjunction of labels (an account; a service in a region; …): how much likelier are today's amounts if all its
lines grew by one factor, give or take a third, than if nothing happened? A line that did grow adds to that, a line that
did not takes away, so a slice that is too wide loses, and so does one that is too narrow. Residuals have heavy tails
(Student's t, four degrees): one wild line does not outvote the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.series import ALL

Floats = NDArray[Any]

_FACTORS = (0.1, 0.15, 0.22, 0.33, 0.5, 0.75, 1.1, 1.6, 2.4, 3.6, 6.0, 12.0)
_APART = 0.3
"""Lines of one cause grow by factors that differ so much, as a share of the growth."""
_FREEDOM = 4.0
_NEW_COSTS = 1.5
"""What a new line must bring to count: chance makes new lines too."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A slice, and how well it explains a change."""

    words: tuple[str, ...]
    """A value per dimension, or `all`."""
    likelihood: float
    """Logarithm of the ratio, less what so many slices could reach by chance."""
    rows: NDArray[np.intp]
    """Its lines."""


def rank(
    labels: Sequence[tuple[str, ...]], actual: Floats, expected: Floats, spread: Floats, among: int = 5
) -> list[Cause]:
    """The likeliest slices, the best first: up to `among` of each combination of dimensions.

    `labels`: one tuple of words per line, all of one length. Of slices with the same lines the shortest is kept.
    """
    gains = _gains(np.asarray(actual, float), np.asarray(expected, float), np.asarray(spread, float))
    columns = [np.unique(np.array(column), return_inverse=True)[1] for column in zip(*labels, strict=True)]
    found: dict[bytes, Cause] = {}
    for count in range(len(columns) + 1):
        for kept in combinations(range(len(columns)), count):
            slices, of = _slices([columns[dimension] for dimension in kept], len(labels))
            sums = np.array([np.bincount(of, gain, slices) for gain in gains]).max(axis=0) - np.log(slices)
            for place in np.argsort(-sums, kind="stable")[:among]:
                rows = np.flatnonzero(of == place)
                words = tuple(word if dimension in kept else ALL for dimension, word in enumerate(labels[rows[0]]))
                same = found.get(rows.tobytes())
                if same is None or sums[place] > same.likelihood:
                    shortest = words if same is None else same.words
                    found[rows.tobytes()] = Cause(shortest, float(sums[place]), rows)
    return sorted(found.values(), key=lambda cause: (-cause.likelihood, cause.words))


def _slices(columns: Sequence[NDArray[np.intp]], lines: int) -> tuple[int, NDArray[np.intp]]:
    """How many slices these columns make, and which of them each line lies in."""
    if not columns:
        return 1, np.zeros(lines, np.intp)
    code = columns[0]
    for column in columns[1:]:
        code = code * (int(column.max(initial=0)) + 1) + column
    names, of = np.unique(code, return_inverse=True)
    return len(names), of


def _gains(actual: Floats, expected: Floats, spread: Floats) -> Floats:
    """Factor × line: log-likelihood of the line under a growth by that factor, less that without any."""
    change = actual - expected
    base = np.maximum(expected, 0)
    alone = _density(change, spread)
    grown = []
    for factor in _FACTORS:
        apart = np.sqrt(spread**2 + (_APART * factor * base) ** 2)
        grown.append(_density(change - factor * base, apart) - alone)
    # A line without a past has nothing to grow from: it is there, or it is not.
    fresh = np.where(change > 0, -alone - np.log(spread) - _NEW_COSTS, 0.0)
    return np.where(base > spread / 10, np.array(grown), fresh)


def _density(distance: Floats, scale: Floats) -> Floats:
    return -np.log(scale) - (_FREEDOM + 1) / 2 * np.log1p((distance / scale) ** 2 / _FREEDOM)
