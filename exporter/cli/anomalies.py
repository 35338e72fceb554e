"""`cloudspend anomalies`: what costs more, or much less, than it should, from the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import COLLECT, configuration, one_shot_clock, readable
from exporter.costs import engine
from exporter.periods import DAY, day_of
from exporter.polling.sources import Paths, resolve

# What judges needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.anomalies import Finding, Settings
    from exporter.polling.estate import Estate

DETECTORS = ("default", "percent", "zscore", "isolation_forest")
COLUMNS = (
    "severity",
    "kind",
    "status",
    "first_day",
    "day",
    "source",
    "provider",
    "account",
    "service",
    "region",
    "currency",
    "expected",
    "actual",
    "impact",
    "settled",
    "sentence",
)
_AMOUNTS = ("expected", "actual", "impact")
_HIDDEN = ("source", "provider", "account", "service", "region")
"""Columns that the sentence says again: a table goes without them."""


@click.command()
@configuration
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Findings that were open within the last so many UTC days, today included.",
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Multiplies every threshold: 0.9 finds more, 1.2 is quieter.",
)
@click.option(
    "--minimum-cost",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Least excess of a day, in the currency of each bill.",
)
@click.option("--detector", type=click.Choice(DETECTORS), default="default", show_default=True, help="What judges.")
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def anomalies(
    file: Path | None, days: int, sensitivity: float, minimum_cost: float, detector: str, form: str, *, demo: bool
) -> None:
    """Show what costs more, or much less, than it should: open findings, and those that ended lately.

    Looks at usage charges, on the effective cost where a bill knows it, else billed. The stored days are replayed one
    by one, as they are known now. Days that have not settled are judged for rises alone. Expected and actual are those
    of `day`, the newest settled one, or the last odd one of what ended; the impact is what was paid beyond what was
    expected from the first day to it.

    \b
    cloudspend anomalies --days 60
    cloudspend anomalies --sensitivity 0.8 --minimum-cost 50 --format json
    """
    from exporter.analysis.anomalies import Settings
    from exporter.polling.estate import stored
    from exporter.polling.replay import begin, findings

    config, today = readable(file, demo=demo), day_of(now := one_shot_clock().now())
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    settings = Settings(detector=detector, sensitivity=sensitivity, minimum_cost=minimum_cost)
    since = today - DAY * (days - 1)
    estate = stored(resolve(config), Paths(config.store.path), now, begin(settings, since)[1])
    found = findings(estate, settings, since, _shown)
    if form == Format.JSON:
        from exporter.analysis.anomalies import document

        documents = [document(finding, estate.accounts) for finding in found]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        columns = [column for column in COLUMNS if form == Format.CSV or column not in _HIDDEN]
        title = f"findings of {since} to {today} (UTC days, usage charges)"
        records = [record(finding, estate.accounts) for finding in found]
        click.echo(rendered(records, columns, Format(form), title=title, right=_AMOUNTS))
    _say(estate, settings, found=bool(found))


def record(finding: Finding, accounts: Mapping[str, str]) -> Record:
    """A finding as a line of a table or of CSV: amounts in cents."""
    from exporter.analysis.anomalies import sentence

    return {
        "severity": finding.severity.value,
        "kind": finding.kind.value,
        "status": finding.status.value,
        "first_day": finding.first_day.isoformat(),
        "day": finding.day.isoformat(),
        **finding.scope._asdict(),
        **{name: f"{getattr(finding, name):.2f}" for name in _AMOUNTS},
        "settled": "yes" if finding.settled else "no",
        "sentence": sentence(finding, accounts),
    }


def _shown(name: str, days: Sequence[date]) -> Iterator[date]:
    """The days one by one, with a bar where somebody watches."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(days, label=name, file=sys.stderr, hidden=hidden, show_pos=True) as shown:
        yield from shown


def _say(estate: Estate, settings: Settings, *, found: bool) -> None:
    """What no finding says."""
    if estate.empty:
        hint = COLLECT
        click.echo(f"no charges stored for this question. hint: {hint}", err=True)
        return
    for name in estate.unsettled:
        click.echo(f"{name}: no day has settled yet, so nothing was judged", err=True)
    for source in estate.sources:
        settled = sum(day <= source.edge.settled for day in source.series.days)
        if settled < settings.minimum_history:
            short = f"{settled} settled days are stored, and a judgement needs {settings.minimum_history}"
            click.echo(f"{source.name}: {short}", err=True)
    if not found:
        click.echo("nothing costs more, or much less, than it should", err=True)
