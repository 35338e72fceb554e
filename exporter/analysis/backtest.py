"""What alerts would have fired, had a detector watched the days that are stored; what it found and what it missed.

Each day is judged from it and the days before alone, as they are known now: what was restated since counts as it is,
and a day counts as settled on the day itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from exporter.analysis.anomalies import Edge, Finding, Report, Settings, evaluate
from exporter.analysis.series import ALL, Series
from exporter.periods import DAY

LATE = timedelta(days=3)
"""An alert so long after what was labelled still means it."""
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding as it was told first."""

    finding: Finding
    sensitivity: float
    """What it was found with."""

    @property
    def day(self) -> date:
        """The day it is about."""
        return self.finding.first_day

    @property
    def silent_at(self) -> float:
        """The lowest sensitivity at which this alone would not have been told."""
        return self.finding.score * self.sensitivity


@dataclass(frozen=True, slots=True)
class Label:
    """Something that somebody knows to have happened, on days from `first` to `last`. What is empty is not said."""

    first: date
    last: date
    provider: str = ""
    account: str = ""
    service: str = ""
    region: str = ""

    def meets(self, alert: Alert) -> bool:
        """Whether an alert is about it: its days, or up to three after them, and its scope or a wider or narrower one.

        A scope that is rolled up is about what its parts name.
        """
        if not self.first <= alert.day <= self.last + LATE:
            return False
        scope = alert.finding.scope
        if self.provider and self.provider.lower() != scope.provider.lower():
            return False
        wanted = {name: value.lower() for name in _PLACES if (value := getattr(self, name))}
        if all(getattr(scope, name).lower() == value for name, value in wanted.items()):
            return True
        return any(
            all(
                getattr(scope, name) in (ALL, getattr(part, name)) and getattr(part, name).lower() == value
                for name, value in wanted.items()
            )
            for part in alert.finding.parts
        )

    def __str__(self) -> str:
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return " ".join([days, *(word for name in ("provider", *_PLACES) if (word := getattr(self, name)))])


_PLACES = ("account", "service", "region")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Alerts beside labels."""

    true: tuple[Alert, ...]
    false: tuple[Alert, ...]
    found: tuple[Label, ...]
    missed: tuple[Label, ...]

    @property
    def precision(self) -> float | None:
        """The share of alerts that are about something labelled; None without alerts."""
        told = len(self.true) + len(self.false)
        return len(self.true) / told if told else None

    @property
    def recall(self) -> float | None:
        """The share of labels that an alert was about; None without labels."""
        known = len(self.found) + len(self.missed)
        return len(self.found) / known if known else None


def judged(alerts: Sequence[Alert], labels: Collection[Label]) -> Verdict:
    """Which alerts are about a label, and which labels an alert was about."""
    true = tuple(alert for alert in alerts if any(label.meets(alert) for label in labels))
    found = tuple(label for label in labels if any(label.meets(alert) for alert in alerts))
    return Verdict(
        true,
        tuple(alert for alert in alerts if alert not in true),
        found,
        tuple(label for label in labels if label not in found),
    )


def replay(settings: Settings, source: str, series: Series, first: date, last: date) -> Iterator[tuple[Alert, ...]]:
    """The alerts of each day from `first` to `last`, a day at a time; the series are those of one source.

    Days before are replayed too, without a word: what they opened is no news.
    """
    report = Report()
    warm_up = first - DAY * 2 * settings.accepted_after
    for day in _days(series, warm_up, last):
        report = evaluate(settings, series, {source: Edge(day, day)}, report)
        if day >= first:
            new = [finding for finding in report.findings if finding.fingerprint in report.new]
            yield tuple(Alert(finding, settings.sensitivity) for finding in new)


def quiet(settings: Settings, source: str, series: Series, first: date, last: date) -> float:
    """The lowest sensitivity from `settings.sensitivity` on at which no day from `first` to `last` has an alert.

    While nothing is told, no finding changes what a later day is compared with: each day can be judged by itself. So
    the days are scored once, and then only those with alerts again, at the highest score seen, until none is left
    (what was part of a wider finding may have a higher score by itself).
    """
    days = _days(series, first, last)
    while days:
        alone = {day: _alone(settings, source, series, day) for day in days}
        days = [day for day, alerts in alone.items() if alerts]
        if days:
            settings = _raised(settings, [alert for alerts in alone.values() for alert in alerts])
    return settings.sensitivity


def quiet_but(
    settings: Settings, source: str, series: Series, first: date, last: date, labels: Collection[Label]
) -> float | None:
    """The lowest sensitivity from `settings.sensitivity` on at which every alert is about a label.

    What is told does change what later days are compared with, so it is replayed at the highest score of an alert that
    is about no label until there is none: a few times. None where eight are not enough.
    """
    for _ in range(_ROUNDS):
        alerts = [alert for day in replay(settings, source, series, first, last) for alert in day]
        unwanted = judged(alerts, labels).false
        if not unwanted:
            return settings.sensitivity
        settings = _raised(settings, unwanted)
    return None


def series_months(settings: Settings, series: Series, first: date, last: date) -> float:
    """So many months of lines were judged: those of lines with too little history are none."""
    inside = np.array([first <= day <= last for day in series.days], bool)
    old = np.cumsum(np.isfinite(series.values), axis=1) >= settings.minimum_history
    return float(old[:, inside].sum()) / 30


def _alone(settings: Settings, source: str, series: Series, day: date) -> tuple[Alert, ...]:
    """The alerts of a day before which nothing was told."""
    report = evaluate(settings, series, {source: Edge(day, day)}, Report(judged={source: day - DAY}))
    return tuple(Alert(finding, settings.sensitivity) for finding in report.findings)


def _raised(settings: Settings, alerts: Iterable[Alert]) -> Settings:
    highest = max(alert.silent_at for alert in alerts)
    # Scores and sensitivities are divided by each other: the last digit may fall either way.
    return replace(settings, sensitivity=max(highest, settings.sensitivity) * (1 + 1e-9))


def _days(series: Series, first: date, last: date) -> list[date]:
    return [day for day in series.days if first <= day <= last]
