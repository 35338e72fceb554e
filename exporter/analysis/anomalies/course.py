"""What becomes of a finding: its amounts from day to day, whether it worsened, whether it ended, how bad it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.anomalies.model import Finding, Kind, Settings, Severity, Status

ACCEPTED = "accepted"
STAYS = 3
"""Days after which a spike is a step."""
_WORSE = 1.5
_RUNAWAY = 1.5
_MATTERS = (Severity.MEDIUM, Severity.HIGH)
"""What runs away is critical from here on, before it costs what critical costs."""
_NOISE = 2.0
"""Standard deviations above what was expected that are nothing any more."""


class Days(NamedTuple):
    """The days of a finding, from its first to the newest settled one, in the currency of its scope."""

    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: float
    """Standard deviation of such a day."""


def today(settings: Settings, finding: Finding, settled: date, days: Days, *, new: bool) -> Finding:
    """The finding as these days show it. `settled`: the newest settled day; `new`: found just now."""
    day, count = max(settled, finding.first_day), len(days.actual)
    sign = -1 if finding.kind is Kind.DROP else 1
    excess = days.actual - days.expected
    margin = max(abs(finding.upper - finding.expected), 3 * days.spread)
    now = replace(
        finding,
        day=day,
        actual=float(days.actual[-1]),
        expected=float(days.expected[-1]),
        upper=float(days.expected[-1]) + sign * margin,
        impact=float(np.where(sign * excess > 0, excess, 0).sum()),
        settled=day <= settled,
        kind=Kind.STEP if finding.kind is Kind.SPIKE and count >= STAYS else finding.kind,
    )
    if sign * float(excess[-1]) <= min(_NOISE * days.spread, abs(finding.told) / 2) and now.settled and count > 1:
        short = count <= STAYS and finding.kind not in (Kind.NEW, Kind.DROP)
        kind = Kind.SPIKE if short else finding.kind
        return replace(now, status=Status.RESOLVED, ended="back", kind=kind, severity=finding.severity)
    if count > settings.accepted_after:
        return replace(now, status=Status.RESOLVED, ended=ACCEPTED, severity=finding.severity)
    worst = max(finding.severity, severity(settings, now), key=list(Severity).index)
    if _runs_away(sign * excess) and worst in _MATTERS and settings.severity is None:
        worst = Severity.CRITICAL
    worse = worst is not finding.severity or sign * float(excess[-1]) >= _WORSE * abs(finding.told)
    if new or not worse:
        return replace(now, severity=worst)
    return replace(now, severity=worst, status=Status.WORSENED, told=float(excess[-1]))


def severity(settings: Settings, finding: Finding) -> Severity:
    """By money a month, against the levels of the settings; a drop is information."""
    if settings.severity is not None:
        return settings.severity
    if finding.kind is Kind.DROP:
        return Severity.INFO
    month = max(finding.expected, 0.0) * 30
    for level in settings.levels:
        if finding.monthly >= max(level.cost, level.percent / 100 * month):
            return level.severity
    return Severity.INFO


def _runs_away(excess: NDArray[np.float64]) -> bool:
    """Whether the excess of the newest days has grown by half, twice in a row."""
    if len(excess) < STAYS:
        return False
    before, middle, newest = (float(each) for each in excess[-STAYS:])
    return before > 0 and middle >= _RUNAWAY * before and newest >= _RUNAWAY * middle
