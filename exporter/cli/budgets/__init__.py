"""`cloudspend budgets`: how much may be spent on what, and how it stands.

book.py       created, changed, deleted in their YAML
cut.py        one budget in a YAML text
standing.py   list, check, summary, history: from the store
"""

from __future__ import annotations

import os
import re
from copy import copy
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from exporter.cli.budgets import standing
from exporter.cli.budgets.book import Book, Edit
from exporter.cli.budgets.cut import number
from exporter.cli.settings import DEFAULT, configuration
from exporter.config.budgets import BudgetSettings
from exporter.config.values import Slug
from exporter.periods import Cycle
from exporter.polling.sources import Registry

_NAME = TypeAdapter(Slug)
_KEYS = tuple(key for key in BudgetSettings.model_fields if key not in ("name", "amount"))


@click.group()
def budgets() -> None:
    """How much may be spent on what: budgets, how they stand, and how ended periods went."""


def _keys(command: Any) -> Any:
    """Add an option for each key of a budget but its name and amount."""
    several: dict[str, Any] = {"multiple": True, "metavar": "WORD"}
    for option in reversed(
        (
            click.option("--currency", metavar="CODE", help="Currency of the amount.  [default: USD]"),
            click.option(
                "--period",
                type=click.Choice([cycle.value for cycle in Cycle]),
                help="How often it begins anew.  [default: monthly]",
            ),
            click.option("--starts", metavar="DAY", help="When a period begins: 20, monday, or 04-06."),
            click.option("--provider", **several, help="Only this provider; again for another."),
            click.option("--account", **several, help="Only this account, by its id; again for another."),
            click.option("--service", **several, help="Only this service; again for another."),
            click.option("--region", **several, help="Only this region; again for another."),
            click.option("--charge-category", **several, help="Only this category; again for another."),
            click.option(
                "--tag", multiple=True, metavar="KEY=VALUE", help="Only charges with this tag; again for more."
            ),
            click.option("--net/--gross", default=None, help="Whether credits make the money last longer."),
            click.option("--cost", metavar="BASIS", help="billed, effective or list.  [default: cost.basis]"),
            click.option(
                "--threshold",
                multiple=True,
                metavar="PERCENT[:SEVERITY]",
                help="Tell somebody at this share: 80, or 100:critical; again for more.  [default: 80%, 100%]",
            ),
            click.option(
                "--channel",
                multiple=True,
                metavar="CHANNEL",
                help="Who is told: a name of notify.channels, email:…, slack:…, webhook:… or log; again for more.",
            ),
            click.option("--cool-down", metavar="TIME", help="A channel is told once in so long.  [default: 1h]"),
            click.option("--adjust/--fixed", default=None, help="Whether the limit follows what was spent."),
            click.option("--owner", metavar="WORDS", help="Who answers for it."),
        )
    ):
        command = option(command)
    return command


@budgets.command()
@configuration
@click.option("--name", required=True, help="Names the budget: lower case, digits, '_', '.' and '-'.")
@click.option("--amount", required=True, help="What may be spent in a period.")
@_keys
def create(file: Path | None, name: str, amount: str, *, demo: bool, **given: Any) -> None:
    """Write a budget into the configuration: a file in its folder of budgets, or another entry of its list.

    Where there is neither, the folder budgets.d is made beside the configuration. Nothing is written where the whole
    would not hold.

    \b
    cloudspend budgets create --name aws --amount 9000 --provider aws --threshold 80 --threshold 100:critical
    cloudspend budgets create --name web --amount 250 --currency EUR --period weekly --tag team=web --channel log
    """
    book = _book(file, demo=demo)
    _said(book.create(_slug(name), {"amount": _number(amount), **_fields(given)}), name, "created")


@budgets.command()
@configuration
@click.argument("name", metavar="NAME")
@click.option("--amount", help="What may be spent in a period.")
@_keys
@click.option("--unset", multiple=True, type=click.Choice(_KEYS), help="Take this key out; again for more.")
def update(
    file: Path | None, name: str, amount: str | None, unset: tuple[str, ...], *, demo: bool, **given: Any
) -> None:
    """Change the budget NAME where it stands; comments and order stay. An option replaces all that its key held.

    \b
    cloudspend budgets update aws --amount 9500
    cloudspend budgets update aws --threshold 90 --unset owner
    """
    fields = {**({"amount": _number(amount)} if amount else {}), **_fields(given), **dict.fromkeys(unset)}
    if not fields:
        raise click.UsageError("nothing to change. hint: --amount, --threshold, --unset …")
    _said(_book(file, demo=demo).update(name, fields), name, "updated")


@budgets.command()
@configuration
@click.argument("name", metavar="NAME")
def delete(file: Path | None, name: str, *, demo: bool) -> None:
    """Take the budget NAME out of the configuration; its file goes where nothing else is in it.

    \b
    cloudspend budgets delete web
    """
    _said(_book(file, demo=demo).delete(name), name, "deleted")


for _command in (standing.listed, standing.check, standing.summary, standing.history):
    budgets.add_command(_command)

budget = copy(budgets)
"""The same by the name that other tools have for it."""
budget.name, budget.hidden = "budget", True


def _book(file: Path | None, *, demo: bool) -> Book:
    if demo and file is None:
        raise click.UsageError("the demo has its budgets built in. hint: --config FILE")
    return Book(file or Path(DEFAULT), Registry(), os.environ)


def _said(edit: Edit, name: str, what: str) -> None:
    click.echo(f"budget {name} {what} in {edit.path}", err=True)
    if not edit.watched:
        click.echo("a daemon that runs takes it up at a reload: SIGHUP, or POST /-/reload", err=True)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as keys of a budget in YAML."""
    plain = ("currency", "period", "cost", "owner")
    fields = {key: given[key] for key in plain if given[key] is not None}
    if given["starts"]:
        fields["starts"] = number(given["starts"]) if given["starts"].isdecimal() else given["starts"]
    for key in ("provider", "account", "service", "region", "charge_category"):
        if given[key]:
            fields[key] = given[key][0] if len(given[key]) == 1 else list(given[key])
    if given["tag"]:
        fields["tags"] = _tags(given["tag"])
    if given["net"] is not None:
        fields["net"] = given["net"]
    if given["threshold"]:
        fields["thresholds"] = [_threshold(each) for each in given["threshold"]]
    if given["channel"]:
        fields["channels"] = list(given["channel"])
    if given["cool_down"]:
        seconds = given["cool_down"]
        fields["cool_down"] = f"{seconds}s" if seconds.isdecimal() else seconds
    if given["adjust"] is not None:
        fields["adjust"] = {} if given["adjust"] else None
    return fields


def _slug(name: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValueError:
        hint = "lower-case letters, digits, '_', '.' and '-', a letter or digit first"
        raise click.BadParameter(
            f"{name!r} is not a name such as aws-prod. hint: {hint}", param_hint="--name"
        ) from None


def _number(amount: str) -> Any:
    """An amount as it was typed; what is none is told by the configuration."""
    return number(amount) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", amount) else amount


def _tags(pairs: tuple[str, ...]) -> dict[str, str | list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--tag")
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _threshold(given: str) -> str | dict[str, str]:
    """`80`, `80%` or `100:critical`."""
    share, _, severity = given.partition(":")
    at = share if share.endswith("%") or re.fullmatch(r"0*\.[0-9]+|0+(\.[0-9]*)?", share) else f"{share}%"
    return {"at": at, "severity": severity} if severity else at
