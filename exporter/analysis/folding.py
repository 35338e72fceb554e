"""Which lines of a bill are shown by name, and which are folded into `other`.

Prometheus pays for every series for as long as it is kept, so each source has a limit. The largest lines are shown;
the rest is summed into one line per provider, so that totals stay exact. Membership is sticky: a line that hovers
around the limit would otherwise appear and vanish at every poll, and leave a graph full of holes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from exporter.costs import Line

OTHER = "other"
"""Account, service and region of what is folded."""

_ENTER = Decimal("0.9")
_LEAVE = Decimal("1.1")


def choose(sizes: Mapping[Line, Decimal], kept: Collection[Line], limit: int) -> frozenset[Line]:
    """The lines to show: at most `limit`, by size, those of `kept` preferred.

    A line enters when it is among the first 90 % of the limit, or while there is room; it leaves when it falls behind
    110 %, or when one that enters needs its place.
    """
    if len(sizes) <= limit:
        return frozenset(sizes)
    # One place is for `other` itself; each provider more has one on top.
    places = max(limit - 1, 0)
    ranked = sorted(sizes, key=lambda line: (-sizes[line], line))
    rank = {line: number for number, line in enumerate(ranked, start=1)}
    members = {line for line in kept if line in rank and rank[line] <= _LEAVE * places}
    sure = [line for line in ranked if rank[line] <= _ENTER * places and line not in members]
    loyal = sorted(members, key=rank.__getitem__)[: places - len(sure)]
    chosen = {*sure, *loyal}
    chosen.update([line for line in ranked if line not in chosen][: places - len(chosen)])
    return frozenset(chosen)


def folded(line: Line, shown: Collection[Line]) -> Line:
    """The line itself where it is shown, else the `other` of its provider."""
    return line if line in shown else (line[0], OTHER, OTHER, OTHER)
