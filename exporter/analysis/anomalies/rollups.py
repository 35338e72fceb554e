"""Sums of lines: every service, region and account, and their combinations, within one source, vendor and currency.

A price that rises by a tenth is lost in the noise of each line and plain in their sum; so are many small rises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.series import ALL, Scope, Series

Floats = NDArray[Any]

_DIMENSIONS = (2, 3, 4)
"""Places of account, service and region in a scope."""
_LEAST_LINES, _VOTE, _SURE = 5, 3.0, 6.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A scope and its lines."""

    scope: Scope
    rows: NDArray[np.intp]
    """Of the series."""

    @property
    def line(self) -> bool:
        """Whether it is a single line of the bill."""
        return len(self.rows) == 1


def groups(series: Series) -> Iterator[NDArray[np.intp]]:
    """The rows of each source, vendor and currency: what may be added."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for row, scope in enumerate(series.scopes):
        found.setdefault((scope.source, scope.provider, scope.currency), []).append(row)
    yield from (np.array(rows) for rows in found.values())


def named(series: Series, rows: NDArray[np.intp]) -> Scope:
    """What these lines have in common; `all` where they differ."""
    words = (set(column) for column in zip(*(series.scopes[row] for row in rows), strict=True))
    return Scope(*(word.pop() if len(word) == 1 else ALL for word in words))


def slices(series: Series, rows: NDArray[np.intp], *, sums: bool = True) -> Iterator[Slice]:
    """Each line of a group, and with `sums` each combination of labels that holds more than one, none of them twice."""
    for row in rows:
        yield Slice(series.scopes[row], np.array([row]))
    if not sums:
        return
    seen = set()
    for count in range(len(_DIMENSIONS)):
        for kept in combinations(_DIMENSIONS, count):
            parts: dict[tuple[str, ...], list[int]] = {}
            for row in rows:
                parts.setdefault(tuple(series.scopes[row][place] for place in kept), []).append(row)
            for members in parts.values():
                if len(members) > 1 and (key := tuple(members)) not in seen:
                    seen.add(key)
                    found = np.array(members)
                    yield Slice(named(series, found), found)


def summed(values: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Day by day; NaN before the first of them began."""
    part = values[rows]
    if len(rows) == 1:
        return part[0]  # type: ignore[no-any-return]
    total = np.nansum(part, axis=0)
    return np.where(np.isnan(part).all(axis=0), np.nan, total)


def together(lifts: Floats) -> float:
    """How sure it is that the lines of a slice rose together, over the threshold; 0 for fewer than five of them.

    A price that rises by a tenth is no event in any line, and in a sum it drowns in the noise of the largest. Each
    line has one vote here, by how far its last days lie above what they should have cost, whatever it costs.
    """
    known = lifts[np.isfinite(lifts)]
    if len(known) < _LEAST_LINES:
        return 0.0
    return float(np.clip(known, -_VOTE, _VOTE).sum() / len(known) ** 0.5 / _SURE)
