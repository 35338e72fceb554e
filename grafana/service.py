"""The drill-down: one service, account or region, or any set of them, day by day and line by line."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from grafana import panels as p
from grafana import variables as v
from grafana.judged import open_anomalies
from grafana.names import PLACE, metric, total
from grafana.queries import USAGE, as_scraped, average_day, day_by_day, dearest, for_log_scale, with_name
from grafana.queries import expected as expected_of
from grafana.site import site

NAMES = ("account", "service", "region")


def dashboard() -> Dashboard:
    """For whoever asks why; rows of the other dashboards lead here."""
    made = site("service", "cloudspend: services and accounts", "What one service, account or region costs, and why.")
    for variable in (
        v.currency(),
        v.label("provider", "Provider"),
        v.account(),
        v.label("service", "Service", "provider", "account"),
        v.label("region", "Region", "provider", "account", "service"),
        v.category(),
    ):
        made = made.with_variable(variable)
    for title, row in (
        ("What is chosen costs ($currency)", figures()),
        ("Day by day, hour by hour ($currency)", days()),
        ("Shares of this month ($currency)", shares()),
        ("Findings and lines ($currency)", lines()),
    ):
        made = made.with_row(Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made


def figures() -> list[Any]:
    """The sums."""
    day = total("cloudspend_daily_cost", PLACE)
    return [
        p.figure(
            "Month to date ($currency)",
            "Cost since the first UTC day of this month, days that still move too.",
            total("cloudspend_month_to_date_cost", PLACE),
            unit=p.MONEY,
            decimals=2,
            width=6,
        ),
        p.figure(
            "Last month ($currency)",
            "Cost of the UTC month before this one. It may move until its bill is closed.",
            total("cloudspend_previous_month_cost", PLACE),
            unit=p.MONEY,
            decimals=2,
            width=6,
        ),
        p.figure(
            "Latest settled day ($currency)",
            "Cost of the latest settled UTC day of each source. Sources may have settled up to different days.",
            day,
            unit=p.MONEY,
            decimals=2,
            width=6,
        ),
        p.figure(
            "Average day of last month ($currency)",
            "Usage of last month by the days that it had: without fees and taxes, which come once a month.",
            average_day(PLACE),
            unit=p.MONEY,
            decimals=2,
            width=6,
        ),
    ]


def days() -> list[Any]:
    """Over time."""
    expected, upper = "expected", "up to here not odd"
    usage = p.graph(
        "Usage and what was expected ($currency)",
        "The latest settled day as it was scraped on each day, and what it should have cost: a finding is above the"
        " band. Of several lines the bands are added, which is wider than a band of their sum; lines that cost nothing"
        " on a day are left out of it. Expectations are of the effective cost where the bill knows it: where"
        " commitments pay for usage, a billed line lies below them.",
        p.Ask(f"sum({as_scraped('cloudspend_daily_cost', PLACE, charge_category=USAGE)})", "cost"),
        p.Ask(expected_of("cloudspend_daily_cost_expected", PLACE), expected),
        p.Ask(expected_of("cloudspend_daily_cost_expected_upper", PLACE), upper),
        unit=p.MONEY,
        daily=True,
        width=12,
        links=[p.link("Anomalies", "/d/cloudspend-anomalies")],
    )
    dearest_ones = dearest(12, PLACE, *NAMES, daily=True)
    hourly = total("cloudspend_hourly_cost", PLACE, "service")
    has_hours = metric("cloudspend_data_hour_end_timestamp_seconds")
    of_such = f"sum({metric('cloudspend_daily_cost', PLACE)} and on (job, instance, source) {has_hours})"
    without = f'label_replace(0 * {of_such}, "service", "none", "", "")'
    return [
        p.bars(
            "Spend per day and charge category ($currency)",
            "Each bar is a UTC day. Where `cloudspend history` wrote one, it stands on its own day, settled days alone;"
            " else it is the latest settled day as it was scraped on that day.",
            p.Ask(day_by_day(PLACE, "charge_category"), "{{charge_category}}"),
            unit=p.MONEY,
            width=12,
        ),
        p.band(usage, expected, upper),
        p.graph(
            "Dearest lines, day by day ($currency, log scale)",
            "The twelve lines that cost most in this month and the last. Logarithmic, so that small ones can be seen"
            " beside large ones; days of a hundredth or less are left out.",
            p.Ask(
                for_log_scale(f"{day_by_day(PLACE, *NAMES)} and on ({', '.join(NAMES)}) {dearest_ones}"),
                "{{service}}, {{region}}, {{account}}",
            ),
            unit=p.MONEY,
            daily=True,
            log=True,
            height=11,
        ),
        p.graph(
            "Hour by hour ($currency)",
            "The latest settled UTC hour as it was scraped, of sources that bill by the hour: a day later for most. An"
            " hour in which nothing at all was charged is 0 of `none`.",
            p.Ask(f"{hourly} or on () {without}", "{{service}}"),
            unit=p.MONEY,
            nothing="no source here bills by the hour",
            height=7,
        ),
    ]


def shares() -> list[Any]:
    """The same money, cut four ways."""
    family = "cloudspend_month_to_date_cost"
    accounts = total(family, PLACE, "provider", "account")
    return [
        p.ranked(
            f"By {words} ($currency)",
            f"Cost since the first UTC day of this month by {words}, the ten largest.",
            p.Ask(f"topk(10, {expr})", legend),
            unit=p.MONEY,
            width=6,
        )
        for words, expr, legend in (
            ("service", total(family, PLACE, "service"), "{{service}}"),
            ("account", with_name(accounts, accounts), "{{name}} {{account}}"),
            ("region", total(family, PLACE, "region"), "{{region}}"),
            ("charge category", total(family, PLACE, "charge_category"), "{{charge_category}}"),
        )
    ]


def lines() -> list[Any]:
    """What was found here, and every line."""
    by = ("source", "provider", "account", "service", "region", "charge_category")
    top = dearest(100, PLACE, *by)
    asks = {
        "This month": "cloudspend_month_to_date_cost",
        "Last month": "cloudspend_previous_month_cost",
        "Latest day": "cloudspend_daily_cost",
    }
    money = p.Column(unit=p.MONEY, width=110)
    return [
        open_anomalies({**PLACE, **{name: f'=~"${name}|all"' for name in NAMES}}, width=24, height=8),
        p.listing(
            "Lines of the bill ($currency)",
            "The hundred lines that cost most in this month and the last. `cloudspend costs` has them all.",
            *(
                p.Ask(f"{total(family, PLACE, *by)} and on ({', '.join(by)}) {top}", name)
                for name, family in asks.items()
            ),
            names={
                "service": "Service",
                "account": "Account",
                "region": "Region",
                "charge_category": "Category",
                "provider": "Provider",
                "source": "Source",
            },
            columns=dict.fromkeys(asks, money),
            sort="This month",
            width=24,
            height=14,
        ),
    ]
