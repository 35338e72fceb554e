"""The exporter itself: what it reads, how old that is, what was restated or lost, and what asking costs."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import statetimeline
from grafana_foundation_sdk.builders.dashboard import Dashboard, FieldColor, Row
from grafana_foundation_sdk.models import common as model
from grafana_foundation_sdk.models.dashboard import FieldColorModeId

from grafana import panels as p
from grafana import variables as v
from grafana.names import Scope, metric, total
from grafana.site import site

SOURCE: Scope = {"source": '=~"$source"'}
UP = {"1": ("read", p.GREEN), "0": ("fails", p.RED)}
YES = {"1": ("yes", p.GREEN), "0": ("no", p.RED)}
SETTLING = {"1": ("observed", p.GREEN), "0": ("assumed", p.GREY)}
OF_SOURCE = "max by (source)"


def dashboard() -> Dashboard:
    """For whoever runs it."""
    made = site(
        "exporter", "cloudspend: exporter", "Sources, freshness, what is lost, and what asking costs.", since="now-24h"
    )
    made = made.with_variable(v.of_family("source", "Source", "cloudspend_up"))
    for title, row in (
        ("Does it work?", [*health(), sources()]),
        ("Polls", [history(), durations(), failures()]),
        ("Is anything lost?", [wholeness(), age(), restated()]),
        ("What asking costs", asking()),
    ):
        made = made.with_row(Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made


def health() -> list[Any]:
    """The process."""
    up = metric("cloudspend_up")
    return [
        p.figure(
            "Sources that fail",
            "Billing sources whose last poll failed.",
            f"count({up}) - sum({up})",
            unit=p.COUNT,
            levels=p.NONE_IS_GOOD,
            nothing="no exporter",
            links=[p.runbook("cloudspendsourcedown")],
        ),
        p.figure(
            "Snapshot made",
            "When what is served was made: after each poll, and when a day settles or a month begins.",
            f"max({metric('cloudspend_exporter_snapshot_timestamp_seconds')}) * 1000",
            unit=p.AGO,
            nothing="no exporter",
        ),
        p.figure(
            "Configuration in force",
            "Whether the configuration could be used when it was last read. Where not, the one before is in force.",
            f"min({metric('cloudspend_exporter_config_last_reload_successful')})",
            unit=p.COUNT,
            words=YES,
            nothing="no exporter",
            links=[p.runbook("cloudspendconfigreloadfailed")],
        ),
        p.figure(
            "Workers that failed",
            "Workers that did not end by themselves, or could not be started, in the chosen time.",
            f"sum(increase({metric('cloudspend_exporter_worker_failures_total')}[$__range]))"
            f" or 0 * sum(increase({metric('cloudspend_exporter_worker_runs_total')}[$__range]))",
            unit=p.COUNT,
            decimals=0,
            levels=p.NONE_IS_GOOD,
            nothing="no exporter",
            links=[p.runbook("cloudspendworkerfailing")],
        ),
        p.figure(
            "Stored bills",
            "Size of the stored bills on disk.",
            f"max({metric('cloudspend_exporter_store_size_bytes')})",
            unit=p.BYTES,
            nothing="no exporter",
        ),
        p.figure(
            "Version",
            "The version that is running.",
            p.Ask(f"max by (version) ({metric('cloudspend_exporter_build_info')})", "{{version}}"),
            unit=p.COUNT,
            nothing="no exporter",
        ).text_mode(model.BigValueTextMode.NAME),
    ]


def sources() -> Any:
    """A row per source."""

    def of(name: str) -> str:
        return f"{OF_SOURCE} ({metric(name, SOURCE)})"

    age = f"(time() - {metric('cloudspend_data_end_timestamp_seconds', SOURCE)})"
    observed, assumed = "cloudspend_source_observed_settling_seconds", "cloudspend_source_settles_after_seconds"
    is_observed = f"group by (source) ({metric(observed, SOURCE)})"
    used = f"{age} / {metric('cloudspend_source_stale_after_seconds', SOURCE)}"
    return p.listing(
        "Sources",
        "Patience used is the age of the newest settled day over what it may be: at 1 the data is stale. Bills that"
        " have ended have none. Settles in: how long days of the last weeks were observed to keep moving; until that is"
        " known, the `settles_after` that is assumed.",
        p.Ask(f"max by (source, adapter, cost_basis) ({metric('cloudspend_source_info', SOURCE)})"),
        p.Ask(of("cloudspend_up"), "State"),
        p.Ask(f"{of('cloudspend_data_end_timestamp_seconds')} * 1000", "Settled until"),
        p.Ask(f"{OF_SOURCE} ({used})", "Patience used"),
        p.Ask(f"{of('cloudspend_source_last_success_timestamp_seconds')} * 1000", "Last read"),
        p.Ask(f"{of('cloudspend_source_next_poll_timestamp_seconds')} * 1000", "Next poll"),
        p.Ask(of("cloudspend_source_poll_duration_seconds"), "Last poll took"),
        p.Ask(of("cloudspend_source_rows"), "Rows"),
        p.Ask(of("cloudspend_source_folded_series"), "Folded"),
        p.Ask(f"{of(observed)} or {of(assumed)}", "Settles in"),
        p.Ask(f"{is_observed} or 0 * {of(assumed)}", "Settling is"),
        p.Ask(of("cloudspend_previous_month_closed"), "Last month closed"),
        names={"source": "Source", "adapter": "Provider", "cost_basis": "Basis"},
        columns={
            "State": p.Column(words=UP, width=80),
            "Settled until": p.Column(unit=p.AGO),
            "Patience used": p.Column(unit=p.RATIO, levels=((None, p.GREEN), (0.8, p.YELLOW), (1, p.RED))),
            "Last read": p.Column(unit=p.AGO),
            "Next poll": p.Column(unit=p.AGO),
            "Last poll took": p.Column(unit=p.SECONDS),
            "Rows": p.Column(unit="locale", decimals=0),
            "Folded": p.Column(unit="locale", decimals=0),
            "Settles in": p.Column(unit=p.SECONDS),
            "Settling is": p.Column(words=SETTLING, width=90),
            "Last month closed": p.Column(words=YES),
        },
        sort="Source",
        descending=False,
        nothing="no sources",
        links=[p.runbook("cloudspendsourcedown")],
        width=24,
        height=8,
    )


def history() -> Any:
    """Good and bad polls over time."""
    panel = statetimeline.Panel().title("Sources over time").datasource(p.SOURCE).span(12).height(8)
    panel = panel.description(
        "Whether the last poll of each source succeeded. `cloudspend_source_failed` has the reason."
    )
    panel = panel.with_target(
        p.query(p.Ask(f"min by (source) ({metric('cloudspend_up', SOURCE)})", "{{source}}"), "A", instant=False)
    )
    panel = (
        panel.unit(p.COUNT).mappings([p.mapping(UP)]).no_value("no exporter").links([p.runbook("cloudspendsourcedown")])
    )
    panel = panel.thresholds(p.steps(p.PLAIN)).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    return panel.show_value(model.VisibilityMode.NEVER).merge_values(True).row_height(0.8).line_width(0)


def durations() -> Any:
    """How long polls take."""
    return p.graph(
        "Polls take",
        "How long the last poll of each source took. Logarithmic: a first poll reads months, a later one days.",
        p.Ask(f"{OF_SOURCE} ({metric('cloudspend_source_poll_duration_seconds', SOURCE)})", "{{source}}"),
        unit="s",
        log=True,
        width=12,
        height=8,
    )


def failures() -> Any:
    """Polls and why they failed."""
    polls = f"increase({metric('cloudspend_source_polls_total', SOURCE)}[$__range])"
    failed = f"increase({metric('cloudspend_source_poll_failures_total', SOURCE)}[$__range])"
    now = f"max by (source, reason) ({metric('cloudspend_source_failed', SOURCE)})"
    return p.listing(
        "Polls and failures in the chosen time",
        "By source and reason. `now` is whether the last poll failed for this reason.",
        p.Ask(now, "Now"),
        p.Ask(f"sum by (source, reason) ({failed}) or 0 * {now}", "Failures"),
        p.Ask(f"0 * {now} + on (source) group_left () sum by (source) ({polls})", "Polls"),
        names={"source": "Source", "reason": "Reason"},
        columns={
            "Now": p.Column(words={"1": ("fails", p.RED), "0": ("no", p.GREY)}),
            "Failures": p.Column(unit=p.COUNT, decimals=0, levels=p.NONE_IS_GOOD),
            "Polls": p.Column(unit=p.COUNT, decimals=0),
        },
        sort="Failures",
        nothing="no sources",
        width=24,
        height=8,
        links=[p.runbook("cloudspendsourcedown")],
    )


def wholeness() -> Any:
    """Money without a line, of another currency, or rounded."""
    by = "source, currency"
    unattributed = f"max by ({by}) ({metric('cloudspend_unattributed_cost', SOURCE)})"
    return p.listing(
        "Unattributed and restated",
        "Unattributed: the provider's own total less the sum of its charges, zero unless something was lost. Restated:"
        " by how much the last poll changed days that were already settled. Each in the currency of its row.",
        p.Ask(unattributed, "Unattributed"),
        p.Ask(f"max by ({by}) ({metric('cloudspend_restated_cost', SOURCE)})", "Restated"),
        names={"source": "Source", "currency": "Currency"},
        columns={"Unattributed": p.Column(unit=p.MONEY), "Restated": p.Column(unit=p.MONEY)},
        sort="Source",
        descending=False,
        links=[p.runbook("cloudspendunattributedcost")],
        width=8,
        height=8,
    )


def age() -> Any:
    """How old the newest settled day is."""
    end = metric("cloudspend_data_end_timestamp_seconds", SOURCE)
    return p.graph(
        "Age of the settled edge",
        "How long ago the newest settled UTC day of each source ended: it rises all day and falls when a day settles.",
        p.Ask(f"{OF_SOURCE} (time() - {end})", "{{source}}"),
        unit="s",
        width=8,
        height=8,
        links=[p.runbook("cloudspenddatastale")],
    )


def restated() -> Any:
    """What moved that should not have."""
    return p.graph(
        "Restated",
        "By how much the last poll of each source changed days that were already settled, in the currency of the"
        " legend. Often far from zero: raise `settles_after`.",
        p.Ask(total("cloudspend_restated_cost", SOURCE, "source", "currency"), "{{source}} ({{currency}})"),
        unit=p.MONEY,
        width=8,
        height=8,
    )


def asking() -> list[Any]:
    """The tool's own bill."""
    requests = metric("cloudspend_source_api_requests_total", SOURCE)
    cached = metric("cloudspend_source_cached_pages_total", SOURCE)
    charges = metric("cloudspend_source_api_charges_total", SOURCE)
    units = metric("cloudspend_source_api_units_total", SOURCE)
    uncounted = f'label_replace(0 * sum by (source) ({requests}), "unit", "none", "", "")'
    asked, kept = (f"sum by (source) (increase({counter}[$__range]))" for counter in (requests, cached))
    spent, limit = metric("cloudspend_api_budget_spent"), metric("cloudspend_api_budget_limit")
    return [
        p.graph(
            "Requests to billing APIs",
            "Requests of each source in each step of the graph.",
            p.Ask(f"sum by (source) (increase({requests}[$__rate_interval]))", "{{source}}"),
            unit=p.COUNT,
            width=8,
            height=8,
        ),
        p.listing(
            "Asked in the chosen time",
            "Requests made, and pages that were kept and did not have to be asked, and paid, for again.",
            p.Ask(asked, "Requests"),
            p.Ask(f"{kept} or 0 * {asked}", "Kept pages"),
            names={"source": "Source"},
            columns={"Requests": p.Column(unit=p.COUNT, decimals=0), "Kept pages": p.Column(unit=p.COUNT, decimals=0)},
            sort="Requests",
            width=8,
            height=8,
        ),
        p.listing(
            "Paid for asking",
            "What requests have cost since the exporter first ran, by the prices that vendors publish: 0 where asking"
            " is free.",
            p.Ask(f"sum by (source, currency) ({charges})", "Cost"),
            names={"source": "Source", "currency": "Currency"},
            columns={"Cost": p.Column(unit=p.MONEY)},
            sort="Cost",
            nothing="no sources",
            links=[p.runbook("cloudspendapibudgetnear")],
            width=8,
            height=8,
        ),
        p.ranked(
            "Cap on asking, used",
            "What asking has cost this UTC month over what it may cost. Only where `api_budget` sets a cap.",
            p.Ask(f"sum by (currency) ({spent}) / sum by (currency) ({limit})", "{{currency}}"),
            unit=p.RATIO,
            levels=((None, p.GREEN), (0.8, p.YELLOW), (1, p.RED)),
            maximum=1,
            links=[p.runbook("cloudspendapibudgetnear")],
            nothing="no cap",
            width=12,
            height=6,
        ),
        p.listing(
            "Units that vendors count",
            "Bytes read, query processing units, since the exporter first ran. Of a source whose vendor counts none, 0"
            " of `none`.",
            p.Ask(f"sum by (source, unit) ({units}) or on (source) {uncounted}", "Units"),
            names={"source": "Source", "unit": "Unit"},
            columns={"Units": p.Column(unit=p.COUNT)},
            sort="Units",
            nothing="no sources",
            width=12,
            height=6,
        ),
    ]
