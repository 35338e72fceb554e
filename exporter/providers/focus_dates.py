"""The instants of a FOCUS file: ISO 8601, and dates with slashes where the file itself says which number is the day.

FOCUS wants `2024-09-01T00:00:00Z`. Real files also leave out the T, the Z or the seconds, and files that went through
a spreadsheet hold 9/1/2024 or 01/09/2024. The order of such dates is never guessed: a number past 12 proves it, or
billing periods that begin and end on the first of a month; a file where neither does is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from exporter.costs import engine
from exporter.costs.engine import literal
from exporter.errors import BadData

COLUMNS = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")

_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?$"
_USUAL = ("____-__-__T__:__:__Z", "____-__-__ __:__:__")
_SLASHED = r"^\d{1,2}/\d{1,2}/(\d{4}|\d{2})( \d{1,2}:\d{2}(:\d{2})?( [AP]M)?)?( ?(Z|UTC))?$"


class Order(StrEnum):
    """Which number of a date with slashes comes first."""

    MONTH = "M/D/YYYY"
    DAY = "D/M/YYYY"

    @property
    def formats(self) -> tuple[str, ...]:
        """The strptime formats of a date with a four-digit year, without and with a time."""
        day = "%m/%d/%Y" if self is Order.MONTH else "%d/%m/%Y"
        return (day, *(f"{day} {time}" for time in ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")))


@dataclass(frozen=True, slots=True)
class Dates:
    """How a file writes its dates with slashes, and how one knows."""

    order: Order
    because: str


def instant(given: str, dates: Dates | None) -> str:
    """SQL that turns the text of a cell into UTC without a zone; null where it is no instant."""
    # Through TIMESTAMPTZ: a cast to TIMESTAMP drops an offset such as +08:00 in silence. The two ways that nearly all
    # files write have none, and are told by their shape, which takes a third of the time of a pattern.
    usual = " OR ".join(f"{given} LIKE '{shape}'" for shape in _USUAL)
    iso = (
        f"WHEN {usual} THEN try_cast({given} AS TIMESTAMP)"
        f" WHEN regexp_full_match({given}, {literal(_ISO)}) THEN CAST(try_cast({given} AS TIMESTAMPTZ) AS TIMESTAMP)"
    )
    if dates is None:
        return f"(CASE {iso} END)"
    bare = f"regexp_replace({given}, ' ?(Z|UTC)$', '')"
    whole = f"regexp_replace({bare}, '^(\\d+/\\d+/)(\\d\\d)( |$)', '\\1' || '20' || '\\2\\3')"
    formats = ", ".join(literal(format_) for format_ in dates.order.formats)
    return (
        f"(CASE {iso} WHEN regexp_full_match({given}, {literal(_SLASHED)})"
        f" THEN CAST(try_strptime({whole}, [{formats}]) AS TIMESTAMP) END)"
    )


def decide(file: str, scan: str, texts: Mapping[str, str]) -> Dates | None:
    """How a file writes its dates; None where it has none with slashes. `texts`: date column → SQL of its text.

    BadData where nothing in the file decides, or where it contradicts itself.
    """
    first, second = (rf"try_cast(regexp_extract(given, '^(\d+)/(\d+)/', {n}) AS INTEGER)" for n in (1, 2))
    rows = " UNION ALL ".join(
        f"SELECT {literal(column)} AS kind, {text} AS given FROM {scan}" for column, text in texts.items()
    )
    found = engine.run(
        f"SELECT kind, bool_or(a > 12), bool_or(b > 12), bool_and(a = 1), bool_and(b = 1), bool_and(a = b),"
        f" any_value(given) FROM (SELECT kind, given, {first} AS a, {second} AS b FROM ({rows})"
        f" WHERE regexp_full_match(given, {literal(_SLASHED)})) GROUP BY kind ORDER BY kind"
    )
    return _decided(file, {kind: tuple(facts) for kind, *facts in found}) if found else None


def _decided(file: str, found: Mapping[str, tuple[Any, ...]]) -> Dates:
    """From what was seen per column: past 12 first or second, all 1 first or second, all alike, an example."""
    facts = found.values()
    day_first, month_first = any(fact[0] for fact in facts), any(fact[1] for fact in facts)
    example = next(iter(facts))[5]
    if day_first and month_first:
        raise BadData(
            f"{file}: its dates are written both as {Order.DAY} and as {Order.MONTH}",
            hint="write instants as 2024-09-01T00:00:00Z",
        )
    if day_first or month_first:
        return Dates(Order.DAY if day_first else Order.MONTH, "a number past 12 stands where the day does")
    # Cloud bills run by the month: both ends of a billing period are the first of one.
    edges = [fact for kind, fact in found.items() if kind.startswith("Billing")]
    by_month, by_day = any(e[3] and not e[2] for e in edges), any(e[2] and not e[3] for e in edges)
    if by_month != by_day and all(e[3] if by_month else e[2] for e in edges):
        return Dates(Order.MONTH if by_month else Order.DAY, "its billing periods then begin on the first of a month")
    if all(fact[4] for fact in facts):
        return Dates(Order.MONTH, "day and month are alike in all of its dates")
    raise BadData(
        f"{file}: dates such as {example!r} can be read in two ways, and nothing in the file decides",
        hint="write instants as 2024-09-01T00:00:00Z",
    )
