"""Anomalies: what is odd, how bad it is, what it costs, and how far to trust what is expected."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from grafana import panels as p
from grafana import variables as v
from grafana.judged import OPEN_ANOMALIES, SEVERITY, open_anomalies
from grafana.names import metric, total
from grafana.queries import USAGE, as_scraped
from grafana.queries import expected as expected_of
from grafana.site import site

WHERE = OPEN_ANOMALIES
NOTHING_NEW = "nothing new"


def dashboard() -> Dashboard:
    """For whoever is asked what happened."""
    made = site("anomalies", "cloudspend: anomalies", "Usage that costs more, or much less, than it should.")
    made = made.with_variable(v.currency()).with_variable(v.label("provider", "Provider")).with_variable(v.category())
    for title, row in (
        ("What is odd?", [*counts(), impact(), found(), open_anomalies(WHERE, width=24, height=10)]),
        ("Over time ($currency)", [over_time(), expected(), providers()]),
        ("Lines and places ($currency)", [oddest(), first_spend()]),
        ("How good are forecasts?", [forecasts()]),
    ):
        made = made.with_row(Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made


def counts() -> list[Any]:
    """How many are open, by severity."""
    return [
        p.figure(
            word.capitalize(),
            f"Findings of severity {word} that are open now.",
            total("cloudspend_anomalies", WHERE, severity=f'="{severity}"'),
            unit=p.COUNT,
            levels=((None, "text"), (1, colour)),
            nothing="no spending that was watched",
            width=3,
        )
        for severity, (word, colour) in SEVERITY.items()
    ]


def impact() -> Any:
    """What they cost."""
    info = metric("cloudspend_anomaly_info", WHERE)
    cost = metric("cloudspend_anomaly_impact_cost", WHERE)
    return p.figure(
        "Impact of open findings ($currency)",
        "What all open findings have cost above what was expected, since each began; drops count as savings.",
        f"sum({cost} * on (job, instance, fingerprint) {info})",
        unit=p.MONEY,
        decimals=2,
        nothing="0",
        width=5,
    )


def found() -> Any:
    """How many were new."""
    return p.figure(
        "New in the chosen time",
        "Findings that were new within the chosen time, resolved ones too.",
        f"sum(increase({metric('cloudspend_anomalies_found_total', WHERE)}[$__range]))",
        unit=p.COUNT,
        decimals=0,
        nothing="no spending that was watched",
    )


def over_time() -> Any:
    """How many stood open."""
    panel = p.bars(
        "Open findings by severity",
        "Findings that were open on each day.",
        p.Ask(f"sum by (severity) ({as_scraped('cloudspend_anomalies', WHERE)})", "{{severity}}"),
        unit=p.COUNT,
        width=8,
    )
    for severity, (_, colour) in SEVERITY.items():
        panel = panel.override_by_name(severity, p.properties(p.fixed(colour)))
    return panel


def expected() -> Any:
    """All usage against all that was expected."""
    lower, upper = "expected", "up to here not odd"
    panel = p.graph(
        "Usage and what was expected ($currency)",
        "The latest settled day as it was scraped on each day, and what it should have cost. The band is the sum of"
        " the bands of all lines that cost something on the day, wider than one of their sum; the drill-down shows"
        " single ones. Expectations are of the effective cost: they hold what commitments pay for.",
        p.Ask(f"sum({as_scraped('cloudspend_daily_cost', WHERE, charge_category=USAGE)})", "cost"),
        p.Ask(expected_of("cloudspend_daily_cost_expected", WHERE), lower),
        p.Ask(expected_of("cloudspend_daily_cost_expected_upper", WHERE), upper),
        unit=p.MONEY,
        daily=True,
        width=8,
    )
    return p.band(panel, lower, upper)


def providers() -> Any:
    """Who has most."""
    return p.ranked(
        "Open findings by provider",
        "Findings that are open now.",
        p.Ask(total("cloudspend_anomalies", WHERE, "provider"), "{{provider}}"),
        unit=p.COUNT,
        levels=((None, p.BLUE),),
        nothing="no spending that was watched",
    )


def oddest() -> Any:
    """Lines near the edge, findings or not."""
    by = ("provider", "account", "service", "region")
    score = f"topk(15, max by ({', '.join(by)}) ({metric('cloudspend_daily_cost_anomaly_score', WHERE)}))"
    there = p.drill_down(provider="Provider", account="Account", service="Service", region="Region")

    def beside(family: str) -> str:
        return f"{total(family, WHERE, *by)} and on ({', '.join(by)}) {score}"

    return p.listing(
        "Oddest lines of the latest day ($currency)",
        "The fifteen lines whose latest settled day was oddest. A score above 1 is a finding, unless a wider or"
        " narrower one says it better.",
        p.Ask(score, "Score"),
        p.Ask(beside("cloudspend_daily_cost_expected"), "Expected"),
        p.Ask(beside("cloudspend_daily_cost_expected_upper"), "Not odd to"),
        names={"service": "Service", "account": "Account", "region": "Region", "provider": "Provider"},
        columns={
            "Service": p.Column(link=there),
            "Score": p.Column(levels=((None, "text"), (0.8, p.YELLOW), (1, p.ORANGE)), width=80),
            "Expected": p.Column(unit=p.MONEY, width=100),
            "Not odd to": p.Column(unit=p.MONEY, width=100),
            "Provider": p.Column(width=90),
        },
        sort="Score",
        width=14,
    )


def first_spend() -> Any:
    """What was never there before."""
    found = total("cloudspend_first_spend_cost", WHERE, "provider", "kind", "name")
    # Nothing is known to be new only where somebody looked.
    looked = metric("cloudspend_judgement_failed", judgement='="tripwire"')
    months = [metric(f"cloudspend_{month}_cost", WHERE) for month in ("month_to_date", "previous_month")]
    billed = " or ".join(f"sum by (provider) ({month} and on (job, instance) ({looked} == 0))" for month in months)
    none = f'label_replace(0 * ({billed}), "name", "{NOTHING_NEW}", "", "")'
    return p.listing(
        "Spent for the first time ($currency)",
        "Accounts, services and regions that cost something for the first time ever within the last seven days. A"
        f" provider without any has 0 of `{NOTHING_NEW}`.",
        p.Ask(f"{found} or on (provider) {none}", "Cost"),
        names={"name": "Name", "kind": "Kind", "provider": "Provider"},
        columns={"Cost": p.Column(unit=p.MONEY, width=110), "Provider": p.Column(width=90), "Kind": p.Column(width=90)},
        sort="Cost",
        nothing="no spending that was watched",
        width=10,
    )


def forecasts() -> Any:
    """How wrong they were."""

    def of(family: str) -> str:
        return total(family, WHERE, "provider")

    month = "cloudspend_month_forecast_cost"
    return p.listing(
        "Forecasts by provider ($currency)",
        "The forecast of this month with its 80 % interval, by how much such forecasts were wrong in the past, and how"
        " often their interval held what came.",
        p.Ask(of(month), "Forecast"),
        p.Ask(of(f"{month}_lower"), "80 % lower"),
        p.Ask(of(f"{month}_upper"), "80 % upper"),
        p.Ask(of("cloudspend_forecast_error_ratio"), "Error"),
        p.Ask(of("cloudspend_forecast_coverage_ratio"), "Held"),
        names={"provider": "Provider"},
        columns={
            **{name: p.Column(unit=p.MONEY) for name in ("Forecast", "80 % lower", "80 % upper")},
            "Error": p.Column(unit=p.RATIO),
            "Held": p.Column(unit=p.RATIO),
        },
        sort="Forecast",
        width=24,
        height=7,
    )
