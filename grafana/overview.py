"""The overview: is anything wrong, what does this month come to, where does it go, who has to be told."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common, geomap
from grafana_foundation_sdk.builders.dashboard import Dashboard, FieldColor, Row
from grafana_foundation_sdk.models import common as model
from grafana_foundation_sdk.models.dashboard import FieldColorModeId

from grafana import panels as p
from grafana import variables as v
from grafana.judged import OPEN_ANOMALIES, open_anomalies
from grafana.names import BILL, metric, total
from grafana.queries import as_scraped, average_day, day_by_day, dearest, for_log_scale, moved, movers, with_name
from grafana.regions import with_place
from grafana.site import site

SERVICE = p.drill_down(provider="Provider", service="Service")
ACCOUNT = p.drill_down(provider="Provider", account="Account")
REGION = p.drill_down(provider="Provider", region="Region")
OURS, FIRING, NO_CREDIT = '=~"Cloudspend.+"', '="firing"', '!="credit"'
EXCEPT_CREDITS = "every charge but credits, whatever charge categories are chosen above"


def dashboard() -> Dashboard:
    """For whoever looks once a day."""
    made = site(
        "overview",
        "cloudspend: overview",
        "What the clouds cost this month, where it goes, and whether the data can be trusted.",
    )
    for variable in (v.currency(), v.label("provider", "Provider"), v.category(), v.basis()):
        made = made.with_variable(variable)
    for title, row in (
        ("Is anything wrong, and is the data fresh?", health()),
        ("This month ($currency)", month()),
        ("Day by day ($currency)", days()),
        ("Where it goes ($currency)", places()),
        ("Budgets and anomalies", judgements()),
    ):
        made = made.with_row(Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made


def health() -> list[Any]:
    """The first row: before any chart."""
    end, up = metric("cloudspend_data_end_timestamp_seconds"), metric("cloudspend_up")
    limit = metric("cloudspend_source_stale_after_seconds")
    none = f"0 * count({up})"
    return [
        p.figure(
            "Sources that fail",
            "Billing sources whose last poll failed. Their figures are the last good ones: right, but standing still.",
            f"count({up}) - sum({up})",
            unit=p.COUNT,
            levels=p.NONE_IS_GOOD,
            nothing="no exporter",
            links=[p.runbook("cloudspendsourcedown")],
        ),
        p.figure(
            "Stale sources",
            "Sources whose newest settled day is older than `settles_after` and a day and `max_age` allow, or was"
            " withdrawn.",
            f"count((time() - {end} > {limit}) or ({limit} unless {end})) or {none}",
            unit=p.COUNT,
            levels=p.NONE_IS_GOOD,
            nothing="no exporter",
            links=[p.runbook("cloudspenddatastale")],
        ),
        p.figure(
            "Settled until",
            "End of the newest UTC day that has settled, of the source that is furthest behind. Days take as long to"
            " settle as their cloud needs; sources that have ended do not count.",
            f"min({end} and on (source) {limit}) * 1000",
            unit=p.AGO,
            nothing="no data",
            links=[p.runbook("cloudspenddatastale")],
        ),
        p.figure(
            "Alerts",
            "Alerts of cloudspend that fire now. Needs the shipped rules in Prometheus.",
            f"count({metric('ALERTS', alertname=OURS, alertstate=FIRING)}) or {none}",
            unit=p.COUNT,
            levels=p.NONE_IS_GOOD,
            nothing="no exporter",
            links=[p.link("Runbooks", p.RUNBOOKS, blank=True)],
        ),
        p.figure(
            "Budgets in trouble",
            "Budgets that are over their limit, or are expected to be by the end of their period.",
            total("cloudspend_budget_status", status='=~"over|at_risk"'),
            unit=p.COUNT,
            levels=((None, p.GREEN), (1, p.ORANGE)),
            nothing="no budgets",
            links=[p.link("Budgets", "/d/cloudspend-budgets")],
        ),
        p.figure(
            "Open anomalies",
            "Findings that are open now: usage that costs more, or much less, than it should.",
            total("cloudspend_anomalies", {"provider": BILL["provider"]}),
            unit=p.COUNT,
            levels=((None, p.GREEN), (1, p.ORANGE)),
            nothing="not watched",
            links=[p.link("Anomalies", "/d/cloudspend-anomalies")],
        ),
    ]


def month() -> list[Any]:
    """This month against the last."""
    forecast = total("cloudspend_month_forecast_cost", BILL)
    before = total("cloudspend_previous_month_cost", BILL, charge_category=NO_CREDIT)
    scope = {label: BILL[label] for label in ("provider", "currency", "charge_category")}
    chosen = ",".join(label + how for label, how in scope.items())
    return [
        p.figure(
            "Month to date ($currency)",
            "Cost since the first UTC day of this month, days that still move too, on the chosen basis.",
            f"sum(${{basis}}{{{chosen}}})",
            unit=p.MONEY,
            decimals=2,
        ),
        p.figure(
            "Nowcast ($currency)",
            "What this month has cost up to now: settled days as billed, and an estimate of those hours that the"
            f" clouds have not billed yet. It counts {EXCEPT_CREDITS}.",
            total("cloudspend_month_to_date_nowcast_cost", BILL),
            unit=p.MONEY,
            decimals=2,
        ),
        p.figure(
            "Forecast for the month ($currency)",
            f"What the month is expected to come to: {EXCEPT_CREDITS}.",
            forecast,
            unit=p.MONEY,
            decimals=2,
        ),
        p.figure(
            "Last month ($currency)",
            "Cost of the UTC month before this one. It may move until its bill is closed.",
            total("cloudspend_previous_month_cost", BILL),
            unit=p.MONEY,
            decimals=2,
        ),
        p.figure(
            "Forecast against last month",
            f"By how much the month is expected to differ from the last: {EXCEPT_CREDITS}.",
            f"{forecast} / {before} - 1",
            unit=p.RATIO,
            decimals=1,
            levels=((None, p.GREEN), (0.1, p.YELLOW), (0.25, p.RED)),
        ),
        p.figure(
            "Latest common day ($currency)",
            "Cost of the newest UTC day that has settled in every source: the one to add up. Every charge category.",
            total("cloudspend_common_day_cost", BILL),
            unit=p.MONEY,
            decimals=2,
        ),
    ]


def days() -> list[Any]:
    """Over time."""
    by = ("provider", "service")
    most = f"{day_by_day(BILL, *by)} and on (provider, service) {dearest(10, BILL, *by, daily=True)}"
    forecast = "cloudspend_month_forecast_cost"
    lower, upper = "80 % lower", "80 % upper"
    outlook = p.graph(
        "Where the month is going ($currency)",
        "The forecast for the month and its 80 % interval, and the month so far, as they stood on each day: the"
        f" forecast should narrow, and meet the month at its end. It counts {EXCEPT_CREDITS}.",
        p.Ask(f"sum({as_scraped('cloudspend_month_to_date_cost', BILL, charge_category=NO_CREDIT)})", "month to date"),
        p.Ask(f"sum({as_scraped(forecast, BILL)})", "forecast"),
        p.Ask(f"sum({as_scraped(f'{forecast}_lower', BILL)})", lower),
        p.Ask(f"sum({as_scraped(f'{forecast}_upper', BILL)})", upper),
        unit=p.MONEY,
        daily=True,
        width=12,
    )
    return [
        p.bars(
            "Spend per day and provider ($currency)",
            "Each bar is a UTC day. Where `cloudspend history` wrote one, it stands on its own day, settled days alone;"
            " else it is the latest settled day as it was scraped on that day.",
            p.Ask(day_by_day(BILL, "provider"), "{{provider}}"),
            unit=p.MONEY,
            width=12,
        ),
        p.band(outlook, lower, upper),
        p.graph(
            "Dearest services, day by day ($currency, log scale)",
            "The ten services that cost most in this month and the last. Logarithmic, so that small ones can be seen"
            " beside large ones; days of a hundredth or less are left out.",
            p.Ask(for_log_scale(most), "{{service}}"),
            unit=p.MONEY,
            daily=True,
            log=True,
            data_links=[
                p.link(
                    "Day by day",
                    "/d/cloudspend-service?${__url_time_range}&${datasource:queryparam}&${currency:queryparam}"
                    "&${category:queryparam}&var-provider=${__field.labels.provider:percentencode}"
                    "&var-service=${__field.labels.service:percentencode}",
                )
            ],
            height=11,
        ),
    ]


def places() -> list[Any]:
    """Services, accounts, regions, and what moved."""
    return [
        ranking("Top services", "service", "Service", SERVICE),
        accounts(),
        ranking("Top regions", "region", "Region", REGION),
        world(),
        biggest_movers(),
    ]


MONTHS = {
    "This month": p.Column(unit=p.MONEY, gauge=True),
    "Last month": p.Column(unit=p.MONEY, width=130),
}


def ranking(title: str, label: str, heading: str, where: Any) -> Any:
    """The dearest values of a label, beside what they cost last month."""
    by = ("provider", label)
    this = total("cloudspend_month_to_date_cost", BILL, *by)
    last = total("cloudspend_previous_month_cost", BILL, *by)
    top = dearest(10, BILL, *by)
    return p.listing(
        f"{title} ($currency)",
        f"The ten that cost most in this month and the last. Click a {label} for its days.",
        p.Ask(f"({this}) and on ({', '.join(by)}) {top}", "This month"),
        p.Ask(f"({last}) and on ({', '.join(by)}) {top}", "Last month"),
        names={label: heading, "provider": "Provider"},
        columns={**MONTHS, heading: p.Column(link=where), "Provider": p.Column(width=90)},
        sort="This month",
        height=11,
    )


def accounts() -> Any:
    """The dearest accounts, by name."""
    by = ("provider", "account")
    this = total("cloudspend_month_to_date_cost", BILL, *by)
    last = total("cloudspend_previous_month_cost", BILL, *by)
    top = dearest(10, BILL, *by)
    return p.listing(
        "Top accounts ($currency)",
        "The ten accounts, subscriptions and projects that cost most in this month and the last. Click one for its"
        " days.",
        p.Ask(with_name(f"{this} and on (provider, account) {top}", this), "This month"),
        p.Ask(with_name(f"{last} and on (provider, account) {top}", last), "Last month"),
        names={"name": "Name", "account": "Account", "provider": "Provider"},
        columns={**MONTHS, "Account": p.Column(link=ACCOUNT), "Name": p.Column(link=ACCOUNT)},
        sort="This month",
        height=11,
    )


def world() -> Any:
    """Regions on a map."""
    by_region = total("cloudspend_month_to_date_cost", BILL, "region")
    panel = geomap.Panel().title("Regions on the map ($currency)").datasource(p.SOURCE).span(12).height(11)
    panel = panel.description(
        "Cost since the first UTC day of this month, where regions lie. Regions whose place is not known, and `global`,"
        " are in the table alone. The base map is Grafana's, which browsers fetch from its maker."
    )
    panel = panel.with_target(p.query(p.Ask(with_place(by_region), "Cost"), "A", instant=True, as_table=True))
    panel = panel.unit(p.MONEY).decimals(2).no_value("none")
    panel = panel.thresholds(p.steps(((None, p.BLUE),))).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    marker = {
        "size": {"field": "Value", "min": 4, "max": 24, "fixed": 6},
        "color": {"field": "Value", "fixed": p.BLUE},
        "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
        "opacity": 0.6,
        "text": {"field": "region", "fixed": "", "mode": "field"},
        "textConfig": {"fontSize": 11, "offsetX": 0, "offsetY": -14, "textAlign": "center", "textBaseline": "bottom"},
    }
    layer = common.MapLayerOptions().type("markers").name("Cost").config({"showLegend": False, "style": marker})
    where = common.FrameGeometrySource().mode(model.FrameGeometrySourceMode.GEOHASH).geohash("geohash")
    panel = panel.layers([layer.location(where).tooltip(True)])
    panel = panel.basemap(common.MapLayerOptions().type("default").name("Base map"))
    return panel.view(geomap.MapViewConfig().id("fit").all_layers(True).zoom(2).padding(10))


def biggest_movers() -> Any:
    """What costs another sum than it did."""
    by = ("provider", "service")
    here = f"and on (provider, service) {movers(10, BILL, *by)}"
    day = total("cloudspend_daily_cost", BILL, *by, charge_category='="usage"')
    return p.listing(
        "Biggest movers ($currency)",
        "Usage of the latest settled day against the average day of last month, the ten largest differences up or down."
        " What is new or gone counts in full; a quiet weekend looks like a drop.",
        p.Ask(f"({moved(BILL, *by)}) {here}", "Difference"),
        p.Ask(f"({day}) {here}", "Latest day"),
        p.Ask(f"({average_day(BILL, *by)}) {here}", "Average day"),
        names={"service": "Service", "provider": "Provider"},
        columns={
            "Service": p.Column(link=SERVICE),
            "Difference": p.Column(unit=p.MONEY, levels=((None, p.GREEN), (0, p.ORANGE)), width=120),
            "Latest day": p.Column(unit=p.MONEY, width=120),
            "Average day": p.Column(unit=p.MONEY, width=120),
            "Provider": p.Column(width=90),
        },
        sort="Difference",
        width=24,
        height=9,
    )


def judgements() -> list[Any]:
    """What somebody has to decide on."""
    used = f"{metric('cloudspend_budget_spent')} / {metric('cloudspend_budget_limit')}"
    return [
        p.ranked(
            "Budgets used",
            "Spent so far against the limit of the running period, each budget in its own currency.",
            p.Ask(f"max by (budget) ({used})", "{{budget}}"),
            unit=p.RATIO,
            levels=((None, p.GREEN), (0.8, p.YELLOW), (1, p.RED)),
            maximum=1,
            links=[p.link("Budgets", "/d/cloudspend-budgets")],
            nothing="no budgets",
        ),
        open_anomalies(OPEN_ANOMALIES, width=16, height=9),
    ]
