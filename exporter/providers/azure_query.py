"""What Cost Management is asked, and how its answers read.

A query groups by two dimensions at most and filters only by "is one of", so a bill takes several. `Question` is one of
them, `pieces` cuts a long window into what one query may span, `read` turns a page into lines: columns are found by
their names, in whatever order they come, and amounts keep every digit they were sent with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from exporter.costs import ChargeCategory
from exporter.errors import BadData
from exporter.periods import DAY, Month, Window, midnight
from exporter.providers.rest import reading

API_VERSION = "2025-03-01"
"""What azure-mgmt-costmanagement 5.0 asks for."""

MONTHS_AT_ONCE = 6
"""A year at most is answered (Custom timePeriod), and a month costs one query unit of the 12 in 10 seconds."""


class Cut(NamedTuple):
    """One dimension to group by: a column of the bill, or the values of a tag key."""

    name: str
    tag: bool = False


SERVICE, LOCATION = Cut("ServiceName"), Cut("ResourceLocation")
CHARGE_TYPE = Cut("ChargeType")
SUBSCRIPTION, SUBSCRIPTION_NAME = Cut("SubscriptionId"), Cut("SubscriptionName")

DIMENSIONS: Mapping[str, Cut] = {
    "resource_group": Cut("ResourceGroup"),
    "meter_category": Cut("MeterCategory"),
    "meter_subcategory": Cut("MeterSubcategory"),
    "resource_type": Cut("ResourceType"),
}
"""Our word → Azure's."""


class Dataset(StrEnum):
    """The two ways to look at a bill: as it is invoiced, and with commitments spread over their use."""

    ACTUAL = "ActualCost"
    AMORTIZED = "AmortizedCost"


class ChargeType(NamedTuple):
    """What one of Azure's charge types is in FOCUS."""

    category: ChargeCategory
    charge_class: str = ""


# https://learn.microsoft.com/azure/cost-management-billing/automate/understand-usage-details-fields (ChargeType)
CHARGE_TYPES: Mapping[str, ChargeType] = {
    "Usage": ChargeType(ChargeCategory.USAGE),
    "UnusedReservation": ChargeType(ChargeCategory.USAGE),
    "UnusedSavingsPlan": ChargeType(ChargeCategory.USAGE),
    "Purchase": ChargeType(ChargeCategory.PURCHASE),
    "Refund": ChargeType(ChargeCategory.PURCHASE, "Correction"),
    "Tax": ChargeType(ChargeCategory.TAX),
    "Credit": ChargeType(ChargeCategory.CREDIT),
    "Adjustment": ChargeType(ChargeCategory.ADJUSTMENT),
    "RoundingAdjustment": ChargeType(ChargeCategory.ADJUSTMENT),
}
_BY_WORD = {word.lower(): kind for word, kind in CHARGE_TYPES.items()}
USAGE_LIKE = tuple(word for word, kind in CHARGE_TYPES.items() if kind.category is ChargeCategory.USAGE)
"""Charge types that are usage: what is cut by service and region."""


def charge_type(word: str) -> ChargeType | None:
    """What a charge type is, in whatever case Azure writes it; None where it is new to us."""
    return _BY_WORD.get(word.lower())


