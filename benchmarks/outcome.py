"""What came out: a line per claim, ours beside the peer's, and the target beside both."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

_HEAD = ("", "ours", "peer", "", "ours / peer", "target", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing, measured several times."""

    values: tuple[float, ...]
    unit: str

    @classmethod
    def of(cls, values: Iterable[float], unit: str) -> Figure:
        """What was measured, in the order of the rounds."""
        return cls(tuple(values), unit)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        middle = _number(self.median)
        if len(self.values) == 1:
            return f"{middle} {self.unit}"
        return f"{middle} {self.unit} ({_number(min(self.values))}–{_number(max(self.values))})"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the peer's, round by round; below one we are the quicker or the smaller."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, ours: Figure, theirs: Figure) -> Ratio:
        """Rounds are pairs where both were measured in turns; else the medians are compared."""
        if len(ours.values) == len(theirs.values):
            pairs = zip(ours.values, theirs.values, strict=True)
            return cls(tuple(mine / its if its else float("inf") for mine, its in pairs))
        return cls((ours.median / theirs.median,))

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        middle = times(self.median)
        if len(self.values) == 1:
            return middle
        return f"{middle} ({times(min(self.values))}–{times(max(self.values))})"


@dataclass(frozen=True, slots=True)
class Target:
    """What a line has to reach: at most so much of the peer (`ratio`), or at most so much (`value`), or neither."""

    ratio: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One claim, measured."""

    what: str
    ours: Figure
    peer: str = ""
    theirs: Figure | None = None
    target: Target = field(default_factory=Target)
    note: str = ""
    """Said under the table."""
    tried: str = ""
    """Said where the target is not reached: what was done about it."""

    @property
    def ratio(self) -> Ratio | None:
        """Ours over the peer's; None without a peer."""
        return None if self.theirs is None else Ratio.of(self.ours, self.theirs)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target.value is not None:
            return self.ours.median <= self.target.value
        if self.target.ratio is not None and self.ratio is not None:
            return self.ratio.median <= self.target.ratio
        return None

    def record(self) -> dict[str, Any]:
        """The line for programs."""
        return {
            "what": self.what,
            "unit": self.ours.unit,
            "ours": self.ours.values,
            "peer": self.peer or None,
            "theirs": self.theirs.values if self.theirs else None,
            "ratio": self.ratio.median if self.ratio else None,
            "target_ratio": self.target.ratio,
            "target_value": self.target.value,
            "reached": self.reached,
            "note": self.note or None,
            "tried": self.tried or None,
        }

    def _cells(self) -> tuple[str, ...]:
        wanted = ""
        if self.target.value is not None:
            wanted = f"≤ {_number(self.target.value)} {self.ours.unit}"
        elif self.target.ratio is not None:
            wanted = f"≤ {times(self.target.ratio)}"
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[self.reached]
        return (self.what, str(self.ours), self.peer, str(self.theirs or ""), str(self.ratio or ""), wanted, verdict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be measured here, and what it takes."""

    what: str
    why: str

    def record(self) -> dict[str, Any]:
        """The line for programs."""
        return {"what": self.what, "skipped": self.why}


Outcome = Line | Skipped


def table(outcomes: Iterable[Outcome]) -> str:
    """The lines for people: medians, smallest and largest in brackets; then notes and what was left out."""
    known = list(outcomes)
    lines = [outcome for outcome in known if isinstance(outcome, Line)]
    parts = [_aligned([_HEAD, *(line._cells() for line in lines)])] if lines else []  # noqa: SLF001
    parts += [f"{line.what}: {line.note}" for line in lines if line.note]
    parts += [f"{outcome.what}: skipped: {outcome.why}" for outcome in known if isinstance(outcome, Skipped)]
    return "\n".join(parts)


def times(ratio: float) -> str:
    """A ratio as people say it: ×3.2, or 1/850."""
    if ratio >= 0.095:
        return f"×{_number(ratio)}"
    return f"1/{1 / ratio:,.0f}" if ratio > 0 else "0"


def _number(value: float) -> str:
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (rows[0], rule, *rows[1:])
    )
