"""Findings of days gone by: the stored days of a source replayed one by one, as they are known now.

Imports numpy: import it where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date

from exporter.analysis.anomalies import Edge, Finding, Report, Settings, evaluate
from exporter.periods import DAY
from exporter.polling.estate import Estate, Stored

Watched = Callable[[str, Sequence[date]], Iterable[date]]
"""Hands the days of a source through, one by one; it may show how far it is."""


def unwatched(_name: str, days: Sequence[date]) -> Iterable[date]:
    """Hands the days through."""
    return days


def replay(stored: Stored, settings: Settings, since: date, watched: Watched = unwatched) -> list[Report]:
    """One look a day at the settled days from `since` on, and a last one at what moves behind them."""
    report, reports, last = Report(), [], stored.edge.settled
    days = [day for day in stored.series.days if since <= day <= last]
    for day in watched(stored.name, days):
        report = evaluate(settings, stored.series, {stored.name: Edge(day, day)}, report)
        reports.append(report)
    if days and stored.edge.newest > last:
        reports.append(evaluate(settings, stored.series, {stored.name: stored.edge}, report))
    return reports


def begin(settings: Settings, since: date) -> tuple[date, date]:
    """From when to replay so that findings from `since` on are whole, and from when days are needed for that."""
    # What was open when the days begin must have been found before, and before that the rise whose end is no drop.
    replayed = since - DAY * 2 * settings.accepted_after
    return replayed, replayed - DAY * settings.look_back


def findings(estate: Estate, settings: Settings, since: date, watched: Watched = unwatched) -> list[Finding]:
    """Every finding that was open on or after `since` as it is now, the open ones first, then the largest.

    One that ended is as it was on its last odd day.
    """
    found: dict[str, Finding] = {}
    for source in estate.sources:
        for report in replay(source, settings, begin(settings, since)[0], watched):
            for finding in report.findings:
                last = found.get(finding.fingerprint, finding) if finding.ended else finding
                found[finding.fingerprint] = replace(last, status=finding.status, ended=finding.ended)
    recent = [finding for finding in found.values() if not finding.ended or finding.day >= since]
    return sorted(recent, key=lambda finding: (finding.ended != "", -abs(finding.impact), finding.fingerprint))