@dataclass(frozen=True, slots=True)
class Question:
    """One query: daily costs of a scope, grouped and filtered."""

    scope: str
    dataset: Dataset
    window: Window
    """Whole UTC days."""
    cuts: tuple[Cut, Cut]
    filters: tuple[tuple[Cut, tuple[str, ...]], ...] = ()
    """Each must be one of its values."""

    @property
    def path(self) -> str:
        """Path and query of its address."""
        return f"{self.scope}/providers/Microsoft.CostManagement/query?api-version={API_VERSION}"

    @property
    def units(self) -> int:
        """How many query processing units one answer takes: one a month of data."""
        return len(list(self.window.months()))

    def body(self) -> dict[str, object]:
        """The query definition as JSON. Its last day is included in what it asks for."""
        dataset: dict[str, object] = {
            "granularity": "Daily",
            # The column is named by either word, depending on who answers: so both are the same.
            "aggregation": {"Cost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "TagKey" if cut.tag else "Dimension", "name": cut.name} for cut in self.cuts],
        }
        terms = [_term(cut, values) for cut, values in self.filters]
        if terms:
            dataset["filter"] = terms[0] if len(terms) == 1 else {"and": terms}
        last = self.window.end - DAY
        period = {"from": f"{self.window.start:%Y-%m-%d}T00:00:00Z", "to": f"{last:%Y-%m-%d}T23:59:59Z"}
        return {"type": self.dataset.value, "timeframe": "Custom", "timePeriod": period, "dataset": dataset}

    def __str__(self) -> str:
        last = self.window.end - DAY
        return f"{self.dataset} of {self.scope}, {self.window.start:%Y-%m-%d} to {last:%Y-%m-%d}"


def _term(cut: Cut, values: tuple[str, ...]) -> dict[str, object]:
    kind = "tags" if cut.tag else "dimensions"
    return {kind: {"name": cut.name, "operator": "In", "values": list(values)}}


def pieces(window: Window) -> tuple[Window, ...]:
    """A window of whole days in parts that one query may span, cut between months, newest first."""
    months = [month.window() for month in window.months()]
    parts = [months[max(0, end - MONTHS_AT_ONCE) : end] for end in range(len(months), 0, -MONTHS_AT_ONCE)]
    cut = (window.meet(Window(part[0].start, part[-1].end)) for part in parts)
    return tuple(part for part in cut if part)


def days_of(window: Window) -> Window:
    """The whole UTC days that start in a window."""
    first, until = (
        edge.date() if edge == midnight(edge.date()) else edge.date() + DAY for edge in (window.start, window.end)
    )
    return Window.of_days(first, until)


def oldest_kept(now: datetime) -> Window:
    """What Cost Management answers for at an instant: 13 months before the current one, to the end of today."""
    month = Month.containing(now)
    return Window(midnight(month.back(13).first), midnight(now.date() + DAY))


class Line(NamedTuple):
    """One row of an answer."""

    day: date
    words: tuple[str, str]
    """Values of the two cuts, in their order; empty where a charge has none."""
    currency: str
    amount: Decimal


class Page(NamedTuple):
    """One page of an answer."""

    lines: tuple[Line, ...]
    following: str
    """Address of the next page; empty on the last one."""
    columns: Mapping[str, str] = {}
    """Name → type."""


NOTHING = b'{"properties": {"nextLink": null, "columns": [], "rows": []}}'
"""How an empty scope's answer (204, no content) is kept."""


def read(body: bytes, question: Question) -> Page:
    """A page of the answer to a question. BadData where it lacks what every answer has, or speaks of other days."""
    try:
        document = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError):
        document = None
    if document is None:  # out here, where no traceback drags the body along
        raise BadData(f"the answer about {question} is not JSON", hint="is a proxy in between that answers itself?")
    with reading(f"the answer about {question}"):
        properties = document["properties"]
        columns = {str(column["name"]): str(column.get("type", "")) for column in properties["columns"]}
        rows, following = properties["rows"], properties.get("nextLink") or ""
        if not isinstance(rows, list):
            raise TypeError("properties.rows is no list")
        lines = tuple(_lines(rows, _Places.among(list(columns), question.cuts), len(columns), question)) if rows else ()
        return Page(lines, str(following), columns)
    raise AssertionError  # `reading` lets nothing through


class _Places(NamedTuple):
    """Where in a row everything stands."""

    amount: int
    day: int
    currency: int
    cuts: tuple[int, int]

    @classmethod
    def among(cls, names: list[str], cuts: tuple[Cut, Cut]) -> _Places:
        """The places by the names of the columns. KeyError where one is missing."""
        amount, day, currency = (_place(names, name) for name in ("Cost", "UsageDate", "Currency"))
        first, second = (_place_of(names, cut) for cut in cuts)
        return cls(amount, day, currency, (first, second))


def _place_of(names: list[str], cut: Cut) -> int:
    """Where the values of a cut stand. A tag key's are called TagValue, beside TagKey; or by the key itself."""
    return _place(names, *(("TagValue", cut.name) if cut.tag else (cut.name, f"{cut.name}Name")))


def _place(names: list[str], *wanted: str) -> int:
    lower = [name.lower() for name in names]
    for name in wanted:
        if name.lower() in lower:
            return lower.index(name.lower())
    raise KeyError(f"column {wanted[0]}")


def _lines(rows: list[list[object]], at: _Places, width: int, question: Question) -> Iterator[Line]:
    days = {_number(day): day for day in question.window.days()}
    for row in rows:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} values for {width} columns")
        amount, day = row[at.amount], days.get(str(row[at.day]))
        if not isinstance(amount, int | Decimal) or isinstance(amount, bool):
            raise TypeError(f"{amount!r} is no cost")
        if day is None:
            raise ValueError(f"UsageDate {row[at.day]!r} is not a day that was asked for")
        currency = row[at.currency]
        if not isinstance(currency, str) or not currency:
            raise ValueError("a row has no currency")
        first, second = (str(row[place] or "") for place in at.cuts)
        yield Line(day, (first, second), currency, Decimal(amount))


def _number(day: date) -> str:
    """A day as UsageDate writes it."""
    return f"{day:%Y%m%d}"


def _no_number(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")  # Python would take NaN and Infinity


def spelled(region: str) -> tuple[str, ...]:
    """A region as Azure may write it: as it stands in the configuration, and `East US` as `eastus`."""
    return tuple(sorted({region, region.lower(), region.lower().replace(" ", "")}))
