"""Every family that cloudspend exports, as data: name, type, unit, labels, help.

Code, docs, rules, dashboards and tests take the names from here. House rules: one window per name; `_total` on
counters only; money is a gauge, since credits and restatements make it fall; no dates, ids or sentences as labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.metrics.catalog_judged import FOUND, JUDGED
from exporter.metrics.spec import LINE, Spec
from exporter.metrics.spec import money as _money

__all__ = ["CATALOG", "CONVERTED", "LINE", "NOT_STARTED", "WORKER_FAILURES", "Spec"]


def _converted(name: str, original: str, labels: tuple[str, ...]) -> Spec:
    help = (
        f"{original}, converted into the reporting currency at cloudspend_exchange_rate. Without the money in"
        " cloudspend_unconverted_cost. Only where the configuration has the section currency."
    )
    return _money(name, labels, help, section="currency")


CONVERTED: Mapping[str, str] = MappingProxyType(
    {
        f"cloudspend_{window}_cost": f"cloudspend_converted_{window}_cost"
        for window in ("daily", "common_day", "month_to_date", "previous_month")
    }
)
"""Family in the currencies of the bills → the same in the reporting currency."""


_SPECS: tuple[Spec, ...] = (
    _money("cloudspend_daily_cost", LINE, "Cost of the latest settled UTC day of the source. Cached between polls."),
    _money(
        "cloudspend_common_day_cost",
        ("provider", "currency"),
        "Cost of the newest UTC day that is settled in every source: the one to add up. Cached between polls.",
    ),
    _money(
        "cloudspend_month_to_date_cost",
        LINE,
        "Cost since the first UTC day of this month, including days that still move. Cached between polls.",
    ),
    _money(
        "cloudspend_previous_month_cost", LINE, "Cost of the UTC month before this one. May move until it is closed."
    ),
    Spec(
        "cloudspend_previous_month_closed",
        "gauge",
        ("source",),
        "Whether the bill of the previous UTC month is final (1) or may still change (0): as the provider says, else"
        " once read on the 10th day after it or later.",
    ),
    _money("cloudspend_hourly_cost", LINE, "Cost of the latest settled UTC hour, where the source has hours."),
    _money(
        "cloudspend_billed_month_to_date_cost",
        ("source", "provider", "charge_category", "currency"),
        "Billed cost since the first UTC day of this month, whatever the primary basis. Cached between polls.",
    ),
    _money(
        "cloudspend_account_month_to_date_cost",
        ("source", "provider", "account", "charge_category", "currency"),
        "Cost since the first UTC day of this month by account, of sources that cannot say which account used which"
        " service: the money of cloudspend_month_to_date_cost again, cut another way.",
    ),
    _money(
        "cloudspend_restated_cost",
        ("source", "currency"),
        "By how much the last poll changed days that were already settled.",
    ),
    _money(
        "cloudspend_unattributed_cost",
        ("source", "currency"),
        "The provider's own total less the sum of its charges: money without a line. Zero unless something was lost.",
    ),
    _converted("cloudspend_converted_daily_cost", "Cost of the latest settled UTC day of the source", LINE),
    _converted(
        "cloudspend_converted_common_day_cost",
        "Cost of the newest UTC day that is settled in every source",
        ("provider", "currency"),
    ),
    _converted(
        "cloudspend_converted_month_to_date_cost",
        "Cost since the first UTC day of this month, including days that still move",
        LINE,
    ),
    _converted("cloudspend_converted_previous_month_cost", "Cost of the UTC month before this one", LINE),
    Spec(
        "cloudspend_exchange_rate",
        "gauge",
        ("from_currency", "to_currency"),
        "What one unit of from_currency is worth in to_currency: the newest rate up to today's UTC date, at which every"
        " converted family stands, whatever days its costs are of. With currency.rates_from the bills' own rate where"
        " no other is given: that of their newest month in US dollars.",
        section="currency",
    ),
    _money(
        "cloudspend_unconverted_cost",
        ("source", "currency"),
        "Cost since the first UTC day of this month in a currency that has no exchange rate, and so is in no converted"
        " family. Zero where only other days have such costs.",
        section="currency",
    ),
    Spec(
        "cloudspend_data_end_timestamp_seconds",
        "gauge",
        ("source",),
        "End of the latest settled UTC day of the source.",
        unit="seconds",
    ),
    Spec(
        "cloudspend_data_hour_end_timestamp_seconds",
        "gauge",
        ("source",),
        "End of the latest settled UTC hour of the source, where it has hours.",
        unit="seconds",
    ),
    Spec(
        "cloudspend_newest_charge_timestamp_seconds",
        "gauge",
        ("source",),
        "End of the newest charge period billed so far, settled or not.",
        unit="seconds",
    ),
    Spec(
        "cloudspend_month_start_timestamp_seconds",
        "gauge",
        ("source",),
        "Start of the UTC month that month-to-date covers. Lets rules survive the rollover.",
        unit="seconds",
    ),
    Spec(
        "cloudspend_source_info",
        "gauge",
        ("source", "adapter", "cost_basis"),
        "What a source is: its provider module and the cost its money families show. Always 1.",
    ),
    Spec("cloudspend_account_info", "gauge", ("provider", "account", "name"), "The name of an account. Always 1."),
    *JUDGED,
    Spec("cloudspend_up", "gauge", ("source",), "Whether the last poll of the source succeeded.", live=True),
    Spec(
        "cloudspend_source_failed",
        "gauge",
        ("source", "reason"),
        "Whether the last poll of the source failed for this reason.",
        live=True,
    ),
    Spec(
        "cloudspend_source_last_success_timestamp_seconds",
        "gauge",
        ("source",),
        "When the source was last polled successfully.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_source_next_poll_timestamp_seconds",
        "gauge",
        ("source",),
        "When the source is due to be polled again.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_source_stale_after_seconds",
        "gauge",
        ("source",),
        "How old the settled edge of the source may be before its data is stale. Not there for bills that have ended.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_source_settles_after_seconds",
        "gauge",
        ("source",),
        "How long after their end the days of the source are taken to move: settles_after of the configuration, or the"
        " provider's own.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_source_observed_settling_seconds",
        "gauge",
        ("source",),
        "How long after their end the days of the last weeks kept moving by more than half a percent; known after some"
        " days of polls. Longer than settles_after: raise that.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_source_poll_duration_seconds",
        "gauge",
        ("source",),
        "How long the last poll of the source took.",
        unit="seconds",
        live=True,
    ),
    Spec("cloudspend_source_polls_total", "counter", ("source",), "Polls of the source, failed ones too.", live=True),
    Spec(
        "cloudspend_source_poll_failures_total",
        "counter",
        ("source", "reason"),
        "Polls of the source that failed.",
        live=True,
    ),
    Spec(
        "cloudspend_source_api_requests_total", "counter", ("source",), "Requests made to the billing API.", live=True
    ),
    Spec(
        "cloudspend_source_cached_pages_total",
        "counter",
        ("source",),
        "Pages of answers that were kept and did not have to be asked, and paid, for again.",
        live=True,
    ),
    Spec(
        "cloudspend_source_api_charges_total",
        "counter",
        ("source", "currency"),
        "What those requests cost. 0 until something is paid, in USD where asking is free.",
        live=True,
    ),
    Spec(
        "cloudspend_source_api_units_total",
        "counter",
        ("source", "unit"),
        "What those requests took, in the units that the vendor counts: bytes read, query processing units. Not there"
        " for vendors that count none.",
        live=True,
    ),
    *(
        Spec(f"cloudspend_{whose}api_budget_{what}", "gauge", (*labels, "currency"), help, unit="money", live=True)
        for whose, labels, what, help in (
            (
                "source_",
                ("source",),
                "limit",
                "What asking the source may cost in a UTC month. Only where a cap is set.",
            ),
            (
                "source_",
                ("source",),
                "spent",
                "What asking the source has cost this UTC month. Only where a cap is set.",
            ),
            ("", (), "limit", "What asking all sources may cost in a UTC month. Only where a cap is set."),
            ("", (), "spent", "What asking has cost this UTC month, removed sources too. Only where a cap is set."),
        )
    ),
    Spec(
        "cloudspend_source_rows",
        "gauge",
        ("source",),
        "Rows of the source's days in the store; hours and totals by account say the same again and do not count.",
        live=True,
    ),
    Spec(
        "cloudspend_source_folded_series",
        "gauge",
        ("source",),
        "Lines of the bill that are summed into `other`, because the source has more than its series_limit.",
        live=True,
    ),
    Spec(
        "cloudspend_source_rounded_values_total",
        "counter",
        ("source",),
        "Amounts with more than 24 digits behind the point, rounded half even.",
        live=True,
    ),
    FOUND,
    Spec(
        "cloudspend_exporter_build_info",
        "gauge",
        ("version", "python_version"),
        "The version that is running. Always 1.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_snapshot_timestamp_seconds",
        "gauge",
        (),
        "When the snapshot that is being served was made.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_store_size_bytes",
        "gauge",
        (),
        "Size of the stored bills.",
        unit="bytes",
        live=True,
    ),
    Spec("cloudspend_exporter_worker_runs_total", "counter", (), "Workers started.", live=True),
    Spec(
        "cloudspend_exporter_worker_failures_total",
        "counter",
        ("reason",),
        "Workers that could not be started or did not end by themselves: killed, hung, crashed or out of memory.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_notifications_total",
        "counter",
        ("channel",),
        "Messages that a channel has taken.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_notification_failures_total",
        "counter",
        ("channel", "reason"),
        "Tries at which a channel did not take a message, and messages given up as expired.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_outbox_messages",
        "gauge",
        ("channel",),
        "Messages that wait for a channel.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_config_last_reload_successful",
        "gauge",
        (),
        "Whether the configuration could be used when it was last read. Where not, the one before is in force.",
        live=True,
    ),
    Spec(
        "cloudspend_exporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "When the configuration in force was read.",
        unit="seconds",
        live=True,
    ),
    Spec(
        "cloudspend_usage_cost",
        "gauge",
        LINE,
        "Cost of one settled UTC day, in a sample at 12:00 of that day; at so many seconds past it where the day was"
        " restated so often, and 0 where nothing is left of it. Read it with last_over_time over one day.",
        unit="money",
        history=True,
    ),
)

CATALOG: Mapping[str, Spec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Name → spec, in the order of the exposition."""

NOT_STARTED = "not_started"
"""Reason of a worker that the system would not start."""

WORKER_FAILURES = ("killed", "hung", "crashed", "out_of_memory", NOT_STARTED)
"""Every `reason` of `cloudspend_exporter_worker_failures_total`."""
