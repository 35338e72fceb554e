"""Where bills and memory live: the lake (what was charged) and the state file (what we did)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol

from exporter.costs import Bill, CostTable
from exporter.periods import Grain, Window

__all__ = ["Restatement", "Store"]


@dataclass(frozen=True, slots=True)
class Restatement:
    """What a replacement changed: day and currency → new billed cost less old. Empty where nothing changed."""

    changes: Mapping[tuple[date, str], Decimal] = field(default_factory=dict)
    rows: int = 0
    """Rows of the source's days in the store afterwards, whatever was replaced."""
    changed: bool = False
    """Whether anything in the store is different now, other amounts than billed among it."""

    @property
    def days(self) -> tuple[date, ...]:
        """The UTC days whose billed cost changed, in order."""
        return tuple(sorted({day for day, _ in self.changes}))


class Store(Protocol):
    """History. Many read while one writes; a reader sees all of a replacement or nothing of it."""

    def replace(self, source: str, bill: Bill) -> Restatement:
        """Put `bill.costs` in the place of everything that the source had in `bill.covered`, in one step."""
        ...

    def read(self, window: Window, grain: Grain = Grain.DAY, sources: Collection[str] | None = None) -> CostTable:
        """Every stored charge, of some sources or of all, whose period starts in the window, as it stands now."""
        ...

    def coverage(self, source: str) -> Window | None:
        """The smallest window that holds all that was ever covered for the source; None where nothing was."""
        ...
