"""`cloudspend budgets list|check|summary|history`: how budgets stand, from the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import chosen, configuration, one_shot_clock, readable
from exporter.config.schema import Config
from exporter.costs import RATIO, engine
from exporter.costs.money import add, text
from exporter.periods import DAY, day_of

# What judges needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.budgets import BudgetReport, Closed, Standing

STATUSES = ("on_track", "at_risk", "over")
_CENT = Decimal("0.01")
_HUNDRED = Decimal(100)
_LIST = ("name", "status", "period", "until", "currency", "limit", "spent", "used", "forecast", "exhausted_on", "owner")
_CHECK = ("name", "status", "currency", "limit", "spent", "used", "reached", "severity", "settled")
_SUMMARY = ("currency", "budgets", *STATUSES, "limit", "spent", "remaining", "forecast")
_HISTORY = ("name", "first", "last", "currency", "limit", "spent", "variance", "variance_percent", "over", "settled")
_RIGHT = ("limit", "spent", "used", "forecast", "remaining", "variance", "variance_percent", "budgets", *STATUSES)

_form = click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)


@click.command("list")
@configuration
@click.option("--status", type=click.Choice(STATUSES), help="Only budgets that stand so.")
@_form
def listed(file: Path | None, status: str | None, form: str, *, demo: bool) -> None:
    """Show every budget: what it allows, what is spent, and what the running period comes to in the end.

    over: more than the limit is spent; at_risk: more is expected by the end of the period. Computed from what is
    stored; no cloud is asked.

    \b
    cloudspend budgets list --status at_risk
    cloudspend budgets list --format json
    """
    config, report = _report(file, demo=demo)
    found = [each for each in report.standings if status in (None, each.status.value)]
    owners = {budget.name: budget.owner for budget in config.budgets}
    if form == Format.JSON:
        _json([{**_document(each), "owner": owners[each.budget.name]} for each in found])
    else:
        records = [{**_record(each), "owner": owners[each.budget.name] or ""} for each in found]
        click.echo(rendered(records, _LIST, Format(form), right=_RIGHT))
    _say(config, found)


@click.command()
@configuration
@_form
def check(file: Path | None, form: str, *, demo: bool) -> None:
    """Say which budgets have reached a threshold; exit 1 where one has. No cloud is asked.

    \b
    cloudspend budgets check
    """
    config, report = _report(file, demo=demo)
    found = [each for each in report.standings if each.crossed]
    if form == Format.JSON:
        _json([_document(each) for each in found])
    elif found or form == Format.CSV:
        records = []
        for each in found:
            worst = each.crossed[-1]
            reached = {"reached": _percent(worst.ratio), "severity": worst.severity}
            records.append({**_record(each), **reached, "settled": "yes" if each.settled else "no"})
        click.echo(rendered(records, _CHECK, Format(form), right=_RIGHT))
    _say(config, report.standings)
    if found:
        sys.exit(1)
    if config.budgets:
        click.echo("no budget has reached a threshold", err=True)


@click.command()
@configuration
@_form
def summary(file: Path | None, form: str, *, demo: bool) -> None:
    """Add the budgets up, each currency by itself: how many stand how, what they allow, what is spent.

    A charge that lies in the scope of two budgets is in both. No cloud is asked.

    \b
    cloudspend budgets summary
    """
    config, report = _report(file, demo=demo)
    records = [_sums(currency, report.standings) for currency in sorted({c.currency for c in config.budgets})]
    if form == Format.JSON:
        _json(records)
    else:
        click.echo(rendered([_rounded(each) for each in records], _SUMMARY, Format(form), right=_RIGHT))
    _say(config, report.standings)


@click.command()
@configuration
@click.argument("name", nargs=-1, metavar="NAME")
@_form
def history(file: Path | None, name: tuple[str, ...], form: str, *, demo: bool) -> None:
    """Show the periods that have ended, of every budget or of each NAME: what was spent against the limit of then.

    The variance is what was spent less the limit. While a period has not settled, late charges may still raise it. A
    period from before the budget was first looked at has the limit of that day.

    \b
    cloudspend budgets history
    cloudspend budgets history aws --format csv
    """
    budgets = [budget.name for budget in chosen(file, demo=demo).budgets]
    for word in name:
        if word not in budgets:
            known = ", ".join(budgets) or "none"
            raise click.BadParameter(f"{word!r} is no budget here. hint: one of {known}", param_hint="NAME")
    config, report = _report(file, demo=demo)
    wanted = [each for each in report.standings if not name or each.budget.name in name]
    lines = [_closed(each, closed) for each in wanted for closed in each.history]
    if form == Format.JSON:
        _json(lines)
    else:
        records = [_rounded({**line, "over": _word(line["over"]), "settled": _word(line["settled"])}) for line in lines]
        click.echo(rendered(records, _HISTORY, Format(form), right=_RIGHT))
    _say(config, wanted)


def _report(file: Path | None, *, demo: bool) -> tuple[Config, BudgetReport]:
    from exporter.polling.allowances import stood

    config, now = readable(file, demo=demo), one_shot_clock().now()
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    return config, stood(config, now)


def _document(standing: Standing) -> dict[str, Any]:
    """How a budget stands, for programs; amounts are exact text."""
    budget, projection = standing.budget, standing.projection
    return {
        "name": budget.name,
        "status": standing.status.value,
        "currency": budget.currency,
        "period": budget.recurrence.cycle.value,
        "period_id": standing.period_id,
        "first": day_of(standing.period.start).isoformat(),
        "until": day_of(standing.period.end).isoformat(),
        "elapsed": _exact(standing.elapsed),
        "amount": text(budget.amount),
        "limit": text(standing.limit),
        "adjusted": standing.adjusted or None,
        "spent": text(standing.spent),
        "spent_settled": text(standing.spent_settled),
        "settled_until": standing.settled_until.isoformat() if standing.settled_until else None,
        "remaining": text(standing.remaining),
        "used": _exact(standing.used),
        "burn_day": _exact(standing.fast.ratio) if standing.fast else None,
        "burn_week": _exact(standing.slow.ratio) if standing.slow else None,
        "forecast": text(projection.total) if projection else None,
        "lower": text(projection.low80) if projection else None,
        "upper": text(projection.high80) if projection else None,
        "unforeseen": standing.unforeseen or None,
        "exhausted_on": standing.exhausted_on.isoformat() if standing.exhausted_on else None,
        "thresholds": [
            {
                "at": _percent(threshold.ratio),
                "severity": threshold.severity,
                "reached": threshold in standing.crossed,
                "projected": threshold in standing.projected_crossed,
            }
            for threshold in budget.thresholds
        ],
        "elsewhere": {currency: text(amount) for currency, amount in standing.elsewhere.items()},
    }


def _record(standing: Standing) -> Record:
    """How a budget stands, as a line of a table or of CSV: amounts in cents."""
    return {
        "name": standing.budget.name,
        "status": standing.status.value,
        "period": standing.budget.recurrence.cycle.value,
        "until": day_of(standing.period.end - DAY).isoformat(),
        "currency": standing.budget.currency,
        "limit": _cents(standing.limit),
        "spent": _cents(standing.spent),
        "used": _percent(RATIO.quantize(standing.used, Decimal("0.001"))),
        "forecast": _cents(standing.projection.total) if standing.projection else None,
        "exhausted_on": standing.exhausted_on.isoformat() if standing.exhausted_on else None,
    }


def _sums(currency: str, standings: Sequence[Standing]) -> dict[str, Any]:
    mine = [each for each in standings if each.budget.currency == currency]
    known = [each.projection.total for each in mine if each.projection]
    return {
        "currency": currency,
        "budgets": len(mine),
        **{status: sum(each.status.value == status for each in mine) for status in STATUSES},
        "limit": text(add(*(each.limit for each in mine))),
        "spent": text(add(*(each.spent for each in mine))),
        "remaining": text(add(*(each.remaining for each in mine))),
        "forecast": text(add(*known)) if len(known) == len(mine) else None,
    }


def _closed(standing: Standing, closed: Closed) -> dict[str, Any]:
    variance = RATIO.subtract(closed.spent, closed.limit)
    return {
        "name": standing.budget.name,
        "period_id": closed.period_id,
        "first": closed.first.isoformat(),
        "last": (closed.until - DAY).isoformat(),
        "currency": standing.budget.currency,
        "limit": text(closed.limit),
        "spent": text(closed.spent),
        "variance": text(variance),
        "variance_percent": _exact(RATIO.divide(RATIO.multiply(variance, _HUNDRED), closed.limit)),
        "over": closed.over,
        "settled": closed.settled,
    }


def _rounded(record: dict[str, Any]) -> Record:
    """Amounts in cents, percents with their sign."""
    amounts = ("limit", "spent", "remaining", "forecast", "variance")
    shown = {key: _cents(Decimal(value)) if key in amounts and value else value for key, value in record.items()}
    if "variance_percent" in shown:
        percent = RATIO.quantize(Decimal(record["variance_percent"]), Decimal("0.1"))
        shown["variance_percent"] = f"{text(percent)}%"
    return shown


def _say(config: Config, standings: Sequence[Standing]) -> None:
    """What no column says."""
    if not config.budgets:
        click.echo("there is no budget yet. hint: cloudspend budgets create --name NAME --amount AMOUNT", err=True)
    for each in standings:
        if each.unforeseen:
            click.echo(f"{each.budget.name}: no forecast: {each.unforeseen}", err=True)
        if each.adjusted:
            click.echo(f"{each.budget.name}: {each.adjusted}", err=True)
        if each.elsewhere:
            other = ", ".join(f"{_cents(amount)} {currency}" for currency, amount in sorted(each.elsewhere.items()))
            click.echo(f"{each.budget.name}: {other} in its scope do not count", err=True)


def _json(documents: Sequence[dict[str, Any]]) -> None:
    click.echo(json.dumps(documents, indent=2, ensure_ascii=False))


def _cents(amount: Decimal) -> str:
    return format(RATIO.quantize(amount, _CENT), "f")


def _percent(ratio: Decimal) -> str:
    return f"{text(RATIO.multiply(ratio, _HUNDRED))}%"


def _exact(ratio: Decimal) -> str:
    return text(RATIO.quantize(ratio, Decimal("0.000001")))


def _word(known: bool) -> str:  # noqa: FBT001  a cell
    return "yes" if known else "no"
