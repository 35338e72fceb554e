"""`cloudspend forecast`: what the month, or the next days, come to, from the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli import chart
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import COLLECT, configuration, one_shot_clock, readable
from exporter.costs import engine
from exporter.errors import CloudspendError
from exporter.periods import DAY, Month, Window, day_of, midnight
from exporter.polling.sources import Paths, resolve

# What forecasts needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.forecasts.grouped import Line

MODELS = ("auto", "seasonal", "linear", "prophet", "statsforecast")
BY = ("source", "provider", "account", "service", "region")
HISTORY = 200
"""Days that are read. The models look at 24 weeks."""
_AMOUNTS = ("settled", "rest", "total", "low", "high")
_FIGURES = (*_AMOUNTS, "past_error", "growth", "history")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@click.command()
@configuration
@click.option("--by", default="provider", show_default=True, help=f"Group by: {', '.join(BY)}; comma separated.")
@click.option("--provider", help="Only these provider labels, comma separated: aws, azure, gcp …")
@click.option("--days", type=click.IntRange(1, 366), help="Forecast the next so many UTC days, today included.")
@click.option("--month-end", is_flag=True, help="Forecast this UTC month: what has settled, and the rest.  [default]")
@click.option("--model", type=click.Choice(MODELS), help="What forecasts.  [default: forecasts.model]")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="How often the truth lies between low and high.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the largest groups into a .png, .svg or .pdf too; needs the extra `chart`.",
)
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def forecast(
    file: Path | None,
    by: str,
    provider: str | None,
    days: int | None,
    model: str | None,
    confidence: float,
    output: Path | None,
    form: str,
    *,
    month_end: bool,
    demo: bool,
) -> None:
    """Forecast what this month comes to: the days that have settled, and what is expected of the rest.

    Looks at usage charges, on the effective cost where a bill knows it, else billed: fees, taxes, credits and refunds
    are not among them. (The metric cloudspend_month_forecast_cost is about the whole bill but credits, on cost.basis.)
    Currencies are never added. A group needs 14 days of history, and 30 for every model but auto and linear.
    `history` is what the settled days cost that were read; `growth` is for 30 days. JSON has the weekdays, what comes
    once a month, and every day ahead too.

    \b
    cloudspend forecast --by provider,service
    cloudspend forecast --days 90 --confidence 0.95 --format json
    cloudspend forecast --provider aws --output forecast.png
    """
    from exporter.analysis.forecasts.grouped import forecasted
    from exporter.polling.estate import stored

    if days is not None and month_end:
        raise click.UsageError("--days goes without --month-end")
    if output:
        chart.ready(output)
    names, config, now = checked(by), readable(file, demo=demo), one_shot_clock().now()
    model = model or config.forecasts.model
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    today = day_of(now)
    window = Window.of_days(today, today + DAY * days) if days else Month.containing(now).window()
    estate = stored(resolve(config), Paths(config.store.path), now, today - DAY * HISTORY)
    wanted = {word.strip() for word in provider.split(",")} if provider else None
    lines = sorted(forecasted(estate.sources, names, window, model, confidence, wanted), key=lambda line: line.group)
    young = [line for line in lines if line.rest is None]
    if young and len(young) == len(lines):
        raise CloudspendError(_too_young(young, model))
    span = f"{day_of(window.start)} to {day_of(window.end - DAY)}"
    if form == Format.JSON:
        documents = [_document(names, line, window, confidence) for line in lines]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        title = f"usage from {span} (UTC days), {100 * confidence:g} % interval"
        columns = [*names, "currency", "settled_until", *_FIGURES]
        records = [_record(names, line) for line in lines]
        click.echo(rendered(records, columns, Format(form), title=title, right=_FIGURES))
    if output and lines:
        footer = f"UTC days, usage charges, model {model}, {100 * confidence:g} % interval"
        drawn = chart.draw(lines, output, f"Forecast of {span}, by {', '.join(names)}", footer)
        left = f", the {drawn} largest of {len(lines)} groups" if drawn < len(lines) - len(young) else ""
        click.echo(f"drawn: {output}{left}", err=True)
    if young:
        click.echo(_too_young(young, model), err=True)
    for name in estate.unsettled:
        click.echo(f"{name}: no day has settled yet, so it is not in the forecast", err=True)
    if estate.empty or (provider and not lines):
        hint = COLLECT
        click.echo(f"no charges stored for this question. hint: {hint}", err=True)


def checked(by: str) -> tuple[str, ...]:
    """The words of `--by`. BadParameter for one that is none."""
    names = tuple(word.strip() for word in by.split(",") if word.strip())
    for name in names:
        if name not in BY:
            hint = f"one of {', '.join(BY)}"
            raise click.BadParameter(f"{name!r} is nothing to forecast by. hint: {hint}", param_hint="--by")
    if len(set(names)) != len(names):
        raise click.BadParameter("each dimension once; currency is always there", param_hint="--by")
    return names


def _document(names: Sequence[str], line: Line, window: Window, confidence: float) -> dict[str, object]:
    """A line for programs; amounts are floats in `currency`."""
    return {
        **dict(zip((*names, "currency"), line.group, strict=True)),
        "from": day_of(window.start).isoformat(),
        "to": day_of(window.end - DAY).isoformat(),
        "settled_until": line.until.isoformat(),
        **{name: _rounded(getattr(line, name)) for name in _AMOUNTS},
        "confidence": confidence,
        "past_error": _rounded(line.error),
        "history": {
            "from": line.past[0][0].isoformat() if line.past else None,
            "to": line.until.isoformat(),
            "total": _rounded(line.history),
        },
        "growth": None if line.seasons is None else _rounded(line.seasons.growth),
        "seasons": line.seasons
        and {
            "weekdays": {day: _rounded(each) for day, each in zip(_WEEKDAYS, line.seasons.weekdays, strict=True)},
            "monthly": {day.isoformat(): _rounded(cost) for day, cost in line.seasons.monthly},
        },
        "days": [
            {"day": each.day.isoformat(), **{name: _rounded(getattr(each, name)) for name in ("cost", "low", "high")}}
            for each in line.days
            if midnight(each.day) in window
        ],
    }


def _rounded(amount: float | None) -> float | None:
    """Without the digits that are an accident of adding floats."""
    return None if amount is None else round(amount, 6)


def _record(names: Sequence[str], line: Line) -> Record:
    """A line of a table or of CSV: amounts in cents."""
    return {
        **dict(zip((*names, "currency"), line.group, strict=True)),
        "settled_until": line.until.isoformat(),
        **{name: None if (of := getattr(line, name)) is None else f"{of:.2f}" for name in _AMOUNTS},
        "past_error": None if line.error is None else f"{100 * line.error:.1f} %",
        "growth": None if line.seasons is None else f"{100 * line.seasons.growth:+.1f} %",
        "history": f"{line.history:.2f}",
    }


def _too_young(lines: Sequence[Line], model: str) -> str:
    from exporter.analysis.forecasts import least

    groups = "; ".join(" ".join(line.group) for line in lines)
    return f"no forecast for {groups}: fewer than {least(model)} days of history. hint: cloudspend collect --start DAY"
