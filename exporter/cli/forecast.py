"""`cloudspend forecast`: what the month, or the next days, come to, from the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import chosen, configuration, one_shot_clock
from exporter.costs import engine
from exporter.errors import CloudspendError
from exporter.periods import DAY, Month, Window, day_of
from exporter.polling.sources import Paths, resolve

# What forecasts needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.forecasts.grouped import Line

MODELS = ("auto", "seasonal", "linear", "prophet")
BY = ("source", "provider", "account", "service", "region")
HISTORY = 200
"""Days that are read. The models look at 24 weeks."""
_AMOUNTS = ("settled", "rest", "total", "low", "high")


@click.command()
@configuration
@click.option("--by", default="provider", show_default=True, help=f"Group by: {', '.join(BY)}; comma separated.")
@click.option("--days", type=click.IntRange(1, 366), help="Forecast the next so many UTC days, today included.")
@click.option("--month-end", is_flag=True, help="Forecast this UTC month: what has settled, and the rest.  [default]")
@click.option("--model", type=click.Choice(MODELS), default="auto", show_default=True, help="What forecasts.")
@click.option(
    "--level",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    default=80,
    show_default=True,
    help="How often, in percent, the truth lies between low and high.",
)
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def forecast(
    file: Path | None, by: str, days: int | None, model: str, level: float, form: str, *, month_end: bool, demo: bool
) -> None:
    """Forecast what this month comes to: the days that have settled, and what is expected of the rest.

    Looks at usage charges, on the effective cost where a bill knows it, else billed: fees, taxes, credits and refunds
    are not among them. Currencies are never added. A group needs 14 days of history.

    \b
    cloudspend forecast --by provider,service
    cloudspend forecast --days 90 --level 95 --format json
    """
    from exporter.analysis.forecasts.grouped import forecasted
    from exporter.polling.estate import stored

    if days is not None and month_end:
        raise click.UsageError("--days goes without --month-end")
    names, config, now = checked(by), chosen(file, demo=demo), one_shot_clock().now()
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    today = day_of(now)
    window = Window.of_days(today, today + DAY * days) if days else Month.containing(now).window()
    estate = stored(resolve(config), Paths(config.store.path), now, today - DAY * HISTORY)
    lines = sorted(forecasted(estate.sources, names, window, model, level / 100), key=lambda line: line.group)
    young = [line for line in lines if line.rest is None]
    if young and len(young) == len(lines):
        raise CloudspendError(_too_young(young))
    if form == Format.JSON:
        documents = [_document(names, line, window, level) for line in lines]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        title = f"usage from {day_of(window.start)} to {day_of(window.end - DAY)} (UTC days), {level:g} % interval"
        columns = [*names, "currency", "settled_until", *_AMOUNTS, "past_error"]
        records = [_record(names, line) for line in lines]
        right = (*_AMOUNTS, "past_error")
        click.echo(rendered(records, columns, Format(form), title=title, right=right))
    if young:
        click.echo(_too_young(young), err=True)
    for name in estate.unsettled:
        click.echo(f"{name}: no day has settled yet, so it is not in the forecast", err=True)
    if estate.empty:
        hint = "run 'cloudspend collect', or ask for other days"
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


def _document(names: Sequence[str], line: Line, window: Window, level: float) -> dict[str, object]:
    """A line for programs; amounts are floats in `currency`."""
    return {
        **dict(zip((*names, "currency"), line.group, strict=True)),
        "from": day_of(window.start).isoformat(),
        "to": day_of(window.end - DAY).isoformat(),
        "settled_until": line.until.isoformat(),
        # Without the digits that are an accident of adding floats.
        **{name: None if (of := getattr(line, name)) is None else round(of, 6) for name in _AMOUNTS},
        "level": level,
        "past_error": None if line.error is None else round(line.error, 6),
    }


def _record(names: Sequence[str], line: Line) -> Record:
    """A line of a table or of CSV: amounts in cents."""
    return {
        **dict(zip((*names, "currency"), line.group, strict=True)),
        "settled_until": line.until.isoformat(),
        **{name: None if (of := getattr(line, name)) is None else f"{of:.2f}" for name in _AMOUNTS},
        "past_error": None if line.error is None else f"{100 * line.error:.1f} %",
    }


def _too_young(lines: Sequence[Line]) -> str:
    groups = "; ".join(" ".join(line.group) for line in lines)
    return f"no forecast for {groups}: fewer than 14 days of history. hint: cloudspend collect --start DAY"
