"""`cloudspend costs`: what was spent, by anything, from the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from exporter.api import Spent, spent
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import COLLECT, DATE, configuration, one_shot_clock, readable
from exporter.clock import Clock
from exporter.costs import REFUND, ChargeCategory, Cost, dimension, text
from exporter.costs.money import add
from exporter.errors import CloudspendError
from exporter.periods import DAY, Month, Window, day_of

_EXCLUDABLE = (*(category.lower() for category in ChargeCategory), REFUND)


@click.command()
@configuration
@click.option("--start", type=DATE, metavar="DAY", help="From this UTC day on.  [default: this month]")
@click.option("--end", type=DATE, metavar="DAY", help="To this UTC day, excluded.  [default: tomorrow]")
@click.option("--days", type=click.IntRange(min=1), help="The last so many UTC days, today included.")
@click.option("--provider", help="Only these provider labels, comma separated: aws, azure, gcp …")
@click.option(
    "--by",
    default="provider",
    show_default=True,
    help="Group by: provider, service, region, account, charge_category, day, month, billing_month, source, invoice,"
    " commitment_status, tag:KEY; comma separated. hour reads the last 14 days of sources that keep hours.",
)
@click.option("--cost", type=click.Choice([cost.value for cost in Cost]), help="Which amount.  [default: cost.basis]")
@click.option(
    "--exclude", help=f"Leave out: {', '.join(_EXCLUDABLE)}; comma separated. A refund is money that came back."
)
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def costs(
    file: Path | None,
    start: datetime | None,
    end: datetime | None,
    days: int | None,
    provider: str | None,
    by: str,
    cost: str | None,
    exclude: str | None,
    form: str,
    *,
    demo: bool,
) -> None:
    """Show what was spent. Amounts are exact, currencies are never added.

    \b
    cloudspend costs --days 7 --by service
    cloudspend costs --start 2024-09-01 --end 2024-10-01 --by provider,account --cost effective --format json
    cloudspend costs --by day --exclude credit,refund,tax
    """
    window = _window(start, end, days, one_shot_clock())
    dimensions = _checked_dimensions(by)
    left_out = _excluded(exclude) if exclude else ()
    config = readable(file, demo=demo)
    chosen_cost = Cost(cost) if cost else None
    lines = spent(config, window, dimensions, _words(provider or ""), chosen_cost, left_out)
    records = [_record(line) for line in lines]
    shown = chosen_cost or Cost(config.cost.basis)
    title = f"{shown.value} cost, {window.start:%Y-%m-%d} to {window.end - DAY:%Y-%m-%d} (UTC days, by charge period)"
    if exclude:
        title += f", without {exclude.replace(',', ', ')}"
    columns = [*dimensions, "currency", "cost", "rows"]
    totals = _totals(records, dimensions)
    click.echo(rendered(records, columns, Format(form), title=title, totals=totals, right=("cost", "rows")))
    kept = {key for source in config.sources for key in source.tags}
    for name in dimensions:
        if name.startswith("tag:") and name[4:] not in kept:
            hint = f"add {name[4:]!r} to the tags of a source"
            click.echo(f"no source keeps the tag {name[4:]!r}, so every charge is 'none'. hint: {hint}", err=True)
    if not records:
        click.echo(f"no charges stored for this question. hint: {COLLECT}", err=True)


def _record(line: Spent) -> Record:
    cost = None if line.cost is None else text(line.cost)
    return {**line.labels, "currency": line.currency, "cost": cost, "rows": line.rows}


def _totals(records: Sequence[Record], dimensions: Sequence[str]) -> list[Record]:
    """One line per currency under the table."""
    totals: list[Record] = []
    for currency in sorted({str(record["currency"]) for record in records}):
        mine = [record for record in records if record["currency"] == currency]
        amount = add(*(Decimal(str(record["cost"])) for record in mine if record["cost"] is not None))
        label = {dimensions[0]: "total"} if dimensions else {}
        rows = sum(int(record["rows"] or 0) for record in mine)
        totals.append({**label, "currency": currency, "cost": text(amount), "rows": rows})
    return totals


def _window(start: datetime | None, end: datetime | None, days: int | None, clock: Clock) -> Window:
    today = day_of(clock.now())
    if days is not None:
        if start or end:
            raise click.UsageError("--days goes without --start and --end")
        return Window.of_days(today - DAY * (days - 1), today + DAY)
    first = start.date() if start else Month.of(today).first
    until = end.date() if end else today + DAY
    if until <= first:
        raise click.BadParameter("the end lies before the start", param_hint="--end")
    return Window.of_days(first, until)


def _checked_dimensions(by: str) -> list[str]:
    names = _words(by)
    for name in names:
        try:
            dimension(name)
        except CloudspendError as error:
            raise click.BadParameter(str(error), param_hint="--by") from None
    if len(set(names)) != len(names) or "currency" in names:
        raise click.BadParameter("each dimension once; currency is always there", param_hint="--by")
    return names


def _excluded(words: str) -> list[str]:
    for word in _words(words):
        if word not in _EXCLUDABLE:
            hint = f"one of {', '.join(_EXCLUDABLE)}"
            raise click.BadParameter(f"{word!r} cannot be left out. hint: {hint}", param_hint="--exclude")
    return _words(words)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
