"""A picture of a forecast: what was, what is expected and how sure that is, and the seasons behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from exporter.errors import CloudspendError

# matplotlib is an extra, and takes a second to load.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exporter.analysis.forecasts.grouped import Line

MOST = 6
"""Groups in a picture; more could not be read."""
KINDS = (".png", ".svg", ".pdf")
_SHOWN = 92
"""Days of the past in the picture."""
_WEEK = 7
_LEAST_FACTOR = 0.05
"""A weekday that costs less than this share of the mean says nothing about the trend."""
_INK, _FAINT, _PAST, _AHEAD, _TREND = "#1f2933", "#7b8794", "#334e68", "#b44d12", "#0f766e"
_DAYS = "MTWTFSS"


def ready(path: Path) -> None:
    """CloudspendError where a picture cannot be drawn into this file: its kind, or matplotlib missing."""
    if path.suffix.lower() not in KINDS:
        raise CloudspendError(f"{path.name} is no picture that can be drawn. hint: a name that ends in .png")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CloudspendError("a chart needs matplotlib. hint: pip install 'cloudspend[chart]'") from None


def draw(lines: Sequence[Line], path: Path, title: str, footer: str) -> int:
    """Draw the largest groups into a file; how many is returned. CloudspendError where it cannot be written."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn = sorted((line for line in lines if line.total is not None), key=_size)[-MOST:][::-1]
    if not drawn:
        raise CloudspendError("there is no forecast to draw. hint: a group needs 14 days of history")
    looks: Any = {
        "font.size": 9,
        "text.color": _INK,
        "axes.labelcolor": _FAINT,
        "axes.edgecolor": "#cbd2d9",
        "xtick.color": _FAINT,
        "ytick.color": _FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "cloudspend",
    }
    with rc_context(looks):
        figure = Figure(figsize=(12, 1.1 + 3.1 * len(drawn)), facecolor="white", layout="constrained")
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        figure.supxlabel(footer, fontsize=8, color=_FAINT, x=0.01, ha="left")
        _fill(figure, drawn)
        try:
            figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
        except OSError as error:
            raise CloudspendError(f"cannot write {path}: {error.strerror}") from None
    return len(drawn)


def _fill(figure: Figure, drawn: Sequence[Line]) -> None:
    axes = figure.subplots(len(drawn), 2, squeeze=False, width_ratios=(5, 1))
    for (main, week), line in zip(axes, drawn, strict=True):
        _costs(main, line)
        _week(week, line)
    main = axes[0][0]
    main.legend(loc="upper left", frameon=False, ncols=4, fontsize=8, labelcolor=_INK)


def _costs(axes: Axes, line: Line) -> None:
    # Of this module half has types.
    dates: Any = import_module("matplotlib.dates")
    from matplotlib.ticker import FuncFormatter

    currency = line.group[-1]
    past = line.past[-_SHOWN:]
    days, costs = [day for day, _ in past], [cost for _, cost in past]
    axes.plot(_at(days), costs, color=_PAST, linewidth=1.2, label="settled")
    weekdays = line.seasons.weekdays if line.seasons else (1.0,) * _WEEK
    trend = [*zip(days, _trend(past, weekdays), strict=True), *((each.day, each.trend) for each in line.days)]
    axes.plot(
        _at([day for day, _ in trend]),
        [cost for _, cost in trend],
        color=_TREND,
        linewidth=1.1,
        linestyle=(0, (4, 2)),
        label="trend",
    )
    if line.days:
        ahead = _at([each.day for each in line.days])
        low, high = [each.low for each in line.days], [each.high for each in line.days]
        axes.fill_between(ahead, low, high, color=_AHEAD, alpha=0.18, linewidth=0, label="interval")
        axes.plot(ahead, [each.cost for each in line.days], color=_AHEAD, linewidth=1.4, label="forecast")
        axes.axvline(ahead[0], color="#cbd2d9", linewidth=0.8, zorder=0)
    axes.set_title(_heading(line), loc="left", fontsize=10, color=_INK)
    axes.set_ylabel(f"{currency} a day")
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda cost, _: f"{cost:,.4g}" if abs(cost) < 1000 else f"{cost:,.0f}")
    )
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    if min([*costs, *(each.low for each in line.days)], default=0) >= 0:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    # Room for the legend above the highest day.
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.12 * (top - bottom))


def _week(axes: Axes, line: Line) -> None:
    """What each weekday costs against the mean day."""
    if line.seasons is None:
        axes.set_axis_off()
        return
    shares = [100 * (factor - 1) for factor in line.seasons.weekdays]
    places = range(_WEEK)
    axes.bar(places, shares, color=[_PAST if share >= 0 else "#9fb3c8" for share in shares], width=0.7)
    axes.set_xticks(places, _DAYS)
    axes.axhline(0, color="#cbd2d9", linewidth=0.8)
    axes.set_title("weekday against the mean", loc="left", fontsize=8, color=_FAINT)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:+.0f} %" if share else "0 %")
    most = max(5.0, 1.15 * max(abs(share) for share in shares))
    axes.set_ylim(-most, most)
    axes.tick_params(axis="x", labelsize=7, length=0)
    axes.tick_params(axis="y", labelsize=7)


def _heading(line: Line) -> str:
    words = " ".join(line.group[:-1]) or "all"
    total, low, high = (_money(amount or 0.0) for amount in (line.total, line.low, line.high))
    growth = f", {100 * line.seasons.growth:+.1f} % in 30 days" if line.seasons else ""
    return f"{words}: {total} {line.group[-1]} expected, {low} to {high}{growth}"


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"


def _trend(past: Sequence[tuple[date, float]], weekdays: Sequence[float]) -> list[float]:
    """The median of the week around each day, at the ends of the first and the last, without its weekdays."""
    plain = [cost / factor if (factor := weekdays[day.weekday()]) > _LEAST_FACTOR else None for day, cost in past]
    found = []
    for place in range(len(plain)):
        first = max(0, min(place - _WEEK // 2, len(plain) - _WEEK))
        around = [cost for cost in plain[first : first + _WEEK] if cost is not None]
        found.append(median(around) if around else 0.0)
    return found


def _at(days: Sequence[date]) -> list[float]:
    """Places on the axis: matplotlib counts days since 1970."""
    return [(day - date(1970, 1, 1)) / timedelta(days=1) for day in days]


def _size(line: Line) -> float:
    return abs(line.total or 0.0)
