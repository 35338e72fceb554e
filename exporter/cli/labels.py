"""What somebody knows to have happened, from a CSV or YAML file: `cloudspend backtest --labels`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

# What judges needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.backtest import Label

_DAYS = ("day", "first", "last")
_SCOPE = ("provider", "account", "service", "region")


def labels(path: Path) -> tuple[Label, ...]:
    """The labels of a file, in its order. BadParameter with the place of what is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"cannot read {path}: {error}") from None
    rows = _yaml(text, path) if path.suffix in (".yml", ".yaml") else _csv(text)
    return tuple(_label(row, f"{path}, label {number}") for number, row in enumerate(rows, 1))


def _csv(text: str) -> Iterable[Mapping[Any, Any]]:
    return list(csv.DictReader(io.StringIO(text), skipinitialspace=True))


def _yaml(text: str, path: Path) -> Iterable[Mapping[Any, Any]]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _wrong(f"{path} is no YAML: {error}") from None
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise _wrong(f"{path} is not a list of labels. hint: - {{day: 2024-03-14, service: Amazon EC2}}")
    return found


def _label(row: Mapping[Any, Any], where: str) -> Label:
    from exporter.analysis.backtest import Label

    given = {str(key): value for key, value in row.items() if value not in (None, "")}
    unknown = [key for key in given if key not in (*_DAYS, *_SCOPE)]
    if unknown:
        raise _wrong(f"{where}: {unknown[0]!r} says nothing here. hint: {', '.join((*_DAYS, *_SCOPE))}")
    if "day" in given and ("first" in given or "last" in given):
        raise _wrong(f"{where}: day goes without first and last")
    first = _day(given.get("day", given.get("first")), where)
    last = _day(given["last"], where) if "last" in given else first
    if last < first:
        raise _wrong(f"{where}: it ends on {last}, before it begins on {first}")
    return Label(first, last, **{name: str(given[name]).strip() for name in _SCOPE if name in given})


def _day(value: object, where: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        hint = "day, or first and last, such as 2024-03-14"
        raise _wrong(f"{where}: {value!r} is not a UTC day. hint: {hint}") from None


def _wrong(sentence: str) -> click.BadParameter:
    return click.BadParameter(sentence, param_hint="--labels")
