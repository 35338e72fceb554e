"""Event by event: what was found, how late, and what was told that was nothing.

An alert is a run of flagged days; gaps of up to two days are closed, and a run counts anew each week, so that flagging
everything pays for it. An event is found when one of its days is flagged until `hit_end`. An alert is false when it
begins outside of every event of its series. Young data counts for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.events import Bill

Flags = NDArray[np.bool_]

_GAP, _WEEK = 2, 7


@dataclass(slots=True)
class Marks:
    """Counts over one or more bills."""

    found: dict[str, int] = field(default_factory=dict)
    """Kind → events found."""
    events: dict[str, int] = field(default_factory=dict)
    false: int = 0
    months: float = 0.0
    """Series-months judged."""
    delays: dict[str, list[float]] = field(default_factory=dict)
    """Kind → days from an event's first day, of those found."""

    @property
    def recall(self) -> float:
        return sum(self.found.values()) / max(sum(self.events.values()), 1)

    @property
    def precision(self) -> float:
        hits = sum(self.found.values())
        return hits / max(hits + self.false, 1)

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def false_per_month(self) -> float:
        return self.false / max(self.months, 1e-9)

    @property
    def delay(self) -> float:
        return float(np.mean(self._all_delays)) if self.delays else float("nan")

    @property
    def half(self) -> float:
        """Days by which half of what was found was told."""
        return float(np.median(self._all_delays)) if self.delays else float("nan")

    @property
    def _all_delays(self) -> list[float]:
        return [delay for some in self.delays.values() for delay in some]

    def of(self, kind: str) -> float:
        """Recall of one kind."""
        return self.found.get(kind, 0) / max(self.events.get(kind, 0), 1)


def mark(bills: Iterable[tuple[Bill, Flags]], seen: Mapping[int, NDArray[np.int64]] | None = None) -> Marks:
    """What flags are worth. `seen`: bill number → day on which each flag was raised, where that is not its own day."""
    marks = Marks()
    for number, (bill, flags) in enumerate(bills):
        flags = flags & bill.judged
        marks.months += bill.judged.sum() / 30
        zones: dict[int, list[tuple[int, int]]] = {}
        for event in bill.events:
            zones.setdefault(event.series, []).append((event.start, event.neutral_end))
            marks.events[event.kind] = marks.events.get(event.kind, 0) + 1
            days = np.flatnonzero(flags[event.series, event.start : event.hit_end + 1])
            if len(days):
                marks.found[event.kind] = marks.found.get(event.kind, 0) + 1
                raised = seen[number][event.series, event.start + days].min() if seen else event.start + days[0]
                marks.delays.setdefault(event.kind, []).append(float(raised - event.start))
        for row in np.flatnonzero(flags.any(axis=1)):
            inside = zones.get(int(row), [])
            marks.false += sum(not any(a <= begin <= b for a, b in inside) for begin in runs(flags[row]))
    return marks


def runs(flags: Flags) -> Iterator[int]:
    """The day on which each alert begins."""
    begin = last = -_WEEK * 100
    for day in np.flatnonzero(flags):
        if day - last > _GAP + 1 or day - begin >= _WEEK:
            begin = int(day)
            yield begin
        last = int(day)
