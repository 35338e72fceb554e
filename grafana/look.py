#!/usr/bin/env python3
"""Contact sheets of the dashboards over the demo, one picture each: for looking, not for judging Grafana's own drawing.

python -m grafana.look FOLDER [--days 14] [--phone]

Needs matplotlib (`pip install 'cloudspend[dev,pictures]'`), prometheus and promtool. Panels stand where the dashboard
has them; their queries are asked of a real Prometheus as the tests do.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.dates as dates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from grafana.regions import PLACES
from tests.dashboards import boards
from tests.dashboards.estate import Estate, filled

COLOURS = {"green": "#73bf69", "yellow": "#e0b400", "orange": "#ff9830", "red": "#e02f44", "blue": "#5794f2"}
PAPER, INK, FAINT = "#181b1f", "#ccccdc", "#44474d"
Rows = list[dict[str, Any]]


def main() -> int:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description="Draw the dashboards.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=14, help="on how many days before the demo was scraped, too")
    parser.add_argument("--phone", action="store_true", help="one panel below the other, as on a narrow screen")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK})
    plt.rcParams.update({"axes.facecolor": PAPER, "axes.edgecolor": FAINT, "font.size": 7})
    earlier = [timedelta(days=back) for back in range(options.days, 0, -1)]
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder), earlier) as estate:
        for name in boards.NAMES:
            sheet(estate, name, options.folder / f"{name}.png", phone=options.phone)
            print(options.folder / f"{name}.png")
    return 0


def sheet(estate: Estate, name: str, path: Path, *, phone: bool) -> None:
    """One dashboard."""
    span = boards.span(name)
    chosen = boards.defaults(estate.server, name, estate.now, span)
    places = []
    y = 0
    for panel in boards.board(name)["panels"]:
        at = dict(panel["gridPos"])
        if phone:
            at = {"x": 0, "y": y, "w": 24, "h": at["h"]}
            y += at["h"]
        places.append((panel, at))
    height = max(at["y"] + at["h"] for _, at in places)
    inches = 7 if phone else 20
    figure = plt.figure(figsize=(inches, height * 0.42), facecolor="#111217")
    for panel, at in places:
        x, top = at["x"] / 24, 1 - at["y"] / height
        if panel["type"] == "row":
            figure.text(x + 0.004, top - 0.6 / height, "▾ " + boards.filled(panel["title"], chosen), fontsize=11)
            continue
        low, wide, high = top - at["h"] / height, at["w"] / 24, at["h"] / height
        axes = figure.add_axes((x + 0.03 * wide, low + 0.14 * high, wide * 0.94, high * 0.68))
        own = {**chosen}
        if repeated := panel.get("repeat"):
            own[repeated] = chosen[repeated][0]
        figure.text(x + 0.004, top - 0.09 * high, boards.filled(panel["title"], own), fontsize=9, va="center")
        found = {
            target.target["refId"]: (target, boards.asked(estate.server, target, own, estate.now, span))
            for target in boards.targets(name)
            if target.panel["id"] == panel["id"]
        }
        DRAW[panel["type"]](axes, panel, found)
    figure.savefig(path, dpi=75, facecolor=figure.get_facecolor())
    plt.close(figure)


def said(value: float, unit: str, decimals: int | None = None) -> str:
    """A value as its unit writes it."""
    if unit == "dateTimeFromNow":
        return f"{datetime.fromtimestamp(value / 1000, UTC):%d %b %H:%M}"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f} %"
    if unit in ("s", "dtdurations"):
        return (
            f"{value / 86400:.1f} d" if value > 86400 else f"{value / 3600:.1f} h" if value > 3600 else f"{value:.2g} s"
        )
    if unit == "bytes":
        return f"{value / 2**20:.2f} MiB"
    if unit == "locale":
        return f"{value:,.{2 if decimals is None else decimals}f}"
    return f"{value:,.3g}"


def coloured(value: float, defaults: Mapping[str, Any]) -> str:
    """By its thresholds."""
    colour = INK
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = COLOURS.get(step["color"], INK)
    return colour


def figures(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A stat."""
    axes.axis("off")
    defaults = panel["fieldConfig"]["defaults"]
    for target, results in found.values():
        if not results:
            axes.text(0.5, 0.5, defaults["noValue"], ha="center", va="center", fontsize=16, color="#8e8e8e")
        for one in results:
            value = float(one["values"][-1][1])
            words = said(value, defaults["unit"], defaults.get("decimals"))
            for each in defaults.get("mappings", []):
                words = each["options"].get(f"{value:g}", {}).get("text", words)
            if panel["options"].get("textMode") == "name":
                words = boards.legend(target, one["metric"])
            axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=22, color=coloured(value, defaults))


