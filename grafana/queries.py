"""The PromQL that more than one panel needs."""

from __future__ import annotations

from grafana.names import NOWHERE, Scope, known, labels_of, metric, total

DAY = "1d"
"""The step of whatever is shown day by day: a bar stands at 00:00 UTC of its day."""

USAGE = '="usage"'


def listed(labels: tuple[str, ...]) -> str:
    """`by (…)`, or nothing for the sum of all."""
    return f" by ({', '.join(labels)})" if labels else ""


def of_the_day(selector: str) -> str:
    """The last sample of the UTC day that begins at a step.

    It is there from the first minute of a new Prometheus, and one sample a day is enough. Prometheus 2 and 3 differ in
    whether a range holds its first instant; nothing stands on that here.
    """
    return f"last_over_time({selector}[{DAY}] offset -{DAY})"


def as_scraped(name: str, scope: Scope = NOWHERE, **own: str) -> str:
    """Each series of a stored family as scraped on each day; two instances of one exporter count once."""
    return f"max{listed(labels_of(name))} ({of_the_day(metric(name, scope, **own))})"


def day_by_day(scope: Scope, *by: str) -> str:
    """Cost of each UTC day: of the history where one was written, else as it was scraped on that day.

    A scrape shows the latest day that had settled, some days earlier: for one source the two are never mixed, so no
    day is shown twice. Without a sample for eight days there is no history, or none any more.
    """
    history = of_the_day(metric("cloudspend_usage_cost", scope))
    has_history = f"last_over_time({metric('cloudspend_usage_cost')}[8d] offset -{DAY})"
    scraped = as_scraped("cloudspend_daily_cost", scope)
    labels = known("cloudspend_daily_cost", by)
    return f"sum{listed(labels)} ({history} or ({scraped} unless on (source) {has_history}))"


def expected(name: str, scope: Scope) -> str:
    """What was expected of those lines that cost something on each day: others come and go, or are gone."""
    line = ", ".join(labels_of(name))
    cost = as_scraped("cloudspend_daily_cost", scope, charge_category=USAGE)
    return f"sum({as_scraped(name, scope)} and on ({line}) {cost})"


def for_log_scale(expr: str) -> str:
    """Without what has no place on a logarithm, and without dust, which would take up most of it."""
    return f"({expr}) > 0.01"


def dearest(count: int, scope: Scope, *by: str, daily: bool = False) -> str:
    """Which of them cost most in this month and the last: on the first day of a month there is the last.

    `daily`: as of the last day of a graph with a step of one, the same ones at every step.
    """
    known("cloudspend_previous_month_cost", by)
    matchers = ",".join(label + how for label, how in scope.items())
    both = f'{{__name__=~"cloudspend_(month_to_date|previous_month)_cost",{matchers}}}'
    if daily:
        both = f"last_over_time({both}[{DAY}] @ end() offset -{DAY})"
    return f"topk({count}, sum{listed(by)} ({both}))"


def average_day(scope: Scope, *by: str) -> str:
    """What usage cost on an average day of last month."""
    last_month = metric("cloudspend_previous_month_cost", scope, charge_category=USAGE)
    days = f"day_of_month({metric('cloudspend_month_start_timestamp_seconds')} - 1)"
    labels = known("cloudspend_previous_month_cost", by)
    return f"sum{listed(labels)} ({last_month} / on (job, instance, source) group_left () {days})"


def moved(scope: Scope, *by: str) -> str:
    """Usage of the latest settled day less the average day of last month; what is new or gone counts in full."""
    day = total("cloudspend_daily_cost", scope, *by, charge_category=USAGE)
    average = average_day(scope, *by)
    return f"(({day}) - ({average})) or ({day}) or (0 - ({average}))"


def movers(count: int, scope: Scope, *by: str) -> str:
    """Which moved most, up or down."""
    return f"topk({count}, abs({moved(scope, *by)}))"


def with_name(expr: str, accounts: str) -> str:
    """The same with the account's name as a label, its id where it has none; `accounts` has every account of it."""
    named = f"topk by (provider, account) (1, max by (provider, account, name) ({metric('cloudspend_account_info')}))"
    plain = f'label_replace(group by (provider, account) ({accounts}), "name", "$1", "account", "(.*)")'
    return f"({expr}) * on (provider, account) group_left (name) ({named} or on (provider, account) {plain})"
