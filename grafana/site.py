"""What all dashboards share: how they refresh, which days they mean, and the way from one to the other."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, TimePicker
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from grafana.variables import data_source

TAG = "cloudspend"


def site(uid: str, title: str, description: str, *, since: str = "now-30d", refresh: str = "5m") -> Dashboard:
    """An empty dashboard. Times are UTC: so are the days and months of a bill."""
    made = Dashboard(title).uid(f"{TAG}-{uid}").description(description).tags([TAG]).readonly()
    made = made.timezone("utc").refresh(refresh).time(since, "now").tooltip(DashboardCursorSync.CROSSHAIR)
    made = made.timepicker(TimePicker().refresh_intervals(["1m", "5m", "15m", "30m", "1h", "2h", "1d"]))
    others = DashboardLink("cloudspend").type(DashboardLinkType.DASHBOARDS).tags([TAG]).icon("external link")
    others = others.keep_time(True).include_vars(True).as_dropdown(True)
    docs = DashboardLink("Metrics").type(DashboardLinkType.LINK).icon("doc").target_blank(True)
    docs = docs.url("https://github.com/cloudspend/cloudspend/blob/main/docs/reference/metrics.md")
    return made.link(others).link(docs).with_variable(data_source())
