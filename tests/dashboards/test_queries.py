"""Every query of every dashboard, asked of a real Prometheus that holds the demo: none is wrong, none is empty, and the
money is what `cloudspend costs` says.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.dashboards import boards
from tests.dashboards.boards import Chosen, Target
from tests.dashboards.estate import NOW, Estate

pytestmark = pytest.mark.e2e

TODAY = NOW.date()
MONTH = TODAY.replace(day=1)
LAST_MONTH = (MONTH - timedelta(days=1)).replace(day=1)
YEAR = 400 * 86400.0
CATEGORIES = ["usage", "purchase", "tax", "adjustment"]
HISTORY = "cloudspend_usage_cost"
LABELS = ("source", "provider", "account", "service", "region", "charge_category")

every_target = pytest.mark.parametrize("target", list(boards.targets()), ids=lambda target: target.id)


def daily(targets: list[Target]) -> list[Target]:
    return [target for target in targets if HISTORY in target.expr]


@pytest.fixture(scope="module")
def opened(estate: Estate) -> Mapping[str, Chosen]:
    """What is chosen on each dashboard when it is opened."""
    return {name: boards.defaults(estate.server, name, estate.now, boards.span(name)) for name in boards.NAMES}


def asked(
    estate: Estate, target: Target, chosen: Chosen, seconds: float | None = None, **given: str
) -> list[dict[str, Any]]:
    span = seconds or boards.span(target.board)
    if repeated := target.panel.get("repeat"):
        given = {repeated: chosen[repeated][0], **given}
    found = boards.asked(estate.server, target, {**chosen, **given}, estate.now, span)
    return [{**one, "values": [(at, float(v)) for at, v in one["values"] if not math.isnan(float(v))]} for one in found]


# --- none is empty -------------------------------------------------------------------------------------------------


@every_target
def test_a_query_finds_something_as_the_dashboard_is_opened(
    estate: Estate, opened: Mapping[str, Chosen], target: Target
) -> None:
    found = asked(estate, target, opened[target.board])
    assert sum(len(one["values"]) for one in found)
    shown = [tuple(sorted(labels(one).items())) for one in found]
    assert len(set(shown)) == len(shown)
    if target.panel["type"] in ("table", "geomap"):
        rows = [
            tuple(one["metric"].get(name, "") for name in boards.renames(target.panel) or ["region"]) for one in found
        ]
        assert len(set(rows)) == len(rows), "two rows that look the same"
    elif target.target["legendFormat"] != "__auto":
        legends = [boards.legend(target, one["metric"]) for one in found]
        assert len(set(legends)) == len(legends), "two series of one name"
        assert all(re.search(r"\w", legend) for legend in legends)


@pytest.mark.parametrize("name", boards.NAMES)
def test_every_variable_offers_something(estate: Estate, opened: Mapping[str, Chosen], name: str) -> None:
    for variable in boards.variables(name):
        if variable["type"] == "datasource":
            continue
        offered = boards.options(estate.server, variable, opened[name], estate.now, boards.span(name))
        assert offered, variable["name"]
        assert "" not in offered
        labelled = {"category": "charge_category"}.get(variable["name"], variable["name"])
        if labelled in LABELS and labelled != "source":
            there = {
                line[labelled]
                for line in estate.costs
                if line["currency"] == "USD" and date.fromisoformat(line["day"]) >= LAST_MONTH
            }
            assert there <= set(offered), variable["name"]


def test_the_currency_with_most_lines_comes_first(opened: Mapping[str, Chosen]) -> None:
    assert {name: chosen["currency"] for name, chosen in opened.items() if "currency" in chosen} == {
        "overview": "USD",
        "service": "USD",
        "anomalies": "USD",
        "budgets": "USD",
    }


@every_target
def test_a_query_is_right_for_another_currency_and_several_values(
    estate: Estate, opened: Mapping[str, Chosen], target: Target
) -> None:
    others: dict[str, Any] = {"currency": "EUR", "provider": ["aws", "azure"], "category": [*CATEGORIES, "credit"]}
    others |= {"region": ["westeurope", "a+b (c)"], "service": ["Virtual Machines", "Storage"]}
    chosen = opened[target.board]
    found = asked(estate, target, {**chosen, **{name: others[name] for name in others if name in chosen}})
    for one in found:
        assert one["metric"].get("currency", "EUR") in ("EUR",) or "currency" not in chosen


@pytest.mark.parametrize("target", daily(list(boards.targets())), ids=lambda target: target.id)
def test_without_history_a_day_shows_what_was_scraped_on_it(
    estate: Estate, opened: Mapping[str, Chosen], target: Target
) -> None:
    bare = Target(target.board, target.panel, {**target.target, "expr": target.expr.replace(HISTORY, "nothing")})
    found = asked(estate, bare, opened[target.board])
    days = {day(at) for one in found for at, _ in one["values"]}
    assert days == {TODAY - timedelta(days=1), TODAY}


@pytest.mark.parametrize("target", daily(list(boards.targets())), ids=lambda target: target.id)
def test_with_history_there_are_thirteen_months(estate: Estate, opened: Mapping[str, Chosen], target: Target) -> None:
    found = asked(estate, target, opened[target.board], YEAR)
    days = {day(at) for one in found for at, _ in one["values"]}
    assert len(days) > 390
    ends = settled(estate).values()
    assert min(ends) <= max(days) <= max(ends), "settled days stand at their own place, and nothing stands after them"


# --- and where nothing happened, it says so --------------------------------------------------------------------------


def titled(board: str, title: str, heading: str) -> Target:
    [found] = [one for one in boards.targets(board) if one.panel["title"].startswith(title) and one.heading == heading]
    return found


def test_a_provider_that_spends_nothing_for_the_first_time_says_so_beside_one_that_does(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    target = titled("anomalies", "Spent for the first time", "Cost")
    shown = {
        (labels(one)["provider"], labels(one)["name"]): one["values"][0][1]
        for one in asked(estate, target, opened["anomalies"])
    }
    billed = {provider for (provider,) in stored(estate, ("provider",), CATEGORIES, LAST_MONTH)}
    quiet = {(provider, "nothing new"): 0.0 for provider in billed - {"aws"}}
    assert len(quiet) > 1
    assert shown == {("aws", "ap-southeast-2"): 3.25, **quiet}


def test_without_a_look_at_first_spends_nothing_is_said_of_them(estate: Estate, opened: Mapping[str, Chosen]) -> None:
    target = titled("anomalies", "Spent for the first time", "Cost")
    bare = target.expr.replace("cloudspend_first_spend_cost", "nothing")
    for looked in ("nothing", "vector(1)"):  # switched off, or failed
        expr = re.sub(r"cloudspend_judgement_failed\{[^}]*\}", looked, bare)
        assert expr != bare
        unseen = Target(target.board, target.panel, {**target.target, "expr": expr})
        assert asked(estate, unseen, opened["anomalies"]) == []


def test_a_source_whose_days_were_not_watched_for_long_shows_what_is_assumed(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    def shown(heading: str) -> dict[str, float]:
        target = titled("exporter", "Sources", heading)
        return {labels(one)["source"]: one["values"][0][1] for one in asked(estate, target, opened["exporter"])}

    assert shown("Settles in") == {"demo": 172800 + 3600, "focus-sample": 12 * 3600}
    assert shown("Settling is") == {"demo": 1, "focus-sample": 0}


def test_what_was_not_paid_is_0_of_each_source(estate: Estate, opened: Mapping[str, Chosen]) -> None:
    def shown(title: str, heading: str, label: str) -> dict[tuple[str, str], float]:
        target = titled("exporter", title, heading)
        found = asked(estate, target, opened["exporter"])
        return {(labels(one)["source"], labels(one)[label]): one["values"][0][1] for one in found}

    assert shown("Paid for asking", "Cost", "currency") == {("demo", "USD"): 0, ("focus-sample", "USD"): 0}
    units = {("demo", "bytes"): 10485760, ("focus-sample", "none"): 0}
    assert shown("Units that vendors count", "Units", "unit") == units


def test_an_hour_without_a_charge_is_0_of_none_where_a_source_has_hours(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    target = titled("service", "Hour by hour", "")

    def shown(**replaced: str) -> dict[str, set[float]]:
        expr = target.expr
        for name, by in replaced.items():
            assert name in expr
            expr = expr.replace(name, by)
        bare = Target(target.board, target.panel, {**target.target, "expr": expr})
        return {labels(one)["service"]: {v for _, v in one["values"]} for one in asked(estate, bare, opened["service"])}

    assert "none" not in shown()
    assert shown(cloudspend_hourly_cost="nothing") == {"none": {0.0}}
    assert shown(cloudspend_hourly_cost="nothing", cloudspend_data_hour_end_timestamp_seconds="nothing") == {}


def test_on_its_first_day_a_budget_is_measured_as_if_that_had_ended(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    target = titled("budgets", "Used, for what has elapsed", "")
    first = re.sub(r"(cloudspend_budget_elapsed_ratio\{[^}]*\})", r"(0 * \1)", target.expr)
    assert first != target.expr
    bare = Target(target.board, target.panel, {**target.target, "expr": first})
    shown = {labels(one)["budget"]: one["values"][0][1] for one in asked(estate, bare, opened["budgets"])}
    ratios = boards.instant(
        estate.server, 'cloudspend_budget_spent{currency="USD"} / cloudspend_budget_limit', estate.now
    )
    days = {"everything": 30, "web": 7}
    used = {labels(one)["budget"]: float(one["value"][1]) for one in ratios}
    assert shown == pytest.approx({budget: used[budget] * days[budget] for budget in days})


# --- the money is the store's ----------------------------------------------------------------------------------------


def day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def labels(one: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = one["metric"]
    return found


def stored(
    estate: Estate,
    by: tuple[str, ...],
    categories: list[str],
    first: date = date.min,
    until: date = date.max,
    days: Mapping[str, date] | None = None,
) -> dict[Any, float]:
    """What `cloudspend costs` says in dollars of days from `first` until `until`, or of the one day of each source."""
    sums: dict[Any, float] = defaultdict(float)
    for line in estate.costs:
        on = line["day"]
        wanted = first.isoformat() <= on < until.isoformat() if days is None else on == days[line["source"]].isoformat()
        if wanted and line["currency"] == "USD" and line["charge_category"] in categories:
            sums[tuple(line[label] for label in by)] += float(line["cost"])
    return sums


def settled(estate: Estate) -> dict[str, date]:
    """Source → its latest settled day."""
    ends = boards.instant(estate.server, "cloudspend_data_end_timestamp_seconds", estate.now)
    return {one["metric"]["source"]: day(float(one["value"][1]) - 86400) for one in ends}


MONTHS = [
    target
    for target in boards.targets("overview", "service")
    if target.target.get("instant")
    and re.search(
        r"sum[^{]*\((cloudspend_month_to_date_cost|cloudspend_previous_month_cost|\$\{basis\}|cloudspend_daily_cost)\{",
        target.expr,
    )
    and not re.search(r" / | - |forecast", target.expr)
]


@pytest.mark.parametrize("target", MONTHS, ids=lambda target: target.id)
def test_a_sum_is_what_costs_says(estate: Estate, opened: Mapping[str, Chosen], target: Target) -> None:
    found = asked(estate, target, opened[target.board])
    by = tuple(label for label in LABELS if label in labels(found[0]))
    family = re.search(r"sum[^{]*\((\w+|\$\{basis\})\{", target.expr)
    assert family
    usage = ["usage"] if 'charge_category="usage"' in target.expr else CATEGORIES
    if family[1] == "cloudspend_daily_cost":
        should = stored(estate, by, usage, days=settled(estate))
    elif family[1] == "cloudspend_previous_month_cost":
        should = stored(estate, by, usage, LAST_MONTH, MONTH)
    else:
        should = stored(estate, by, usage, MONTH)
    for one in found:
        key = tuple(labels(one)[label] for label in by)
        assert one["values"][0][1] == pytest.approx(should[key], rel=1e-12, abs=1e-9), key
    if "topk" not in target.expr:
        shown = math.fsum(one["values"][0][1] for one in found)
        assert shown == pytest.approx(math.fsum(should.values()), rel=1e-12)


def test_there_are_sums_to_compare() -> None:
    assert len(MONTHS) > 15


@pytest.mark.parametrize("target", daily(list(boards.targets())), ids=lambda target: target.id)
def test_every_day_is_what_costs_says(estate: Estate, opened: Mapping[str, Chosen], target: Target) -> None:
    found = asked(estate, target, opened[target.board], YEAR)
    by = tuple(label for label in LABELS if label in labels(found[0]))
    shown: dict[date, dict[Any, float]] = defaultdict(dict)
    for one in found:
        for at, value in one["values"]:
            shown[day(at)][tuple(labels(one)[label] for label in by)] = value
    should: dict[date, dict[Any, float]] = defaultdict(lambda: defaultdict(float))
    until = settled(estate)
    for line in estate.costs:
        told = date.fromisoformat(line["day"]) <= until[line["source"]]
        if told and line["currency"] == "USD" and line["charge_category"] in CATEGORIES:
            should[date.fromisoformat(line["day"])][tuple(line[label] for label in by)] += float(line["cost"])
    for on, costs in shown.items():
        for key, value in costs.items():
            assert value == pytest.approx(should[on][key], rel=1e-12, abs=1e-9), (on, key)
        if "topk" not in target.expr:
            assert math.fsum(costs.values()) == pytest.approx(math.fsum(should[on].values()), rel=1e-12), on


def test_either_basis_comes_to_the_same_where_the_primary_one_is_billed(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    [target] = [one for one in boards.targets("overview") if "${basis}" in one.expr]
    values = [
        asked(estate, target, opened["overview"], basis=f"cloudspend_{name}month_to_date_cost")[0]["values"][0][1]
        for name in ("", "billed_")
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_a_budget_over_everything_has_spent_what_the_overview_shows(
    estate: Estate, opened: Mapping[str, Chosen]
) -> None:
    [spent] = [one for one in boards.targets("budgets") if one.heading == "Spent"]
    [figure] = [one for one in boards.targets("overview") if "${basis}" in one.expr]
    by_budget = {labels(one)["budget"]: one["values"][0][1] for one in asked(estate, spent, opened["budgets"])}
    assert asked(estate, figure, opened["overview"])[0]["values"][0][1] == pytest.approx(by_budget["everything"])


def test_open_anomalies_are_as_many_as_are_listed(estate: Estate, opened: Mapping[str, Chosen]) -> None:
    [count] = [one for one in boards.targets("overview") if one.panel["title"] == "Open anomalies"]
    impact = next(one for one in boards.targets("anomalies") if one.heading == "Impact")
    listed = [asked(estate, impact, opened["anomalies"], currency=each) for each in ("USD", "EUR")]
    assert asked(estate, count, opened["overview"])[0]["values"][0][1] == sum(map(len, listed)) > 0


def test_movers_add_up_row_by_row(estate: Estate, opened: Mapping[str, Chosen]) -> None:
    found = {
        target.heading: {
            (labels(one)["provider"], labels(one)["service"]): one["values"][0][1]
            for one in asked(estate, target, opened["overview"])
        }
        for target in boards.targets("overview")
        if target.panel["title"].startswith("Biggest movers")
    }
    days = (MONTH - LAST_MONTH).days
    before = stored(estate, ("provider", "service"), ["usage"], LAST_MONTH, MONTH)
    now = stored(estate, ("provider", "service"), ["usage"], days=settled(estate))
    assert len(found["Difference"]) == 10
    for key, difference in found["Difference"].items():
        assert difference == pytest.approx(now[key] - before[key] / days, rel=1e-9)
    largest = sorted((abs(now[key] - before[key] / days) for key in {*now, *before}), reverse=True)[:10]
    assert sorted(map(abs, found["Difference"].values()), reverse=True) == pytest.approx(largest)


def test_a_click_on_a_service_shows_that_service_alone(estate: Estate) -> None:
    span = boards.span("service")
    chosen = boards.defaults(
        estate.server, "service", estate.now, span, provider=["gcp"], service=["BigQuery"], category=CATEGORIES
    )
    [target] = [one for one in boards.targets("service") if one.panel["title"].startswith("Month to date")]
    should = stored(estate, ("provider", "service"), CATEGORIES, MONTH)
    assert should["gcp", "BigQuery"] > 0
    assert asked(estate, target, chosen)[0]["values"][0][1] == pytest.approx(should["gcp", "BigQuery"], rel=1e-12)
