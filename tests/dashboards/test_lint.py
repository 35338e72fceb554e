"""The rules of Grafana's dashboard linter, and our own: one idea and one unit each, nothing without words.

Two rules of that linter do not fit money and are not here: every query by `job` and `instance` (a bill has neither),
and `rate` over `$__rate_interval` alone (we count over the chosen time, `$__range`, too).
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from grafana_foundation_sdk.models import units

from exporter.metrics.catalog import CATALOG
from tests.dashboards import boards

UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("__")}
COUNTERS = {name for name, spec in CATALOG.items() if spec.type == "counter"}
MONEY = {name for name, spec in CATALOG.items() if spec.unit == "money"}
FUNCTIONS = re.compile(r"\b(rate|irate|increase|resets|delta|deriv|sum_over_time)\s*\(\s*([a-z_]+)\b[^\[]*\[([^\]]+)\]")

every_board = pytest.mark.parametrize("name", boards.NAMES)
every_panel = pytest.mark.parametrize(
    "panel",
    [panel for name in boards.NAMES for panel in boards.panels(name)],
    ids=lambda panel: f"{panel['title']}",
)
every_target = pytest.mark.parametrize("target", list(boards.targets()), ids=lambda target: target.id)


@every_board
def test_a_dashboard_has_one_data_source_variable_and_all_of_it_uses_that(name: str) -> None:
    sources = [variable for variable in boards.variables(name) if variable["type"] == "datasource"]
    assert [(one["name"], one["label"], one["query"]) for one in sources] == [
        ("datasource", "Data source", "prometheus")
    ]
    asked: list[Any] = [variable["datasource"] for variable in boards.variables(name) if variable["type"] == "query"]
    for panel in boards.panels(name):
        asked += [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(one == {"type": "prometheus", "uid": "$datasource"} for one in asked)


@every_board
def test_a_dashboard_is_not_to_be_edited_and_shows_days_as_the_bill_does(name: str) -> None:
    made = boards.board(name)
    assert made["editable"] is False
    assert made["timezone"] == "utc"
    assert made["refresh"]
    assert made["description"]
    assert "cloudspend" in made["tags"]
    assert "id" not in made


@every_board
def test_variables_follow_the_chosen_time(name: str) -> None:
    for variable in boards.variables(name):
        assert variable["label"]
        if variable["type"] == "query":
            assert variable["refresh"] == 2, variable["name"]


@every_board
def test_panels_lie_side_by_side_and_are_told_apart(name: str) -> None:
    made = boards.board(name)["panels"]
    assert len({panel["id"] for panel in made}) == len(made)
    titles = [panel["title"] for panel in made]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in made:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@every_board
def test_no_row_of_panels_leaves_a_hole(name: str) -> None:
    rows: dict[int, int] = {}
    for panel in boards.board(name)["panels"]:
        if not panel.get("repeat"):
            rows[panel["gridPos"]["y"]] = rows.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert {y: width for y, width in rows.items() if width != 24} == {}


@every_panel
def test_a_panel_says_what_it_shows_in_a_unit_that_grafana_has(panel: dict[str, Any]) -> None:
    assert re.match(r"[A-Z$]", panel["title"])
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 20
    assert panel["targets"]
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            assert one["id"] != "unit" or one["value"] in UNITS


@every_panel
def test_queries_of_a_panel_have_letters_of_their_own(panel: dict[str, Any]) -> None:
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == sorted(set(letters))
    assert all(letters)


@every_target
def test_counters_are_asked_for_their_growth_and_nothing_else_is(target: boards.Target) -> None:
    bare = re.sub(r"\{[^}]*\}", "", target.expr)
    for function, name, window in FUNCTIONS.findall(bare):
        assert function == "increase"
        assert name in COUNTERS, name
        assert window in ("$__rate_interval", "$__range")
    if target.panel["title"] not in ("Paid for asking", "Units that vendors count"):
        inside = {name for _, name, _ in FUNCTIONS.findall(bare)}
        plain = [name for name in re.findall(r"cloudspend_\w+_total\b", bare) if name not in inside]
        assert plain == []


@every_target
def test_money_has_its_currency_beside_it_and_is_never_added_to_another(target: boards.Target) -> None:
    """In a variable that holds one, with `$currency` in the title; or as a label of each row or series."""
    names = [name for name in re.findall(r"cloudspend_\w+", target.expr) if name in MONEY]
    if not names or target.unit not in ("locale", "none"):
        return
    chosen = "${basis}" in target.expr or 'currency="$currency"' in target.expr
    kept = re.search(r"by \([^)]*currency", target.expr) and ("currency" in boards.renames(target.panel))
    kept = kept or "{{currency}}" in target.target["legendFormat"]
    assert chosen or kept, target.expr
    if chosen:
        assert "$currency" in target.panel["title"]


@every_target
def test_the_unit_fits_what_is_shown(target: boards.Target) -> None:
    """Judged by the last division or product, else by the unit that the catalogue gives the first family."""
    if not target.heading and target.panel["type"] == "table":
        return  # its labels alone are shown
    expr, unit = re.sub(r"\{[^}]*\}", "", target.expr), target.unit
    names = re.findall(r"cloudspend_[a-z_]+", expr)
    if re.match(r"count\(|group by|topk by|.*\bcount\(", expr) or "increase(" in expr:
        assert unit in ("short", "locale"), unit
    elif "* 1000" in expr:
        assert unit == "dateTimeFromNow"
    elif "_cost" in target.expr and " / " not in expr:
        assert unit == "locale" or "anomaly_score" in expr or "anomalies" in expr, unit
    elif " / " in expr and "previous_month_cost" not in expr:
        assert unit in ("percentunit", "short")
    elif names and names[0] in CATALOG:
        fits = {"money": {"locale", "percentunit"}, "seconds": {"s", "dtdurations"}, "bytes": {"bytes"}}
        fits |= {"ratio": {"percentunit", "short"}, "": {"short", "locale", "string"}}
        assert unit in fits[CATALOG[names[0]].unit], (names[0], unit)
