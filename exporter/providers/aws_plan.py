"""Which questions to Cost Explorer give the wanted labels: as few as can be, for each page costs 0.01 USD.

Cost Explorer groups by two dimensions at most, so a third one must be a filter:

    default              usage by service × region · all by account × record type            2 questions
    accounts: each       usage by service × region, once per account · the same               1 + accounts
    tags, dimensions     usage by service × tag · the same                                    2 questions
    with regions: [r…]   usage by service × tag, once per region and once for all others      2 + regions

Whatever is not usage (tax, credits, refunds, fees) comes from the second question alone, which also is the bill's own
total: the first kind of question must add up to the usage in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exporter.costs import UNKNOWN
from exporter.errors import BadData
from exporter.periods import Grain, Window
from exporter.providers.aws_words import USAGE

METRICS = ("UnblendedCost", "NetUnblendedCost", "AmortizedCost", "NetAmortizedCost")
OTHER_REGIONS = "other"

SERVICE = {"Type": "DIMENSION", "Key": "SERVICE"}
REGION = {"Type": "DIMENSION", "Key": "REGION"}
ACCOUNT = {"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}
RECORD_TYPE = {"Type": "DIMENSION", "Key": "RECORD_TYPE"}

_CATEGORY = "cost_category:"


@dataclass(frozen=True, slots=True)
class Extra:
    """A label beside service: a tag, a cost category, the usage type. Kept among a row's tags under `name`."""

    name: str
    type: str
    key: str

    @classmethod
    def of_tag(cls, key: str) -> Extra:
        """A tag key."""
        return cls(key, "TAG", key)

    @classmethod
    def of_dimension(cls, words: str) -> Extra:
        """`usage_type`, or `cost_category:NAME`."""
        if words.startswith(_CATEGORY):
            name = words.removeprefix(_CATEGORY)
            return cls(name, "COST_CATEGORY", name)
        return cls(words, "DIMENSION", words.upper())


@dataclass(frozen=True, slots=True)
class Question:
    """One GetCostAndUsage, of as many pages as it takes."""

    groups: tuple[dict[str, str], dict[str, str]]
    filter: dict[str, Any] | None = None
    account: str = ""
    """Whose charges these are, where the filter says it."""
    region: str | None = None
    """Where they lie, where no group says it."""
    extra: Extra | None = None
    """What the second group is, where it is no region."""

    def request(self, window: Window, grain: Grain) -> dict[str, Any]:
        """The parameters of its first page."""
        form = _hour if grain is Grain.HOUR else _day
        request: dict[str, Any] = {
            "TimePeriod": {"Start": form(window.start), "End": form(window.end)},
            "Granularity": "HOURLY" if grain is Grain.HOUR else "DAILY",
            "Metrics": list(METRICS),
            "GroupBy": list(self.groups),
        }
        return {**request, "Filter": self.filter} if self.filter else request


@dataclass(frozen=True, slots=True)
class Plan:
    """The questions that a configuration takes."""

    accounts: tuple[str, ...] | None = None
    """Only these; None: all that are in the bill."""
    each: bool = False
    """Whether account is joined with service: one set of questions for each account."""
    extra: Extra | None = None
    regions: tuple[str, ...] = ()
    """Regions to keep apart beside `extra`, which takes their place."""

    def everything(self) -> Question:
        """All charges by account and record type: the bill's own total."""
        return Question((ACCOUNT, RECORD_TYPE), _one_of("LINKED_ACCOUNT", self.accounts) if self.accounts else None)

    def usage(self, seen: Collection[str]) -> tuple[Question, ...]:
        """Usage by service and what else is wanted. `seen` are the accounts that have usage."""
        accounts = (self.accounts or tuple(sorted(seen))) if self.each else ("",)
        return tuple(self._question(account, region) for account in accounts for region in self._regions())

    def count(self, accounts: int) -> int:
        """How many questions in all, where so many accounts have usage."""
        each = (len(self.accounts) if self.accounts else accounts) if self.each else 1
        return 1 + each * len(self._regions())

    def _regions(self) -> tuple[str | None, ...]:
        """What each set of questions is split into; None: not at all."""
        return (*self.regions, OTHER_REGIONS) if self.extra and self.regions else (None,)

    def _question(self, account: str, region: str | None) -> Question:
        conditions = [_one_of("RECORD_TYPE", USAGE)]
        if account:
            conditions.append(_one_of("LINKED_ACCOUNT", (account,)))
        if region == OTHER_REGIONS:
            conditions.append({"Not": _one_of("REGION", self.regions)})
        elif region:
            conditions.append(_one_of("REGION", (region,)))
        filter = conditions[0] if len(conditions) == 1 else {"And": conditions}
        if self.extra is None:
            return Question((SERVICE, REGION), filter, account)
        group = {"Type": self.extra.type, "Key": self.extra.key}
        return Question((SERVICE, group), filter, account, region or UNKNOWN, self.extra)


def extra(tags: tuple[str, ...], dimensions: tuple[str, ...]) -> Extra | None:
    """The one label that Cost Explorer can add. BadData where more are asked for."""
    wanted = [*map(Extra.of_tag, tags), *map(Extra.of_dimension, dimensions)]
    if len(wanted) > 1:
        raise BadData(
            f"Cost Explorer cannot keep {' and '.join(each.name for each in wanted)} apart: it groups by two"
            " dimensions at most, and service is the first",
            hint="keep one of `tags` and `dimensions`, or read a data export, which has them all (`aws_export`)",
        )
    return wanted[0] if wanted else None


def _one_of(dimension: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"Dimensions": {"Key": dimension, "Values": list(values)}}


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"


def _hour(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
