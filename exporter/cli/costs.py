"""`cloudspend costs`: what was spent, by anything, from the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from exporter.analysis.basis import Unknown, primary, unknown
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import DATE, chosen, configuration, one_shot_clock
from exporter.clock import Clock
from exporter.costs import REFUND, ChargeCategory, Cost, CostLine, CostTable, dimension, engine, text
from exporter.costs.money import add
from exporter.errors import CloudspendError
from exporter.periods import ALWAYS, DAY, Grain, Month, Window, day_of
from exporter.polling.sources import Paths
from exporter.store.lake import Lake

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
    config, clock = chosen(file, demo=demo), one_shot_clock()
    window = _window(start, end, days, clock)
    dimensions = _checked_dimensions(by)
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    # A source that left the configuration left the answers too; its history stays in the store.
    sources = [source.name for source in config.sources]
    lake = Lake(Paths(config.store.path).lake)
    grain = Grain.HOUR if "hour" in dimensions else Grain.DAY
    charges = lake.read(window, grain, sources)
    if provider:
        charges = charges.where(provider=_words(provider))
    if exclude:
        charges = charges.without(charge_category=_excluded(exclude))
    shown = Cost(cost or config.cost.basis)
    if cost:
        records = [_record(dimensions, line, shown) for line in charges.by(*dimensions).rows()]
    else:
        records = _primary(charges, dimensions, shown, unknown(lake.read(ALWAYS, sources=sources), shown))
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
        click.echo(
            "no charges stored for this question. hint: run 'cloudspend collect', or ask for other days", err=True
        )


def _primary(charges: CostTable, dimensions: Sequence[str], basis: Cost, unknown: Unknown) -> list[Record]:
    """Records on the primary basis, as the metrics show it: billed where a bill does not know the basis."""
    sums: dict[tuple[str, ...], tuple[Decimal, int]] = {}
    for line in charges.by(*dimensions, "source", "provider").rows():
        *labels, source, provider = line.key
        amount, rows = sums.get((*labels, line.currency), (Decimal(0), 0))
        amount = add(amount, primary(line, source, provider, basis, unknown))
        sums[(*labels, line.currency)] = amount, rows + line.rows
    names = (*dimensions, "currency")
    return [
        {**dict(zip(names, key, strict=True)), "cost": text(amount), "rows": rows}
        for key, (amount, rows) in sorted(sums.items())
    ]


def _record(dimensions: Sequence[str], line: CostLine, cost: Cost) -> Record:
    amount: Decimal | None = getattr(line, cost.value)
    labels = dict(zip(dimensions, line.key, strict=True))
    return {**labels, "currency": line.currency, "cost": None if amount is None else text(amount), "rows": line.rows}


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
