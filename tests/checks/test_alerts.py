"""Firing alerts as one state. The real Alertmanager is asked in tests/e2e/test_icinga.py."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.checks.alerts import alerts, must_fire, query
from exporter.checks.nagios import Limits, Range, State, Unanswerable


def alert(name: str, severity: str | None = None, summary: str | None = None) -> dict[str, Any]:
    labels = {"alertname": name} | ({"severity": severity} if severity else {})
    return {"labels": labels, "annotations": {"summary": summary} if summary else {}}


def test_no_alert_is_ok() -> None:
    assert alerts([], Limits()).text() == (
        "CLOUDSPEND OK - no alert is firing | 'alerts'=0;;;0; 'alerts critical'=0;;;0; 'alerts warning'=0;;;0;"
    )


@pytest.mark.parametrize(
    ("severity", "state"),
    [("info", State.OK), ("none", State.OK), ("Critical", State.CRITICAL), ("page", State.CRITICAL), ("odd", 1)],
)
def test_the_severity_decides(severity: str, state: State) -> None:
    assert alerts([alert("A", severity)], Limits()).state == state
    assert alerts([alert("A")], Limits()).state is State.WARNING


def test_the_worst_comes_first_and_each_has_a_line() -> None:
    found = alerts([alert("B", "warning"), alert("A", "critical", "aws is dear")], Limits())
    assert found.state is State.CRITICAL
    assert found.summary == "2 alerts firing: A (critical): aws is dear"
    assert found.details == ("B (warning)",)


def test_limits_are_on_the_number_and_decide_alone() -> None:
    found = alerts([alert("A", "critical")], Limits(Range.parse("0"), Range.parse("3")))
    assert (found.state, found.summary) == (State.WARNING, "1 alert firing, outside 0: A (critical)")


def test_silenced_alerts_are_not_asked_for() -> None:
    asked = query(['team="shop"'])
    assert asked == "active=true&silenced=false&inhibited=false&filter=team%3D%22shop%22"


def test_a_watchdog_that_is_silent_is_unknown() -> None:
    must_fire("Watchdog", [alert("Watchdog")])
    with pytest.raises(Unanswerable, match="Watchdog is not firing, so Prometheus may not be judging"):
        must_fire("Watchdog", [])
