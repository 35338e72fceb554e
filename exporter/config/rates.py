"""A file of exchange rates: CSV with the columns date, currency and rate, a row for each day on which a rate changed.

    date,currency,rate
    2024-09-02,EUR,1.1062
    2024-09-03,EUR,1.1041

One unit of `currency` is worth `rate` of the reporting currency, from that UTC day on until a newer row says otherwise.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from exporter.config.values import currency_code, exchange_rate
from exporter.errors import ConfigError, Problem

HEADER = ("date", "currency", "rate")
_TOLD = 5  # problems of one file that are told; the others are counted


class Quote(NamedTuple):
    """One row: from `day` on, one unit of `currency` is worth `rate` of the reporting currency."""

    day: date
    currency: str
    rate: Decimal


def read(path: Path, reporting: str) -> tuple[Quote, ...]:
    """The rows of a file, in its order. ConfigError with the row of each problem, or where it cannot be read."""
    problem = None
    try:
        # A byte order mark is what spreadsheets begin with.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = list(csv.reader(lines, strict=True))
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except csv.Error as error:
        problem = f"is not CSV: {error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or 'no reason given'}"
    if problem:
        raise ConfigError((Problem("", problem),), str(path))
    return _quotes(rows, reporting, str(path))


def _quotes(rows: Sequence[Sequence[str]], reporting: str, file: str) -> tuple[Quote, ...]:
    head = tuple(name.strip().lower() for name in rows[0]) if rows else ()
    if head != HEADER:
        raise ConfigError((Problem("row 1", "must be date,currency,rate"),), file)
    found: list[Problem] = []
    quotes: dict[tuple[date, str], tuple[int, Quote]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            quote = _quote([value.strip() for value in row], reporting)
        except ValueError as error:
            message, _, hint = str(error).partition(". hint: ")
            found.append(Problem(f"row {number}", message, hint=hint or None))
            continue
        first, _ = quotes.setdefault((quote.day, quote.currency), (number, quote))
        if first != number:
            message = f"{quote.currency} has a rate for {quote.day} on row {first} already"
            found.append(Problem(f"row {number}", message))
    if found:
        raise ConfigError(tuple(_first(found)), file)
    return tuple(quote for _, quote in quotes.values())


def _quote(row: Sequence[str], reporting: str) -> Quote:
    if len(row) != len(HEADER):
        raise ValueError(f"must have three values, not {len(row)}")
    day, currency, rate = row
    quote = Quote(_day(day), currency_code(currency), exchange_rate(rate))
    if currency == reporting:
        check_own(reporting, quote.rate)
    return quote


def check_own(reporting: str, rate: Decimal) -> None:
    """ValueError where a rate for the reporting currency itself is not 1."""
    if rate != 1:
        raise ValueError(f"the rate of {reporting}, the reporting currency, is 1. hint: leave it out")


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass  # the 30th of February
    raise ValueError(f"{text!r} is not a date such as 2024-09-01")


def _first(problems: Sequence[Problem]) -> Iterator[Problem]:
    yield from problems[:_TOLD]
    if len(problems) > _TOLD:
        yield Problem("", f"and {len(problems) - _TOLD} more rows")
