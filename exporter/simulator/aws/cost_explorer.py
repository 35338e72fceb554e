"""Cost Explorer's GetCostAndUsage over a ledger: time buckets, filters, groups, pages, and the limits of the real one.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html. The texts of refusals are
made up where the real ones are not known; their codes are not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exporter.costs.money import add, text
from exporter.periods import DAY, HOUR, Month, Window, day_of, midnight
from exporter.simulator.aws import wire
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Refused

MONTHS = 14
"""How many months there are, the current one included."""
HOURLY_DAYS = 14
FINAL_ON = 5
"""Day of the next month on which a bill is final."""

NET = ("NetUnblendedCost", "NetAmortizedCost")
_COSTS: Mapping[str, Callable[[Charge], Decimal]] = {
    "UnblendedCost": lambda charge: Decimal(charge.details.get("unblended", charge.billed)),
    "NetUnblendedCost": lambda charge: charge.billed,
    "AmortizedCost": lambda charge: Decimal(charge.details.get("amortized", charge.amortised)),
    "NetAmortizedCost": lambda charge: charge.amortised,
}
_DIMENSIONS: Mapping[str, Callable[[Charge], str]] = {
    "SERVICE": lambda charge: charge.service,
    "REGION": lambda charge: charge.region,
    "LINKED_ACCOUNT": lambda charge: charge.account,
    "RECORD_TYPE": lambda charge: charge.kind,
    "USAGE_TYPE": lambda charge: charge.details.get("usage_type", "NoUsageType"),
}

Bucket = tuple[datetime, datetime]
Entry = tuple[Bucket, "tuple[str, ...] | None", Mapping[str, Any]]
"""A time bucket, the keys of one of its groups (None where it has none), and that group's metrics."""


@dataclass(slots=True)
class CostExplorer:
    """Answers from a ledger."""

    ledger: Ledger
    payer: str
    """Sees all accounts; any other sees itself."""
    page_size: int = 1000
    """Groups on a page."""
    net: bool = True
    """Whether the Net metrics are in the answers."""
    hourly: bool = True
    """Whether hours are switched on."""
    _kept: dict[str, list[Entry]] = field(default_factory=dict)  # the pages of an answer are of one moment

    def get_cost_and_usage(
        self, asked: Mapping[str, Any], caller: str, now: datetime, *, lose: bool = False
    ) -> dict[str, Any]:
        """GetCostAndUsage; `lose` leaves out the page that was asked for. Raises Refused."""
        first, question = self._place(asked), _question(asked)
        if first == 0 or question not in self._kept:
            self._kept[question] = list(self._entries(asked, caller, now))
        entries = self._kept[question]
        if lose and first + self.page_size < len(entries):
            first += self.page_size
        elif lose:
            entries, first = [], 0
        groups = asked.get("GroupBy", [])
        page = entries[first : first + self.page_size]
        answer: dict[str, Any] = {
            "ResultsByTime": list(_results(page, asked["Granularity"], now)),
            "DimensionValueAttributes": self._names(page, groups),
        }
        if groups:
            answer["GroupDefinitions"] = groups
        if first + self.page_size < len(entries):
            token = json.dumps({"first": first + self.page_size, "of": question})
            answer["NextPageToken"] = base64.b64encode(token.encode()).decode()
        return answer

    def _place(self, asked: Mapping[str, Any]) -> int:
        """Where the page that is asked for begins."""
        if "NextPageToken" not in asked:
            return 0
        try:
            token = json.loads(base64.b64decode(asked["NextPageToken"]))
        except ValueError:
            raise _refused("InvalidNextTokenException", "Invalid pagination token") from None
        if token["of"] != _question(asked):
            raise _refused("RequestChangedException", "Request parameters changed between pages")
        return int(token["first"])

    def _entries(self, asked: Mapping[str, Any], caller: str, now: datetime) -> Iterator[Entry]:
        metrics = [name for name in asked["Metrics"] if self.net or name not in NET]
        groups = asked.get("GroupBy", [])
        if not metrics or set(metrics) - _COSTS.keys():
            raise _refused("ValidationException", f"Invalid metric: {asked['Metrics']}")
        if len(groups) > 2:
            raise _refused("ValidationException", "Maximum 2 group-by keys are supported")
        window, step = self._window(asked, now), _step(asked["Granularity"])
        found: dict[Bucket, dict[tuple[str, ...], list[Charge]]] = {
            bucket: {} for bucket in _buckets(window, asked["Granularity"])
        }
        fits, keys_of, places = _fitting(asked.get("Filter")), [_key(group) for group in groups], {}
        for charge in self.ledger.shown(now, window):
            if caller not in (self.payer, charge.account) or not fits(charge):
                continue
            keys = tuple(key(charge) for key in keys_of)
            start = charge.start
            if start not in places:
                places[start] = found[_bucket(start, window, step)]
            places[start].setdefault(keys, []).append(charge)
        for bucket, by_keys in found.items():
            if not groups:
                yield bucket, None, _sums(by_keys.get((), []), metrics)
            elif not by_keys:
                yield bucket, None, {}
            for keys in sorted(by_keys) if groups else ():
                yield bucket, keys, _sums(by_keys[keys], metrics)

    def _window(self, asked: Mapping[str, Any], now: datetime) -> Window:
        hourly = asked["Granularity"] == "HOURLY"
        start, end = (_instant(asked["TimePeriod"][edge], hourly=hourly) for edge in ("Start", "End"))
        today = midnight(day_of(now))
        if start >= end:
            raise _refused("ValidationException", "Start date (and hour) should be before end date (and hour)")
        if start > now:
            raise _refused("ValidationException", "Start date should not be in the future")
        if end > Month.containing(now).next().window().start:
            raise _refused("ValidationException", "end date past the beginning of next month")
        if start < Month.containing(now).back(MONTHS - 1).window().start:
            raise _refused("ValidationException", "You haven't enabled historical data beyond 14 months")
        if hourly and not self.hourly:
            raise _refused("AccessDeniedException", "User is not opted in to hourly granularity")
        if hourly and start < today - HOURLY_DAYS * DAY:
            message = "start date is too old for hourly, the max supported days for hourly granularity is 14 days"
            raise _refused("ValidationException", message)
        return Window(start, end)

    def _names(self, page: list[Entry], groups: list[Mapping[str, str]]) -> list[dict[str, Any]]:
        places = [place for place, group in enumerate(groups) if group["Key"] == "LINKED_ACCOUNT"]
        seen = sorted({keys[place] for _, keys, _ in page if keys for place in places})
        named = self.ledger.accounts
        return [{"Value": id, "Attributes": {"description": named[id]}} for id in seen if id in named]


