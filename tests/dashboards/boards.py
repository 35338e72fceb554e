"""The checked-in dashboards, and their queries as Grafana asks them: variables and intervals put in, steps aligned."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.e2e.stack import ROOT
from tests.neighbours import Server

FOLDER = ROOT / "grafana" / "dashboards"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
Chosen = Mapping[str, str | list[str]]
SECONDS = {"m": 60, "h": 3600, "d": 86400, "M": 30 * 86400, "y": 365 * 86400}
SCRAPED_EVERY = 60
"""`timeInterval` of the provisioned data source: the shortest step."""


@dataclass(frozen=True)
class Target:
    """One query of one panel."""

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.board}: {self.panel['title']} {self.target['refId']}"

    @property
    def expr(self) -> str:
        expr: str = self.target["expr"]
        return expr

    @property
    def heading(self) -> str:
        """Of the column that a table shows it in; empty where its labels alone are shown."""
        renamed = renames(self.panel)
        return renamed.get(f"Value #{self.target['refId']}") or renamed.get("Value", "")

    @property
    def unit(self) -> str:
        """In which it is shown."""
        for one in self.panel["fieldConfig"]["overrides"]:
            if one["matcher"]["options"] == self.heading:
                for each in one["properties"]:
                    if each["id"] == "unit":
                        unit: str = each["value"]
                        return unit
        return str(self.panel["fieldConfig"]["defaults"]["unit"])


def board(name: str) -> dict[str, Any]:
    """A dashboard as checked in."""
    made: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return made


def panels(name: str) -> list[dict[str, Any]]:
    """Its panels, without the rows."""
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def variables(name: str) -> list[dict[str, Any]]:
    """Its variables."""
    found: list[dict[str, Any]] = board(name)["templating"]["list"]
    return found


def targets(*names: str) -> Iterator[Target]:
    """Every query of these dashboards, of all where none is named."""
    for name in names or NAMES:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Target(name, panel, target)


def renames(panel: Mapping[str, Any]) -> dict[str, str]:
    """Field → heading, in a table."""
    found: dict[str, str] = {}
    for one in panel.get("transformations", ()):
        found |= one["options"].get("renameByName", {})
    return found


def options(server: Server, variable: Mapping[str, Any], chosen: Chosen, now: float, span: float) -> list[str]:
    """The values that a variable offers, in Grafana's order."""
    if variable["type"] == "custom":
        return [each.rpartition(" : ")[2].strip() for each in variable["query"].split(",")]
    asked = filled(variable["query"]["query"], chosen)
    if labels := re.fullmatch(r"label_values\((.*), (\w+)\)", asked):
        parameters = {"match[]": labels[1], "start": now - span, "end": now}
        found: list[str] = api(server, f"label/{labels[2]}/values?{urlencode(parameters)}")
    else:
        results = instant(server, asked.removeprefix("query_result(").removesuffix(")"), now)
        found = [_said(result) for result in results]
    if variable.get("regex"):
        pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
        matches = [match for match in (re.search(pattern, each) for each in found) if match]
        found = [match["value"] if "value" in match.groupdict() else match[1] for match in matches]
    if variable.get("sort"):
        found = sorted(found)
    return list(dict.fromkeys(found))


def _said(sample: Mapping[str, Any]) -> str:
    """A sample as Grafana writes it for the regex of a variable."""
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample["metric"].items()) if name != "__name__")
    return f"{sample['metric'].get('__name__', '')}{{{labels}}} {sample['value'][1]} {sample['value'][0] * 1000:.0f}"


def defaults(
    server: Server, name: str, now: float, span: float, **given: str | list[str]
) -> dict[str, str | list[str]]:
    """What is chosen when the dashboard is opened; `given` comes by the link."""
    chosen: dict[str, str | list[str]] = {}
    for variable in variables(name):
        if variable["type"] == "datasource":
            continue
        offered = options(server, variable, chosen, now, span)
        current = variable.get("current", {}).get("value")
        if variable["name"] in given:
            chosen[variable["name"]] = given[variable["name"]]
        elif current == ["$__all"]:
            chosen[variable["name"]] = variable.get("allValue") or offered
        elif current:
            chosen[variable["name"]] = current
        else:
            chosen[variable["name"]] = offered[0]
    return chosen


def filled(expr: str, chosen: Chosen) -> str:
    """The expression with what is chosen put in, as the Prometheus data source does it."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in chosen:
            return match[0]  # `$1` of label_replace
        word = chosen[name]
        return word if isinstance(word, str) else f"({'|'.join(map(_escaped, word))})"

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, expr)


def _escaped(word: str) -> str:
    """For a regex within a string of PromQL, as Grafana does it."""
    return re.sub(r"[\\^$*+?.()|{}\[\]/]", r"\\\\\g<0>", word)


def span(name: str) -> float:
    """Seconds that the dashboard shows when it is opened."""
    number, unit = re.fullmatch(r"now-(\d+)(\w)", board(name)["time"]["from"]).groups()  # type: ignore[union-attr]
    return int(number) * SECONDS[unit]


def step(panel: Mapping[str, Any], seconds: float) -> int:
    """Grafana's step for a range of so many seconds, on a screen of 1000 points."""
    least = SCRAPED_EVERY
    if given := panel.get("interval"):
        least = int(given[:-1]) * SECONDS[given[-1]]
    return max(least, math.ceil(seconds / panel.get("maxDataPoints", 1000) / 60) * 60)


def asked(server: Server, target: Target, chosen: Chosen, now: float, seconds: float) -> list[dict[str, Any]]:
    """What Prometheus answers: [{metric, values}]; of an instant query a single value each."""
    wide = step(target.panel, seconds)
    intervals = {
        "__interval": f"{wide}s",
        "__rate_interval": f"{max(wide + SCRAPED_EVERY, 4 * SCRAPED_EVERY)}s",
        "__range": f"{seconds:.0f}s",
    }
    expr = filled(target.expr, {**chosen, **intervals})
    if target.target.get("instant"):
        return [{"metric": each["metric"], "values": [each["value"]]} for each in instant(server, expr, now)]
    start, end = ((now - seconds) // wide * wide, now // wide * wide)
    answer = api(server, "query_range", {"query": expr, "start": start, "end": end, "step": wide})
    found: list[dict[str, Any]] = answer["result"]
    return found


def instant(server: Server, expr: str, now: float) -> list[dict[str, Any]]:
    """What an instant query answers: [{metric, value}]."""
    found: list[dict[str, Any]] = api(server, "query", {"query": expr, "time": now})["result"]
    return found


def api(server: Server, path: str, form: Mapping[str, Any] | None = None) -> Any:
    """The data of an answer of Prometheus' API; posted, as some queries are long. ValueError for a wrong query."""
    try:
        body = urlencode(form).encode() if form else None
        with urlopen(f"{server.url}/api/v1/{path}", body, timeout=60) as response:
            return json.load(response)["data"]
    except HTTPError as error:
        with error:
            raise ValueError(f"{form}: {error.read().decode()}") from None


def legend(target: Target, labels: Mapping[str, str]) -> str:
    """What a series is called."""
    words: str = target.target["legendFormat"]
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), words)
