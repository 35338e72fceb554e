"""The tables of docs/explanation/how-anomalies-are-found.md, between their marks; the words around them stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.detection.marks import Marks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "how-anomalies-are-found.md"


def write(tables: Mapping[str, str]) -> None:
    """Put each table between `<!-- name -->` and `<!-- end -->`."""
    text = PAGE.read_text()
    for name, table in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        assert begin, f"{PAGE.name} has no place for {name}"
        text = f"{before}{begin}\n{table}\n\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    PAGE.write_text(text)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def detectors(found: Mapping[str, Marks]) -> str:
    """Detectors side by side."""
    head = ("detector", "precision", "recall", "event F1", "false alarms per series-month", "delay, days")
    rows = [
        (name, f"{m.precision:.2f}", f"{m.recall:.2f}", f"{m.f1:.3f}", f"{m.false_per_month:.4f}", f"{m.delay:.1f}")
        for name, m in found.items()
    ]
    return grid(head, rows)


def delays(marks: Marks) -> str:
    """How late each kind of event was told."""
    rows = [(kind, f"{np.mean(some):.1f}", str(len(some))) for kind, some in sorted(marks.delays.items())]
    rows.append(("all", f"{marks.delay:.1f}, half by {marks.half:.0f}", str(sum(map(len, marks.delays.values())))))
    return grid(("told after", "days, mean", "events"), rows)


def kinds(found: Mapping[str, Marks]) -> str:
    """Recall by kind of event."""
    names = list(next(iter(found.values())).events)
    rows = [(name, *(f"{marks.of(kind):.2f}" for kind in names)) for name, marks in found.items()]
    return grid(("recall", *names), rows)
