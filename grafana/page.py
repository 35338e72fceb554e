"""The reference page about the dashboards: every panel, what it shows and the families it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEAD = """\
<!-- Written by grafana/build.py from grafana/*.py: change those, then run `make dashboards`. -->

# Dashboards

*Reference, generated from the code.*

For Grafana 10 to 13 over Prometheus: [how to get them in](../how-to/import-dashboards.md). Every query of them is asked
of a real Prometheus in each test run, and its money compared with `cloudspend costs`. Times are UTC, as the days and
months of a bill are. Amounts are of the currency that is chosen, never of two added; credits are left out until they
are chosen among the charge categories."""

COST = re.compile(r"cloudspend_\(([a-z_|]+)\)_cost")
FAMILY = re.compile(r"\b(?:cloudspend_[a-z_]+[a-z]|ALERTS)\b")


def page(boards: Mapping[str, Mapping[str, Any]]) -> str:
    """The page."""
    return "\n\n".join([HEAD, *(_board(name, made) for name, made in boards.items())]) + "\n"


def _board(name: str, made: Mapping[str, Any]) -> str:
    variables = ", ".join(variable["label"].lower() for variable in made["templating"]["list"])
    title = made["title"].removeprefix("cloudspend: ").capitalize()
    file = f"[`{name}.json`](../../grafana/dashboards/{name}.json), uid `{made['uid']}`"
    return "\n\n".join([f"## {title}", f"{made['description']} {file}. To choose: {variables}.", *_rows(made)])


def _rows(made: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for panel in made["panels"]:
        if panel["type"] == "row":
            head = "| panel | shows | asks for |\n| --- | --- | --- |"
            found.append(f"### {_title(made, panel)}\n\n{head}")
        else:
            asked = ", ".join(f"`{name}`" for name in _families(panel))
            found[-1] += f"\n| {_title(made, panel)} | {_cell(panel['description'])} | {asked} |"
    return found


def _title(made: Mapping[str, Any], panel: Mapping[str, Any]) -> str:
    """Without the currency; what repeats is named for what it repeats."""
    words = panel["title"].replace(" ($currency)", "").replace("($currency, log scale)", "(log scale)")
    labels = {variable["name"]: variable["label"].lower() for variable in made["templating"]["list"]}
    return re.sub(r"\$(\w+)", lambda match: f"each {labels[match[1]]}", words)


def _families(panel: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for target in panel["targets"]:
        expr = COST.sub(
            lambda match: " ".join(f"cloudspend_{word}_cost" for word in match[1].split("|")), target["expr"]
        )
        found += FAMILY.findall(expr.replace("${basis}", "cloudspend_month_to_date_cost"))
    return list(dict.fromkeys(found))


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