def graph(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Lines, bars, bands."""
    custom = panel["fieldConfig"]["defaults"]["custom"]
    stacked: dict[float, float] = {}
    lines: dict[str, tuple[list[Any], list[float]]] = {}
    for target, results in found.values():
        for one in results:
            at = [datetime.fromtimestamp(float(t), UTC) for t, _ in one["values"]]
            lines[boards.legend(target, one["metric"])] = (at, [float(v) for _, v in one["values"]])
    overrides = {o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]} for o in _overrides(panel)}
    for number, (legend, (at, values)) in enumerate(lines.items()):
        style = overrides.get(legend, {})
        colour = style.get("color", {}).get("fixedColor", f"C{number % 10}")
        colour = COLOURS.get(colour, colour)
        if custom.get("drawStyle") == "bars":
            below = [stacked.get(t.timestamp(), 0.0) for t in at]
            axes.bar(at, values, bottom=below, width=0.8, align="edge", label=legend, color=colour)  # type: ignore[arg-type]
            stacked |= {t.timestamp(): b + v for t, b, v in zip(at, below, values, strict=True)}
            continue
        if lower := style.get("custom.fillBelowTo"):
            axes.fill_between(at, lines[lower][1][: len(at)], values, alpha=0.15, color=colour)  # type: ignore[arg-type]
        width = style.get("custom.lineWidth", 1.5)
        dash = "--" if "custom.lineStyle" in style else "-"
        axes.plot(at, values, dash, marker="." if len(at) < 40 else "", lw=width, label=legend, color=colour)  # type: ignore[arg-type]
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
    axes.grid(color=FAINT, lw=0.4)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    if panel["fieldConfig"]["defaults"]["unit"] in ("s", "dtdurations"):
        axes.yaxis.set_major_formatter(lambda value, _: said(value, "s"))
    if lines:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=6, fontsize=6, frameon=False)
    else:
        axes.text(0.5, 0.5, panel["fieldConfig"]["defaults"]["noValue"], transform=axes.transAxes, ha="center")


def _overrides(panel: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = panel["fieldConfig"]["overrides"]
    return found


def listing(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A table, merged, ordered and renamed."""
    axes.axis("off")
    hidden = {
        o["matcher"]["options"] for o in _overrides(panel) if any(p["id"] == "custom.hidden" for p in o["properties"])
    }
    names = {label: heading for label, heading in boards.renames(panel).items() if not label.startswith("Value")}
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    joined = (
        set.intersection(*({*one["metric"]} for _, results in found.values() for one in results))
        if any(results for _, results in found.values())
        else set()
    )
    for target, results in found.values():
        for one in results:
            row = rows.setdefault(tuple(one["metric"][label] for label in sorted(joined - {"__name__"})), {})
            row |= {heading: one["metric"][label] for label, heading in names.items() if label in one["metric"]}
            if target.heading:
                row[target.heading] = (float(one["values"][-1][1]), target.unit)
    columns = [*names.values(), *(target.heading for target, _ in found.values() if target.heading)]
    [organised] = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
    places = {names.get(field) or _heading(panel, field): place for field, place in organised["indexByName"].items()}
    columns = sorted((column for column in columns if column not in hidden), key=lambda column: places[column])
    [order] = panel["options"]["sortBy"]
    key = order["displayName"]
    ordered = sorted(rows.values(), key=lambda row: _key(row.get(key)), reverse=order["desc"])
    most = max(1, int(panel["gridPos"]["h"] * 1.15))
    cells = [[_cell(row.get(column, "–")) for column in columns] for row in ordered[:most]]
    if not cells:
        axes.text(0.5, 0.5, panel["fieldConfig"]["defaults"]["noValue"], ha="center", fontsize=11, color="#8e8e8e")
        return
    made = axes.table(cells, colLabels=columns, loc="upper left", cellLoc="left")
    made.auto_set_font_size(False)
    made.set_fontsize(7)
    made.auto_set_column_width(list(range(len(columns))))
    for cell in made.get_celld().values():
        cell.set(facecolor=PAPER, edgecolor=FAINT, linewidth=0.3)


def _heading(panel: Mapping[str, Any], field: str) -> str:
    return boards.renames(panel).get(field, field)


def _key(value: Any) -> tuple[int, Any]:
    return (1, value[0]) if isinstance(value, tuple) else (0, str(value))


def _cell(value: Any) -> str:
    return said(*value) if isinstance(value, tuple) else str(value)[:44]


def ranked(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Bars side by side."""
    defaults = panel["fieldConfig"]["defaults"]
    [(target, results)] = found.values()
    named = [(boards.legend(target, one["metric"])[:30], float(one["values"][-1][1])) for one in results]
    for place, (name, value) in enumerate(reversed(named)):
        axes.barh(place, value, color=coloured(value, defaults))
        axes.text(value, place, f" {said(value, defaults['unit'], defaults.get('decimals'))}", va="center", fontsize=7)
        axes.text(0, place + 0.45, name, va="center", fontsize=6)
    axes.set_yticks([])
    if not named:
        axes.text(0.5, 0.5, defaults["noValue"], transform=axes.transAxes, ha="center", fontsize=11)


def world(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Places, without the base map."""
    [(_, results)] = found.values()
    most = max(float(one["values"][-1][1]) for one in results)
    for one in results:
        if one["metric"].get("geohash"):
            latitude, longitude = PLACES[one["metric"]["region"]]
            size = 10 + 400 * float(one["values"][-1][1]) / most
            axes.scatter(longitude, latitude, s=size, alpha=0.6, color=COLOURS["blue"])
            axes.text(longitude, latitude + 3, one["metric"]["region"], fontsize=5, ha="center")
    axes.set(xlim=(-180, 180), ylim=(-60, 80))
    axes.grid(color=FAINT, lw=0.4)
    assert panel


def states(axes: Axes, panel: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A line of states for each series."""
    [(target, results)] = found.values()
    for place, one in enumerate(results):
        for at, value in one["values"]:
            colour = COLOURS["green" if float(value) else "red"]
            axes.barh(place, 1 / 1440 * 3, left=dates.date2num(datetime.fromtimestamp(float(at), UTC)), color=colour)
    axes.set_yticks(range(len(results)), [boards.legend(target, one["metric"]) for one in results])
    axes.xaxis_date()
    assert panel


DRAW = {
    "stat": figures,
    "timeseries": graph,
    "table": listing,
    "bargauge": ranked,
    "geomap": world,
    "state-timeline": states,
}

if __name__ == "__main__":
    raise SystemExit(main())
