"""What Alertmanager sends, as a message."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.notify.alerts import identity, message, parsed
from exporter.notify.message import OPEN, SEVERITIES, Message
from exporter.notify.news import finding_message
from exporter.notify.words import NOWHERE, Pages
from tests.notify.test_news import finding

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)


def alert(number: int = 1, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "CloudspendDailyCostAnomaly", "severity": "warning", "source": "aws-prod"} | labels,
        "annotations": {
            "summary": f"Service {number} costs more",
            "description": f"Service {number} cost 10 USD more than expected.",
            "runbook_url": "https://example.org/runbooks#x",
        },
        "startsAt": "2024-03-15T11:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=1",
        "fingerprint": f"{number:016x}",
    }


def group(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    common = dict(set.intersection(*(set(each["labels"].items()) for each in alerts))) if alerts else {}
    return {
        "receiver": "cloudspend",
        "status": "firing" if any(each["status"] == "firing" for each in alerts) else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "CloudspendDailyCostAnomaly"},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}:{alertname="CloudspendDailyCostAnomaly"}',
        "truncatedAlerts": 0,
    } | changes


def said(sent: dict[str, Any], *findings: dict[str, Any], pages: Pages = NOWHERE) -> Message:
    found = parsed(json.dumps(sent).encode())
    return message(found, NOW, {each["fingerprint"]: each for each in findings}, identity(found), pages)


def test_one_alert_is_told_in_its_own_words() -> None:
    made = said(group(alert()))
    assert (made.status, made.kind, made.severity, made.source) == ("firing", "alert", "medium", "aws-prod")
    assert (made.title, made.sentence) == ("Service 1 costs more", "Service 1 cost 10 USD more than expected.")
    assert made.facts == (("source", "aws-prod"), ("since", "2024-03-15 11:00 UTC"))
    assert dict(made.links) == {
        "runbook": "https://example.org/runbooks#x",
        "query": "http://prometheus:9090/graph?g0.expr=1",
        "Alertmanager": "http://alertmanager:9093",
    }


def test_paths_of_a_rule_lead_to_the_pages_that_are_configured_and_nowhere_without() -> None:
    sent = alert() | {"annotations": {"explanation": "/#anomalies", "dashboard": "/d/cloudspend-anomalies?var-a=b%2Fc"}}
    assert dict(said(group(sent)).links).keys() == {"query", "Alertmanager"}
    there = dict(said(group(sent), pages=Pages("https://costs.example.org", "https://graphs.example.org/sub")).links)
    assert there["explanation"] == "https://costs.example.org/#anomalies"
    assert there["dashboard"] == "https://graphs.example.org/sub/d/cloudspend-anomalies?var-a=b%2Fc"
    whole = alert() | {"annotations": {"dashboard_url": "https://example.org/mine", "explanation": "see the wiki"}}
    assert dict(said(group(whole)).links).keys() == {"dashboard", "query", "Alertmanager"}


@pytest.mark.parametrize("word", SEVERITIES)
def test_a_finding_has_the_same_severity_through_alertmanager_as_directly(word: str) -> None:
    """Alertmanager routes by another word, which the rule derives from the finding's."""
    direct = finding_message(finding(severity=word), OPEN, NOW)
    routed = said(group(alert(fingerprint="f1", finding=word, severity="warning")), finding(severity=word))
    assert routed.severity == direct.severity == word


def test_an_alert_about_a_finding_brings_its_explanation() -> None:
    made = said(group(alert(fingerprint="f1")), finding())
    assert made.lines == ("EC2 - Other cost 225.68 USD.", "NAT / us-east-1 / 111122223333: +206.70 USD, new")
    assert ("actual", "225.68 USD") in made.facts


def test_several_alerts_are_one_message_with_the_worst_first() -> None:
    alerts = [*(alert(number) for number in range(30)), alert(99, severity="critical"), alert(100, status="resolved")]
    made = said(group(*alerts))
    assert made.severity == "critical"
    assert made.title == "Service 99 costs more, and 31 more"
    assert made.sentence == "CloudspendDailyCostAnomaly: 31 firing, 1 resolved."
    assert made.lines[0] == "Service 99 cost 10 USD more than expected."
    assert made.lines[10:] == ("and 21 more", "over: Service 100 cost 10 USD more than expected.")


def test_several_alerts_with_a_summary_in_common_are_told_under_it() -> None:
    made = said(group(alert(1), alert(2), commonAnnotations={"summary": "Everything costs more."}))
    assert (made.title, made.sentence) == ("Everything costs more (2 firing)", "Everything costs more.")


def test_a_rule_without_words_is_told_by_its_name() -> None:
    bare = [alert(number) | {"annotations": {}} for number in range(2)]
    assert said(group(*bare)).title == "CloudspendDailyCostAnomaly, and 1 more"
    assert said(group(bare[0])).title == "CloudspendDailyCostAnomaly"


def test_a_resolved_group_is_over() -> None:
    made = said(group(alert(status="resolved")))
    assert made.over
    assert made.heading == "[RESOLVED] Service 1 costs more"


def test_alerts_that_were_left_out_are_counted() -> None:
    assert said(group(alert(), truncatedAlerts=7)).lines[-1] == "and 7 more that Alertmanager left out"


def test_the_same_group_has_the_same_identity_and_another_state_has_not() -> None:
    def name(*alerts: dict[str, Any]) -> str:
        return identity(parsed(json.dumps(group(*alerts)).encode()))

    assert name(alert(1), alert(2)) == name(alert(2), alert(1))
    assert len({name(alert(1)), name(alert(1), alert(2)), name(alert(1, status="resolved"))}) == 3


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[]", "the body is not an object"),
        (b"{}", "version is None"),
        (json.dumps(group(alert(), version="3")).encode(), "version is '3'"),
        (json.dumps(group(alert(), alerts=[])).encode(), "alerts is empty"),
        (json.dumps(group(alert(), alerts={})).encode(), "alerts is missing or of the wrong kind"),
        (json.dumps(group(alert(), status="odd")).encode(), "status is 'odd'"),
        (json.dumps(group(alert(), groupKey=None)).encode(), "groupKey is missing"),
        (json.dumps(group(alert() | {"startsAt": "yesterday"})).encode(), r"alerts\[0\].startsAt is not an instant"),
        (json.dumps(group(alert() | {"labels": {"a": 1}}, commonLabels={})).encode(), r"alerts\[0\].labels is not"),
        (json.dumps(group(alert(), commonLabels={}, alerts=[1])).encode(), r"alerts\[0\] is not an object"),
        (json.dumps(group(alert() | {"fingerprint": None})).encode(), r"alerts\[0\].fingerprint is missing"),
    ],
)
def test_what_is_no_group_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parsed(body)
