"""A query of Cost Management: checked as the API checks it, answered from the ledger.

https://learn.microsoft.com/rest/api/cost-management/query/usage
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from exporter.costs.money import add
from exporter.periods import DAY, Month, Window, midnight
from exporter.simulator.ledger import Charge

DATASETS = ("Usage", "ActualCost", "AmortizedCost")
_COMMITMENT = "commitment"
"""A detail of charges that only the actual (a reservation's purchase) or only the amortised bill has (its unused
part)."""
ONLY_ACTUAL, ONLY_AMORTIZED = {_COMMITMENT: "purchase"}, {_COMMITMENT: "unused"}


class InvalidQuery(ValueError):
    """What the API answers with 400."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query definition that is good."""

    dataset: str
    window: Window
    aggregation: str
    """Name of the column with the sums."""
    cuts: tuple[tuple[str, str], ...]
    """Type and name of each grouping."""
    filter: Mapping[str, Any] | None
    daily: bool

    @classmethod
    def parse(cls, body: Any, now: datetime) -> Query:
        """Read a definition. InvalidQuery for what the API refuses."""
        dataset = body.get("dataset") or body.get("dataSet") or {}
        if body.get("type") not in DATASETS:
            raise InvalidQuery(f"type {body.get('type')!r} is none of {', '.join(DATASETS)}")
        aggregation, grouping = dataset.get("aggregation") or {}, dataset.get("grouping") or []
        if not 1 <= len(aggregation) <= 2:
            raise InvalidQuery("one or two aggregation clauses are supported")
        if len(grouping) > 2:
            raise InvalidQuery("at most 2 grouping clauses are supported")
        if any(clause.get("function") != "Sum" for clause in aggregation.values()):
            raise InvalidQuery("only Sum is supported")
        if any(cut.get("type") not in ("Dimension", "TagKey") or not cut.get("name") for cut in grouping):
            raise InvalidQuery("a grouping has a type, Dimension or TagKey, and a name")
        if dataset.get("granularity") not in (None, "Daily"):
            raise InvalidQuery(f"granularity {dataset['granularity']!r} is not simulated")
        _check(dataset.get("filter"))
        return cls(
            body["type"],
            _period(body, now),
            next(iter(aggregation.values()))["name"],
            tuple((cut["type"], cut["name"]) for cut in grouping),
            dataset.get("filter"),
            dataset.get("granularity") == "Daily",
        )

    @property
    def units(self) -> int:
        """How many query processing units it takes: one a month of data."""
        return len(list(self.window.months()))

    def columns(self) -> list[dict[str, str]]:
        """Name and type of each column, in the API's order."""
        cuts = [
            column
            for kind, name in self.cuts
            for column in (["TagKey", "TagValue"] if kind == "TagKey" else [name])  # a tag has two
        ]
        names = [*(["UsageDate"] if self.daily else []), *cuts, "Currency"]
        types = {"UsageDate": "Number"}
        return [
            {"name": self.aggregation, "type": "Number"},
            *({"name": name, "type": types.get(name, "String")} for name in names),
        ]

    def rows(self, charges: Iterable[Charge], names: Mapping[str, str]) -> list[list[object]]:
        """The answer's rows, in the order of `columns`. `names` are those of the subscriptions."""
        sums: dict[tuple[object, ...], Decimal] = {}
        for charge in charges:
            if not self._has(charge) or not _matches(self.filter, charge):
                continue
            key: list[object] = [int(f"{charge.start:%Y%m%d}")] if self.daily else []
            for kind, name in self.cuts:
                if kind == "TagKey":
                    key += [name.lower(), charge.tags.get(name) or None]
                elif name == "SubscriptionName":
                    key.append(names.get(charge.account, ""))
                else:
                    key.append(dimension(charge, name))
            amount = charge.amortised if self.dataset == "AmortizedCost" else charge.billed
            group = (*key, charge.currency)
            sums[group] = add(sums.get(group, Decimal(0)), amount)
        return [[_number(amount), *group] for group, amount in sorted(sums.items(), key=lambda item: repr(item[0]))]

    def _has(self, charge: Charge) -> bool:
        unwanted = ONLY_ACTUAL if self.dataset == "AmortizedCost" else ONLY_AMORTIZED
        return charge.start in self.window and charge.details.get(_COMMITMENT) != unwanted[_COMMITMENT]


def dimension(charge: Charge, name: str) -> str:
    """The value of a dimension. InvalidQuery where there is none of that name."""
    match name.lower():
        case "servicename":
            return charge.service
        case "resourcelocation":
            return charge.region
        case "chargetype":
            return charge.kind
        case "subscriptionid":
            return charge.account
        case "resourcegroup" | "resourcegroupname":
            return charge.details.get("resource_group", "")
        case "metercategory":
            return charge.details.get("meter_category", "")
        case "metersubcategory" | "resourcetype":
            return charge.details.get(name.lower(), "")
    raise InvalidQuery(f"{name!r} is not a dimension")


def _period(body: Mapping[str, Any], now: datetime) -> Window:
    """Both ends are days, and both are included."""
    if body.get("timeframe") == "MonthToDate":
        return Window.of_days(Month.containing(now).first, now.date() + DAY)
    if body.get("timeframe") != "Custom" or not body.get("timePeriod"):
        raise InvalidQuery("a Custom timeframe with a timePeriod is needed")
    first, last = (_day(body["timePeriod"].get(edge)) for edge in ("from", "to"))
    if first > last:
        raise InvalidQuery("the 'from' date must not be after the 'to' date")
    if last >= _year_after(first):
        raise InvalidQuery("the time period for pulling the data cannot exceed 1 year(s)")
    if midnight(first) > now:
        raise InvalidQuery("the time period begins in the future")
    return Window.of_days(first, last + DAY)


def _year_after(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:  # 29 February
        return date(day.year + 1, 3, 1)


def _day(text: object) -> date:
    try:
        return datetime.fromisoformat(str(text)).date()
    except ValueError:
        raise InvalidQuery(f"{text!r} is no date") from None


def _check(filter: Any) -> None:
    if not filter:
        return
    ((word, inner),) = filter.items()
    if word in ("and", "or"):
        if len(inner) < 2:
            raise InvalidQuery(f"{word!r} needs two operands")
        for each in inner:
            _check(each)
    elif word not in ("dimensions", "tags"):
        raise InvalidQuery(f"unknown filter {word!r}")
    elif inner.get("operator") != "In" or not inner.get("values"):
        raise InvalidQuery("only In is supported, with values")


def _matches(filter: Any, charge: Charge) -> bool:
    if not filter:
        return True
    ((word, inner),) = filter.items()
    if word in ("and", "or"):
        return (all if word == "and" else any)(_matches(each, charge) for each in inner)
    name = inner["name"]
    value = dimension(charge, name) if word == "dimensions" else charge.tags.get(name, "")
    return value.lower() in {wanted.lower() for wanted in inner["values"]}


def _number(amount: Decimal) -> float:
    """The amount as a JSON number: a double, as the API sends it. The ledger must have none that a double cannot."""
    number = float(amount)
    if Decimal(repr(number)) != amount:
        raise OverflowError(f"{amount} has more digits than a double")
    return number
