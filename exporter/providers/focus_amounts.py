"""The amounts of a FOCUS file, as SQL: no digit is lost on the way, and none is made up.

Text is read as it stands; a Parquet double goes through its shortest text, since 0.1 is what the vendor meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.costs.money import LIMIT, PLACES, SQL_TYPE

_NULL = "('', 'null')"
_NOTHING = "CAST(NULL AS VARCHAR)"


def said(cell: str | None) -> str:
    """A cell as text, null where it says nothing: bare `NULL`, `null` and empty text stand in one file even."""
    if cell is None:
        return _NOTHING
    trimmed = f"trim(CAST({cell} AS VARCHAR))"
    return f"(CASE WHEN lower({trimmed}) IN {_NULL} THEN NULL ELSE {trimmed} END)"


@dataclass(frozen=True, slots=True)
class Amount:
    """One column of amounts; `cell` is None where the file has none."""

    cell: str | None
    type: str

    @property
    def text(self) -> str:
        """Its text, as `roundings` are looked up by it."""
        return f"CAST({self.cell} AS VARCHAR)" if self._double else said(self.cell)

    @property
    def loose(self) -> bool:
        """Whether it comes as text or as double, and may be finer than an amount is kept."""
        return self.cell is not None and not self._exact

    def sql(self, *, rounding: bool) -> str:
        """The amount; `rounding` takes what is too fine from the parameter `roundings`, pairs of text and amount."""
        if self._exact:
            return f"try_cast({self.cell} AS {SQL_TYPE})"
        amount = f"try_cast({self.text} AS {SQL_TYPE})"
        if rounding and self.loose:
            fine = f"list_filter($roundings, lambda pair: pair[1] = {self.text})[1][2]"
            return f"CASE WHEN {self.too_fine} THEN CAST({fine} AS {SQL_TYPE}) ELSE {amount} END"
        return amount

    @property
    def too_fine(self) -> str:
        """Whether it has more digits behind the point than a stored amount keeps; false for what is no number."""
        if not self.loose:
            return "false"
        # Cheap first: neither a short text without an exponent nor a large double can be.
        if self._double:
            may = f"{self.cell} <> 0 AND abs({self.cell}) < 1e-6"
        else:
            may = f"length({self.cell}) > {PLACES + 1} OR contains({self.cell}, 'e') OR contains({self.cell}, 'E')"
        mantissa, exponent = (f"split_part(lower({self.text}), 'e', {part})" for part in (1, 2))
        places = f"length(split_part({mantissa}, '.', 2)) - coalesce(try_cast({exponent} AS INTEGER), 0)"
        return f"(CASE WHEN {may} THEN coalesce({places} > {PLACES}, false) ELSE false END)"

    def wrong(self, *, needed: bool) -> str:
        """Whether it cannot be: no number, too large, or not there where it is `needed`."""
        if self._double:
            missing, no_amount = f"{self.cell} IS NULL", f"NOT isfinite({self.cell}) OR abs({self.cell}) >= {LIMIT:f}"
        elif self._exact:
            missing, no_amount = f"{self.cell} IS NULL", f"try_cast({self.cell} AS {SQL_TYPE}) IS NULL"
        else:
            # DuckDB reads 1_000 as a number; FOCUS does not.
            missing = f"{self.text} IS NULL"
            no_amount = f"try_cast({self.text} AS {SQL_TYPE}) IS NULL OR contains({self.text}, '_')"
        present = f"(NOT ({missing}) AND ({no_amount}))"
        return f"({missing} OR {present})" if needed else present

    @property
    def _double(self) -> bool:
        return self.type in ("DOUBLE", "FLOAT")

    @property
    def _exact(self) -> bool:
        """Whether a Parquet column has a type that needs no rounding."""
        decimal = re.fullmatch(r"DECIMAL\(\d+,(\d+)\)", self.type)
        return (
            self.type.endswith("INT") or self.type == "INTEGER" or (decimal is not None and int(decimal[1]) <= PLACES)
        )
