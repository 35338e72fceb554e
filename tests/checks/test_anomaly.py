"""Open findings as a state."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.checks.anomaly import anomaly
from exporter.checks.nagios import Limits, Range, Result, State, Unanswerable
from exporter.checks.threshold import Scope
from tests.checks.answers import FINDING, picture

NONE = Limits()
EVERYTHING = Scope()


def judged(
    *findings: dict[str, Any],
    scope: Scope = EVERYTHING,
    least: str = "low",
    limits: Limits = NONE,
    **changes: Any,
) -> Result:
    return anomaly(picture(findings=list(findings), **changes), scope, least, limits)


def test_without_a_finding_all_is_well() -> None:
    found = judged()
    assert found.text() == (
        "CLOUDSPEND OK - all: nothing costs more, or much less, than it should | 'anomalies'=0;;;0;"
        " 'anomalies critical'=0;;;0; 'anomalies high'=0;;;0; 'anomalies medium'=0;;;0; 'anomalies low'=0;;;0;"
        " 'anomalies info'=0;;;0;"
    )


@pytest.mark.parametrize(
    ("severity", "state"),
    [("info", State.OK), ("low", State.WARNING), ("medium", State.WARNING), ("high", State.CRITICAL)],
)
def test_the_severity_decides(severity: str, state: State) -> None:
    assert judged(FINDING | {"severity": severity}, least="info").state is state


def test_the_worst_is_in_the_first_line_and_each_has_its_own() -> None:
    low = FINDING | {"severity": "low", "fingerprint": "cd", "sentence": "S3 costs a little more", "impact": "5"}
    found = judged(low, FINDING | {"settled": False})
    worst = "high: Amazon EC2 costs 40.20 USD a day instead of 10.10 (impact 60.20 USD, on data that still moves)"
    assert found.summary == f"all: 2 open anomalies; {worst}"
    assert found.details == (worst, "low: S3 costs a little more (impact 5.00 USD)")
    assert "'anomaly impact USD'=65.2;;;0;" in found.text()


def test_what_is_over_does_not_count_and_what_worsened_does() -> None:
    assert judged(FINDING | {"status": "resolved"}).state is State.OK
    assert judged(FINDING | {"status": "worsened"}).state is State.CRITICAL


def test_less_severe_findings_can_be_left_out() -> None:
    assert judged(FINDING, least="critical").state is State.OK


@pytest.mark.parametrize(
    ("scope", "state"),
    [
        (Scope("aws"), State.CRITICAL),
        (Scope("azure"), State.OK),
        (Scope(service="Amazon EC2"), State.CRITICAL),
        (Scope(service="Amazon RDS"), State.OK),
        (Scope(account="111122223333"), State.CRITICAL),  # rolled up over all accounts
        (Scope(currency="EUR"), State.OK),
    ],
)
def test_a_scope_has_its_own_findings_and_those_rolled_up_over_it(scope: Scope, state: State) -> None:
    assert judged(FINDING, scope=scope).state is state


def test_limits_are_on_the_number_and_decide_alone() -> None:
    limits = Limits(Range.parse("0"), Range.parse("5"))
    found = judged(FINDING, limits=limits)
    assert found.state is State.WARNING
    assert "1 open anomaly, outside 0;" in found.summary
    assert "'anomalies'=1;0;5;0;" in found.text()


def test_long_lists_are_cut() -> None:
    many = [FINDING | {"fingerprint": f"f{number:02}"} for number in range(25)]
    assert judged(*many).details[-1] == "and 5 more"
    assert len(judged(*many).details) == 21


def test_a_source_that_was_never_judged_is_not_well() -> None:
    found = judged(sources__shop__settled=None)
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("shop: no day has settled yet, so nothing was judged; all: nothing")
    assert judged(FINDING, sources__shop__settled=None).state is State.CRITICAL


def test_a_search_that_failed_or_is_switched_off_is_unknown() -> None:
    with pytest.raises(Unanswerable, match="anomalies could not be judged"):
        judged(failed=["anomalies"])
    with pytest.raises(Unanswerable, match="anomalies are switched off"):
        judged(judged=["budgets"])
    assert judged(judged=["anomalies"], failed=["forecasts"]).state is State.OK
