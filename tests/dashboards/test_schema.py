"""The dashboards are valid by Grafana's own types, old and new."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.dashboards import boards

VERSIONS = ("12.4", "13.2")
UNTOLD = {"geomap.Options"}
"""The map's types are declared twice in two ways, so that no schema can be made of them."""


def schemas(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"grafana-schema-{version}.json").read_text())
    return found


def problems(made: dict[str, Any], version: str) -> list[str]:
    """What is wrong with a dashboard, its panels' options and their fields."""
    by_type = schemas(version)
    parts = [("dashboard", "dashboard.Dashboard", made)]
    for panel in made["panels"]:
        title, kind = panel.get("title", ""), panel["type"].replace("-", "")
        parts.append((title, f"{kind}.Options", panel.get("options")))
        parts.append((title, f"{kind}.FieldConfig", panel.get("fieldConfig", {}).get("defaults", {}).get("custom")))
    found = []
    for title, kind, part in parts:
        if part is not None and kind not in UNTOLD:
            errors = Draft7Validator(by_type[kind]).iter_errors(part)
            found += [f"{title} {kind} {'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in errors]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", boards.NAMES)
def test_a_dashboard_is_valid(name: str, version: str) -> None:
    assert problems(boards.board(name), version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_mistakes_are_found(version: str) -> None:
    made = copy.deepcopy(boards.board("overview"))
    made["graphTooltip"] = 7
    graph = next(panel for panel in made["panels"] if panel["type"] == "timeseries")
    graph["gridPos"]["w"] = "12"
    graph["fieldConfig"]["defaults"]["decimals"] = "two"
    graph["options"]["legend"]["displayMode"] = "tabel"
    graph["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "bar"
    assert len(problems(made, version)) == 4  # the two within one panel are told as one