def final(month: Month, now: datetime) -> bool:
    """Whether the bill of a month is final."""
    return now >= month.next().window().start + (FINAL_ON - 1) * DAY


def _results(page: list[Entry], granularity: str, now: datetime) -> Iterator[dict[str, Any]]:
    form = "%Y-%m-%dT%H:%M:%SZ" if granularity == "HOURLY" else "%Y-%m-%d"
    results: dict[Bucket, dict[str, Any]] = {}
    for bucket, keys, metrics in page:
        start, end = bucket
        result = results.setdefault(
            bucket,
            {
                "TimePeriod": {"Start": start.strftime(form), "End": end.strftime(form)},
                "Total": {},
                "Groups": [],
                "Estimated": not final(Month.containing(start), now),
            },
        )
        if keys is None:
            result["Total"] = metrics
        else:
            result["Groups"].append({"Keys": list(keys), "Metrics": metrics})
    yield from results.values()


def _instant(written: str, *, hourly: bool) -> datetime:
    if "T" in written and not hourly:
        raise _refused("ValidationException", "Hourly timePeriod is not supported for this request")
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise _refused("ValidationException", f"Invalid date: {written}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _step(granularity: str) -> timedelta | None:
    """How long a bucket is; None for months."""
    return {"HOURLY": HOUR, "DAILY": DAY}.get(granularity)


def _buckets(window: Window, granularity: str) -> Iterator[Bucket]:
    start, step = window.start, _step(granularity)
    while start < window.end:
        end = min(start + step if step else Month.containing(start).next().window().start, window.end)
        yield start, end
        start = end


def _bucket(instant: datetime, window: Window, step: timedelta | None) -> Bucket:
    if step is None:
        month = Month.containing(instant).window()
        return max(month.start, window.start), min(month.end, window.end)
    start = window.start + (instant - window.start) // step * step
    return start, min(start + step, window.end)


def _fitting(expression: Mapping[str, Any] | None) -> Callable[[Charge], bool]:
    """Whether a charge passes a filter."""
    if not expression:
        return lambda charge: True  # noqa: ARG005
    if len(expression) != 1:
        raise _refused("ValidationException", "Expression must have exactly one root node")
    [(word, inner)] = expression.items()
    if word in ("And", "Or"):
        parts, both = [_fitting(each) for each in inner], word == "And"
        return lambda charge: all(part(charge) for part in parts) if both else any(part(charge) for part in parts)
    if word == "Not":
        but = _fitting(inner)
        return lambda charge: not but(charge)
    kind = {"Dimensions": "DIMENSION", "Tags": "TAG", "CostCategories": "COST_CATEGORY"}[word]
    value, wanted = _value(kind, inner["Key"]), frozenset(inner["Values"])
    return lambda charge: value(charge) in wanted


def _key(group: Mapping[str, str]) -> Callable[[Charge], str]:
    """What a charge is grouped by, as answers write it."""
    kind, key = group["Type"], group["Key"]
    value = _value(kind, key)
    return value if kind == "DIMENSION" else lambda charge: f"{key}${value(charge)}"


def _value(kind: str, key: str) -> Callable[[Charge], str]:
    """What a dimension, tag or cost category of a charge is."""
    if kind == "TAG":
        return lambda charge: charge.tags.get(key, "")
    if kind == "COST_CATEGORY":
        return lambda charge: charge.details.get(f"cost_category:{key}", "")
    if kind != "DIMENSION" or key not in _DIMENSIONS:
        raise _refused("ValidationException", f"Group Definition dimension key {key} is invalid")
    return _DIMENSIONS[key]


def _sums(charges: list[Charge], metrics: list[str]) -> dict[str, Any]:
    unit = charges[0].currency if charges else "USD"
    amounts = {name: add(*map(_COSTS[name], charges)) for name in metrics}
    return {name: {"Amount": text(amount), "Unit": unit} for name, amount in amounts.items()}


def _question(asked: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in asked.items() if name != "NextPageToken"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _refused(code: str, message: str) -> Refused:
    return wire.refused("ce", code, message)
