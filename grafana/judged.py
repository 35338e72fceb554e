"""The table of open anomalies, which two dashboards show."""

from __future__ import annotations

from typing import Any

from grafana import panels as p
from grafana.names import Scope, metric

SEVERITY = {
    "critical": ("critical", p.RED),
    "high": ("high", p.ORANGE),
    "medium": ("medium", p.YELLOW),
    "low": ("low", p.BLUE),
    "info": ("info", p.GREY),
}
OPEN_ANOMALIES: Scope = {"provider": '=~"$provider"', "currency": '="$currency"'}
_HERE = ("provider", "account", "service", "region", "kind", "severity")
_WHERE = ("account", "service", "region")


def open_anomalies(scope: Scope, *, width: int, height: int) -> Any:
    """A row per open finding: where, how bad, and what it explains."""
    info = metric("cloudspend_anomaly_info", scope)
    for label in _WHERE:
        # What the drill-down is to choose; where the finding spans several, all of them.
        info = f'label_replace({info}, "to_{label}", "$1", "{label}", "(.*)")'
        info = f'label_replace({info}, "to_{label}", "$$__all", "{label}", "all")'
    more = ", ".join([*_HERE, *(f"to_{label}" for label in _WHERE)])

    def amount(family: str) -> str:
        joined = f"{metric(family, scope)} * on (job, instance, fingerprint) group_left ({more}) {info}"
        return f"sum by (fingerprint, currency, {more}) ({joined})"

    there = p.drill_down(provider="Provider", **{label: f"to_{label}" for label in _WHERE})
    return p.listing(
        "Open anomalies ($currency)",
        "Findings that are open now, the costliest first. Actual and expected are of the newest day of the finding,"
        " impact is all it has cost above what was expected. `all` where the finding spans more than one."
        " `cloudspend anomalies` tells each in a sentence.",
        p.Ask(amount("cloudspend_anomaly_impact_cost"), "Impact"),
        p.Ask(amount("cloudspend_anomaly_actual_cost"), "Actual"),
        p.Ask(amount("cloudspend_anomaly_expected_cost"), "Expected"),
        names={
            "severity": "Severity",
            "service": "Service",
            "account": "Account",
            "region": "Region",
            "kind": "Kind",
            "provider": "Provider",
        },
        columns={
            "Severity": p.Column(words=SEVERITY, width=90),
            "Service": p.Column(link=there),
            "Kind": p.Column(width=100),
            "Provider": p.Column(width=90),
            "Impact": p.Column(unit=p.MONEY, width=110),
            "Actual": p.Column(unit=p.MONEY, width=110),
            "Expected": p.Column(unit=p.MONEY, width=110),
        },
        hidden=["fingerprint", "currency", *(f"to_{label}" for label in _WHERE)],
        sort="Impact",
        links=[p.link("Anomalies", "/d/cloudspend-anomalies")],
        nothing="no open anomalies",
        width=width,
        height=height,
    )
