"""The part of the catalogue that holds judgements: budgets, expected costs, anomalies, forecasts."""

from __future__ import annotations

from exporter.metrics.spec import Spec, money

_SERIES = ("source", "provider", "account", "service", "region", "currency")
_BUDGET = ("budget", "currency")
_FORECAST = ("provider", "currency")
_USAGE = "Usage charges alone, on the effective cost where the bill knows it, else billed."


def _fact(name: str, labels: tuple[str, ...], help: str) -> Spec:
    return Spec(name, "gauge", labels, help)


def _ratio(name: str, labels: tuple[str, ...], help: str) -> Spec:
    return Spec(name, "gauge", labels, help, unit="ratio")


def _instant(name: str, labels: tuple[str, ...], help: str) -> Spec:
    return Spec(name, "gauge", labels, help, unit="seconds")


_BUDGETS = (
    money("cloudspend_budget_limit", _BUDGET, "What the budget allows in its running period, adjusted or not."),
    money("cloudspend_budget_spent", _BUDGET, "Billed so far in the budget's running period, days still moving too."),
    money(
        "cloudspend_budget_spent_settled", _BUDGET, "Billed in the budget's running period on days that have settled."
    ),
    money(
        "cloudspend_budget_forecast",
        _BUDGET,
        "What the running period is expected to cost by its end: settled days, and a forecast of the others.",
    ),
    money("cloudspend_budget_forecast_lower", _BUDGET, "Lower end of the 80 % interval of that forecast."),
    money("cloudspend_budget_forecast_upper", _BUDGET, "Upper end of the 80 % interval of that forecast."),
    _ratio(
        "cloudspend_budget_threshold_ratio",
        ("budget", "threshold", "severity"),
        "Share of the limit at which somebody is to be told, as configured.",
    ),
    _ratio(
        "cloudspend_budget_burn_ratio",
        ("budget", "window"),
        "Pace of spending on the last settled day (window day) or the last seven (week): 1 uses up the limit with the"
        " last day of the period.",
    ),
    _ratio("cloudspend_budget_elapsed_ratio", ("budget",), "Share of the days of the running period that have ended."),
    _instant("cloudspend_budget_period_start_timestamp_seconds", ("budget",), "Start of the running period."),
    _instant("cloudspend_budget_period_end_timestamp_seconds", ("budget",), "End of the running period."),
    _instant(
        "cloudspend_budget_exhaustion_timestamp_seconds",
        ("budget",),
        "Start of the UTC day on which more than the limit is, or is expected to be, spent. Only where that lies in"
        " the period.",
    ),
    _ratio(
        "cloudspend_budget_burn_threshold_ratio",
        ("budget", "window"),
        "Pace from which on spending of the window is fast, as configured.",
    ),
    _fact(
        "cloudspend_budget_status",
        ("budget", "status"),
        "How the budget stands: 1 for on_track, at_risk (more than the limit is expected) or over, 0 for the others.",
    ),
    _fact("cloudspend_budget_info", ("budget", "period", "owner"), "What the budget is. Always 1."),
)

_ANOMALIES = (
    money(
        "cloudspend_daily_usage_cost",
        _SERIES,
        f"What the latest settled UTC day of the source cost. {_USAGE} Of lines with enough history to be judged.",
    ),
    money(
        "cloudspend_daily_cost_expected",
        _SERIES,
        f"What the latest settled UTC day of the source should have cost. {_USAGE}",
    ),
    money(
        "cloudspend_daily_cost_expected_upper",
        _SERIES,
        f"Up to where that day would not have been odd. {_USAGE}",
    ),
    _fact(
        "cloudspend_daily_cost_anomaly_score",
        _SERIES,
        f"How odd that day was; above 1 it is a finding, unless a wider or narrower one says it better. {_USAGE}",
    ),
    _fact(
        "cloudspend_anomaly_info",
        ("fingerprint", "source", "provider", "account", "service", "region", "kind", "severity"),
        "An open finding; `all` where its scope is rolled up. Always 1. At most 200, the largest first.",
    ),
    money("cloudspend_anomaly_actual_cost", ("fingerprint", "currency"), "What the newest day of the finding cost."),
    money("cloudspend_anomaly_expected_cost", ("fingerprint", "currency"), "What that day should have cost."),
    money(
        "cloudspend_anomaly_impact_cost",
        ("fingerprint", "currency"),
        "Actual less expected, from the first day of the finding to its newest.",
    ),
    _fact("cloudspend_anomalies", ("provider", "severity"), "Findings that are open now."),
    money(
        "cloudspend_first_spend_cost",
        ("source", "provider", "kind", "name", "currency"),
        "What a place cost that spent for the first time ever within the last seven days: a kind (account, service or"
        " region) and its name.",
    ),
)

_FORECASTS = (
    money(
        "cloudspend_month_forecast_cost",
        _FORECAST,
        "What this UTC month is expected to cost by its end: every charge but credits, settled days as billed and a"
        " forecast of the others.",
    ),
    money("cloudspend_month_forecast_cost_lower", _FORECAST, "Lower end of the 80 % interval of that forecast."),
    money("cloudspend_month_forecast_cost_upper", _FORECAST, "Upper end of the 80 % interval of that forecast."),
    money(
        "cloudspend_month_to_date_nowcast_cost",
        _FORECAST,
        "What this UTC month has cost up to now, the hours that are not billed yet too: settled days as billed, and an"
        " estimate of what has not settled.",
    ),
    money("cloudspend_month_to_date_nowcast_cost_lower", _FORECAST, "Lower end of its 80 % interval."),
    money("cloudspend_month_to_date_nowcast_cost_upper", _FORECAST, "Upper end of its 80 % interval."),
    _ratio(
        "cloudspend_forecast_error_ratio",
        _FORECAST,
        "By how much such forecasts were wrong in the past: absolute errors over what was spent.",
    ),
    _ratio(
        "cloudspend_forecast_coverage_ratio",
        _FORECAST,
        "Share of past forecasts whose 80 % interval held what came.",
    ),
)

_THRESHOLDS = (
    _ratio(
        "cloudspend_source_hourly_jump_threshold_ratio",
        ("source",),
        "Share of the month so far that an hour may add, as configured.",
    ),
    _ratio(
        "cloudspend_source_daily_spike_threshold_ratio",
        ("source",),
        "Share by which a service may cost more than expected on a day, as configured.",
    ),
    money(
        "cloudspend_source_minimum_alert_cost",
        ("source", "currency"),
        "A jump or a spike of less than this is never told, as configured.",
    ),
    money(
        "cloudspend_source_restated_alert_cost",
        ("source", "currency"),
        "By how much settled days may change without a word, as configured.",
    ),
)

_FAILED = _fact(
    "cloudspend_judgement_failed",
    ("judgement",),
    "Whether anomalies, tripwire, budgets, forecasts or hourly jumps could not be judged at the last render: what they"
    " show is then missing. The log says why.",
)

JUDGED: tuple[Spec, ...] = (*_BUDGETS, *_ANOMALIES, *_FORECASTS, *_THRESHOLDS, _FAILED)
"""What the worker judges, in the order of the exposition."""

FOUND = Spec(
    "cloudspend_anomalies_found_total",
    "counter",
    ("provider", "severity"),
    "Findings so far, each counted once when it was new, at the severity that it had then.",
    live=True,
)
