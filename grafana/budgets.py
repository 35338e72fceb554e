"""Budgets: what is spent, how fast, and when it is used up."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from grafana import panels as p
from grafana import variables as v
from grafana.names import Scope, metric, total
from grafana.queries import as_scraped
from grafana.site import site

CHOSEN: Scope = {"budget": '=~"$budget"', "currency": '="$currency"'}
ONE: Scope = {"budget": '="$budget"', "currency": '="$currency"'}
STATUS = {"on_track": ("on track", p.GREEN), "at_risk": ("at risk", p.ORANGE), "over": ("over", p.RED)}
USED: p.Steps = ((None, p.GREEN), (0.8, p.YELLOW), (1, p.RED))
BURN: p.Steps = ((None, p.GREEN), (1.1, p.YELLOW), (1.5, p.RED))


def dashboard() -> Dashboard:
    """For whoever answers for a budget."""
    made = site("budgets", "cloudspend: budgets", "Limits, what is spent of them, how fast, and what is to come.")
    made = made.with_variable(v.currency_of_budgets()).with_variable(v.budget())
    for title, row in (
        ("Where do budgets stand?", [*counts(), overview(), pace(), elapsed(), thresholds()]),
        ("Budget by budget ($currency)", [course()]),
    ):
        made = made.with_row(Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made


def counts() -> list[Any]:
    """How many stand how."""
    said = {
        "on_track": "Budgets that are expected to keep to their limit.",
        "at_risk": "Budgets within their limit that are expected to be over it by the end of their period.",
        "over": "Budgets that have spent more than their limit allows.",
    }
    return [
        p.figure(
            word.capitalize(),
            said[status],
            total("cloudspend_budget_status", CHOSEN, status=f'="{status}"'),
            unit=p.COUNT,
            levels=((None, p.GREEN if status == "on_track" else "text"), (1, colour)),
            nothing="no budgets",
            width=8,
        )
        for status, (word, colour) in STATUS.items()
    ]


def ratio() -> str:
    """What share of its limit each budget has used."""
    return f"{metric('cloudspend_budget_spent', CHOSEN)} / {metric('cloudspend_budget_limit', CHOSEN)}"


def overview() -> Any:
    """A row per budget."""

    def of(name: str, **own: str) -> str:
        return f"max by (budget) ({metric(name, CHOSEN, **own)})"

    end = "cloudspend_budget_exhaustion_timestamp_seconds"
    columns = {
        "Limit": p.Column(unit=p.MONEY, width=110),
        "Spent": p.Column(unit=p.MONEY, width=110),
        "Settled": p.Column(unit=p.MONEY, width=110),
        "Used": p.Column(unit=p.RATIO, levels=USED, width=80),
        "Elapsed": p.Column(unit=p.RATIO, width=80),
        "Burn, day": p.Column(levels=BURN, width=90),
        "Burn, week": p.Column(levels=BURN, width=90),
        "Forecast": p.Column(unit=p.MONEY, width=110),
        "Used up": p.Column(unit=p.AGO, width=120),
        "Status": p.Column(words=STATUS, width=80),
        "Period": p.Column(width=90),
    }
    return p.listing(
        "Budgets ($currency)",
        "Settled counts days alone that no longer move. Burn is the pace of"
        " the last settled day and the last seven: 1 uses up the limit with the last day of the period. Used up: when"
        " more than the limit is, or is expected to be, spent, where that lies in the period.",
        p.Ask(f"max by (budget, status) ({metric('cloudspend_budget_status', CHOSEN)} == 1)"),
        p.Ask(f"max by (budget, period, owner) ({metric('cloudspend_budget_info', CHOSEN)})"),
        p.Ask(of("cloudspend_budget_limit"), "Limit"),
        p.Ask(of("cloudspend_budget_spent"), "Spent"),
        p.Ask(of("cloudspend_budget_spent_settled"), "Settled"),
        p.Ask(f"max by (budget) ({ratio()})", "Used"),
        p.Ask(of("cloudspend_budget_elapsed_ratio"), "Elapsed"),
        p.Ask(of("cloudspend_budget_burn_ratio", window='="day"'), "Burn, day"),
        p.Ask(of("cloudspend_budget_burn_ratio", window='="week"'), "Burn, week"),
        p.Ask(of("cloudspend_budget_forecast"), "Forecast"),
        p.Ask(f"{of(end)} * 1000", "Used up"),
        names={
            "budget": "Budget",
            "status": "Status",
            "period": "Period",
            "owner": "Owner",
        },
        columns=columns,
        sort="Used",
        nothing="no budgets",
        width=24,
        height=8,
    )


def pace() -> Any:
    """Burn over time."""
    seen = as_scraped("cloudspend_budget_burn_ratio", CHOSEN, window='="week"')
    return p.graph(
        "Burn of seven days",
        "The pace of the last seven settled days as it stood on each day: 1 uses up the limit with the last day of the"
        " period, 2 with the middle of it.",
        p.Ask(f"max by (budget) ({seen})", "{{budget}}"),
        unit=p.COUNT,
        daily=True,
        width=8,
        nothing="no budgets",
    )


def elapsed() -> Any:
    """Used against elapsed."""
    ended = metric("cloudspend_budget_elapsed_ratio", CHOSEN)
    start, end = (metric(f"cloudspend_budget_period_{edge}_timestamp_seconds", CHOSEN) for edge in ("start", "end"))
    first_day = f"86400 / ({end} - {start})"
    return p.ranked(
        "Used, for what has elapsed",
        "Share of the limit that is used over the share of the period that has ended: above 1 the money goes faster"
        " than the days. The first day counts as ended.",
        p.Ask(
            f"max by (budget) (({ratio()}) / on (job, instance, budget) group_left ()"
            f" (({ended} > 0) or on (job, instance, budget) {first_day}))",
            "{{budget}}",
        ),
        unit=p.COUNT,
        levels=BURN,
        nothing="no budgets",
    )


def thresholds() -> Any:
    """Who is told when."""
    level = metric("cloudspend_budget_threshold_ratio", CHOSEN)
    by = "budget, threshold, severity"
    used = f"{level} * 0 + on (job, instance, budget) group_left () sum without (currency) ({ratio()})"
    return p.listing(
        "Thresholds",
        "Shares of the limit at which somebody is told, and how near each is.",
        p.Ask(f"max by ({by}) ({level})", "At"),
        p.Ask(f"max by ({by}) ({used})", "Used"),
        names={"budget": "Budget", "threshold": "Threshold", "severity": "Severity"},
        columns={"At": p.Column(unit=p.RATIO, width=70), "Used": p.Column(unit=p.RATIO, levels=USED, width=70)},
        sort="Used",
        nothing="no budgets",
        width=8,
        height=9,
    )


def course() -> Any:
    """The course of one budget; Grafana repeats the panel for each that is chosen."""
    lower, upper = "80 % lower", "80 % upper"
    panel = p.graph(
        "$budget ($currency)",
        "What the budget allows, what is spent of it, and what is expected by the end of its period, as they stood on"
        " each day.",
        *(
            p.Ask(f"max by (budget) ({as_scraped(f'cloudspend_budget_{what}', ONE)})", name)
            for what, name in (
                ("limit", "limit"),
                ("spent", "spent"),
                ("forecast", "forecast"),
                ("forecast_lower", lower),
                ("forecast_upper", upper),
            )
        ),
        unit=p.MONEY,
        daily=True,
        width=12,
        nothing="no budget of this currency",
    )
    panel = panel.override_by_name("limit", p.properties(p.fixed(p.RED), lineStyle={"fill": "dash", "dash": [10, 10]}))
    return p.band(panel, lower, upper).repeat("budget").repeat_direction("h").max_per_row(2)
