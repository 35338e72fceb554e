"""What the search for anomalies is told, and what it says: settings, findings, the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.analysis.series import ALL, Scope


class Kind(StrEnum):
    """What a change looks like. It may become another as days pass."""

    SPIKE = "spike"
    """One or two days so far."""
    STEP = "step"
    """It stays."""
    DRIFT = "drift"
    """No single day was odd; a week of them is."""
    NEW = "new"
    """Nothing was there before."""
    DROP = "drop"
    """It costs less than it should."""


class Status(StrEnum):
    """What became of a finding since the report before."""

    OPEN = "open"
    WORSENED = "worsened"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """By money, never by how improbable it was."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Level(NamedTuple):
    """From which impact a month a severity begins: the larger of an amount and a share of the scope's month."""

    severity: Severity
    cost: float
    percent: float


LEVELS = (
    Level(Severity.CRITICAL, 2000, 10),
    Level(Severity.HIGH, 500, 5),
    Level(Severity.MEDIUM, 100, 2),
    Level(Severity.LOW, 20, 1),
)


@dataclass(frozen=True, slots=True)
class Fee:
    """Something that costs on the same day of each month, and is no news then."""

    day: int
    """1 to 31; of a shorter month its last; -1 the last of any, -2 the one before …"""
    amount: float = math.inf
    """At most so much is expected, in the currency of the series."""
    account: str = ALL
    service: str = ALL
    region: str = ALL

    def falls_on(self, day: date, days_in_month: int) -> bool:
        """Whether it comes on this day."""
        wanted = days_in_month + 1 + self.day if self.day < 0 else min(self.day, days_in_month)
        return day.day == wanted

    def concerns(self, scope: Scope) -> bool:
        """Whether it may be part of what a scope costs."""
        mine = (self.account, self.service, self.region)
        return all(ALL in pair or pair[0] == pair[1] for pair in zip(mine, scope[2:5], strict=True))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to look. Amounts are in the currency of each series."""

    detector: str = "default"
    sensitivity: float = 1.0
    """Multiplies every threshold: 0.9 finds more, 1.2 is quieter."""
    minimum_cost: float = 1.0
    """Least excess of a day,"""
    minimum_percent: float = 5.0
    """and its least share of what was expected. Both must be reached."""
    new_cost: float = 20.0
    """What costs so much a day without any past is a finding."""
    minimum_history: int = 15
    """Days without which there is no judgement of a series."""
    look_back: int = 120
    """Days that a judgement sees."""
    roll_ups: bool = True
    """Judge sums over services, regions and accounts too: a price change, or many small rises."""
    drops: bool = True
    """Say what costs less than half of what it should, on settled days only."""
    severity: Severity | None = None
    """The same for every finding, instead of by money."""
    levels: tuple[Level, ...] = LEVELS
    fees: tuple[Fee, ...] = ()
    accepted_after: int = 45
    """Days after which what stays is the new normal."""
    account_settles: int = 56
    """Days for which a new account is left out of the sums over accounts: its growth is its own."""


class Part(NamedTuple):
    """One line of the bill that takes part in a change."""

    account: str
    service: str
    region: str
    excess: float
    """What it cost more than expected on the day."""
    new: bool
    """It had never cost anything before, as far as the look-back reaches."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One change of one scope. Amounts are in `scope.currency`; for a drop, excess and impact are negative."""

    fingerprint: str
    """Stays the same for as long as the change lasts."""
    scope: Scope
    kind: Kind
    status: Status
    severity: Severity
    first_day: date
    """The first odd day."""
    first_seen: date
    """The newest day of the bill when it was found."""
    day: date
    """The day that the amounts below are about: the newest that says something about it."""
    actual: float
    expected: float
    upper: float
    """The edge of what would not have been odd; for a drop the lower one."""
    score: float
    """When found; above 1."""
    impact: float
    """Actual less expected, from the first day to `day`."""
    settled: bool
    """Whether `day` has settled; else the amounts can only grow."""
    parts: tuple[Part, ...]
    """The fewest lines that make 80 % of the change, the largest first."""
    told: float
    """The excess of a day when it was told last, as new or as worsened."""
    ended: str = ""
    """`back` to what was expected, or `accepted` as the new normal, once resolved."""

    @property
    def excess(self) -> float:
        """What the day cost more than expected."""
        return self.actual - self.expected

    @property
    def monthly(self) -> float:
        """The impact that the severity goes by: so far for a spike, thirty such days for what stays."""
        return self.impact if self.kind is Kind.SPIKE else self.excess * 30


@dataclass(frozen=True, slots=True)
class Edge:
    """How far the bill of a source reaches."""

    settled: date
    """The newest settled day."""
    newest: date
    """The newest day with charges, settled or not."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is open, what has just ended, and up to where each source has been judged: hand it in at the next look."""

    findings: tuple[Finding, ...] = ()
    """The largest impact first. What was resolved is in one report as such, and then kept among `ended`."""
    new: tuple[str, ...] = ()
    """Fingerprints of the findings that this report is the first to have: count these."""
    judged: Mapping[str, date] = field(default_factory=dict)
    """Source → the newest settled day judged."""
    ended: tuple[Finding, ...] = ()
    """Findings that ended lately: a fall back to normal is no drop."""

    @property
    def open(self) -> tuple[Finding, ...]:
        """Those that are not resolved."""
        return tuple(finding for finding in self.findings if finding.status is not Status.RESOLVED)

    def written(self) -> str:
        """As JSON: hand it in at the next look, in another process."""
        return json.dumps(
            {
                "findings": [_written(finding) for finding in self.findings],
                "new": self.new,
                "judged": {source: day.isoformat() for source, day in self.judged.items()},
                "ended": [_written(finding) for finding in self.ended],
            }
        )

    @classmethod
    def read(cls, written: str) -> Report:
        """What `written` wrote, exactly. ValueError for anything else."""
        try:
            given: dict[str, Any] = json.loads(written)
            return cls(
                findings=tuple(_read(each) for each in given["findings"]),
                new=tuple(given["new"]),
                judged={source: date.fromisoformat(day) for source, day in given["judged"].items()},
                ended=tuple(_read(each) for each in given["ended"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no report of anomalies: {error!r}") from error


_DAYS = ("first_day", "first_seen", "day")


def _written(finding: Finding) -> dict[str, Any]:
    return {
        **{each.name: getattr(finding, each.name) for each in fields(finding)},
        **{name: getattr(finding, name).isoformat() for name in _DAYS},
    }


def _read(given: Mapping[str, Any]) -> Finding:
    days = {name: date.fromisoformat(given[name]) for name in _DAYS}
    words = {"kind": Kind(given["kind"]), "status": Status(given["status"]), "severity": Severity(given["severity"])}
    parts = tuple(Part(*part) for part in given["parts"])
    return Finding(**{**given, **days, **words, "scope": Scope(*given["scope"]), "parts": parts})
