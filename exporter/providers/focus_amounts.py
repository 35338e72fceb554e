"""The amounts of a FOCUS file, as SQL: no digit is lost on the way, and none is made up.

Text is read as it stands; a Parquet double goes through its shortest text, since 0.1 is what the vendor meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.costs.money import LIMIT, PLACES, SQL_TYPE

_NULL = "('', 'null')"
_NOTHING = "CAST(NULL AS VARCHAR)"
_SHORT = "DECIMAL(18,10)"
"""The type of a short double: below 10⁵ it holds 15 digits."""


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
        """Its text; null where it says nothing."""
        return f"CAST({self.cell} AS VARCHAR)" if self._double else said(self.cell)

    @property
    def loose(self) -> bool:
        """Whether it comes as text or as double, and may be finer than an amount is kept."""
        return self.cell is not None and not self._exact

    def sql(self, *, rounding: bool) -> str:
        """The amount; null where it is none. `rounding` rounds what is too fine half even: long SQL, rarely needed."""
        if self._exact:
            return f"try_cast({self.cell} AS {SQL_TYPE})"
        amount = f"try_cast({self.text} AS {SQL_TYPE})"
        if self._double:
            short = f"CAST(try_cast({self.cell} AS {_SHORT}) AS {SQL_TYPE})"
            amount = f"(CASE WHEN {self._short} THEN {short} ELSE {amount} END)"
        fine = rounding and self.loose
        return f"(CASE WHEN {self.too_fine} THEN {self._rounded} ELSE {amount} END)" if fine else amount

    @property
    def too_fine(self) -> str:
        """Whether it has more digits behind the point than a stored amount keeps; false for what is no number."""
        if not self.loose:
            return "false"
        # Cheap first: neither a short text without an exponent nor a large double can be.
        if self._double:
            may = f"abs({self.cell}) < 1e-6 AND NOT {self._short}"
        else:
            may = f"length({self.cell}) > {PLACES + 1} OR contains({self.cell}, 'e') OR contains({self.cell}, 'E')"
        return f"(CASE WHEN {may} THEN coalesce({self._places} > {PLACES}, false) ELSE false END)"

    @property
    def _places(self) -> str:
        """How many digits stand behind its point, the exponent counted in."""
        exponent = f"coalesce(try_cast(split_part(lower({self.text}), 'e', 2) AS INTEGER), 0)"
        return f"(length(split_part({self._mantissa}, '.', 2)) - {exponent})"

    @property
    def _mantissa(self) -> str:
        return f"split_part(lower({self.text}), 'e', 1)"

    @property
    def _rounded(self) -> str:
        """Half even to the places that are kept; a cast would round half away from zero.

        In whole numbers: all its digits, divided by the power of ten that is too much. Null past 38 digits.
        """
        surplus = f"({self._places} - {PLACES})"
        digits = f"try_cast(replace({self._mantissa}, '.', '') AS HUGEINT)"
        step = f"CAST('1' || repeat('0', least(greatest({surplus}, 0), 38)) AS HUGEINT)"
        whole, rest = f"(abs({digits}) // {step})", f"(abs({digits}) % {step})"
        up = f"({rest} > {step} - {rest} OR ({rest} = {step} - {rest} AND {whole} % 2 = 1))"
        kept = f"CAST({whole} + CAST({up} AS HUGEINT) AS VARCHAR)"
        padded = f"lpad({kept}, CAST(greatest({PLACES + 1}, length({kept})) AS INTEGER), '0')"
        sign = f"CASE WHEN {digits} < 0 THEN '-' ELSE '' END"
        written = f"{sign} || left({padded}, -{PLACES}) || '.' || right({padded}, {PLACES})"
        tiny = f"CASE WHEN {digits} IS NOT NULL THEN CAST(0 AS {SQL_TYPE}) END"
        return f"(CASE WHEN {surplus} > 38 THEN {tiny} ELSE try_cast({written} AS {SQL_TYPE}) END)"

    def wrong(self, *, needed: bool, rounding: bool) -> str:
        """Whether it cannot be: no number, too large, or not there where it is `needed`."""
        if self._double:
            missing, no_amount = f"{self.cell} IS NULL", f"NOT isfinite({self.cell}) OR abs({self.cell}) >= {LIMIT:f}"
        elif self._exact:
            missing, no_amount = f"{self.cell} IS NULL", f"try_cast({self.cell} AS {SQL_TYPE}) IS NULL"
        else:
            # DuckDB reads 1_000 as a number; FOCUS does not.
            missing = f"{self.text} IS NULL"
            no_amount = f"{self.sql(rounding=rounding)} IS NULL OR contains({self.text}, '_')"
        present = f"(NOT ({missing}) AND ({no_amount}))"
        return f"({missing} OR {present})" if needed else present

    @property
    def _short(self) -> str:
        """Whether a double is the nearest one to an amount of at most 15 digits, 10 of them behind the point.

        Two amounts of 15 digits never share a double (IEEE 754, DBL_DIG in C), so that amount is what the double's
        shortest text says too. To read that text takes ten times as long, most of all where it has an exponent.
        """
        if self.type == "FLOAT":  # as a double it has other digits than in its own text
            return f"({self.cell} = 0)"
        return f"(abs({self.cell}) < 1e5 AND CAST(try_cast({self.cell} AS {_SHORT}) AS DOUBLE) = {self.cell})"

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
