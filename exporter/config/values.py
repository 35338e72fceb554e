"""The kinds of value that a configuration is made of, for our settings and for providers' options alike.

    Duration       8h, 90s, 1h30m                       a timedelta
    MemorySize     512MB, 1GB                           the text, as DuckDB reads it
    Slug           aws-prod                             the text
    LocalPath      ./data, /var/lib/cloudspend          an absolute Path
    PathPattern    ./bills/*.csv.gz, s3://bucket/key    an absolute text; a URL stays as it is
    CurrencyCode   USD                                  the text
    ExchangeRate   1.0834, "0.0028"                     an exact Decimal, never by way of a float
    Dollars        5, 0.25                              the same

Relative paths are relative to the folder of the configuration file. It comes in the validation context as `folder`;
where there is none, as in a provider's unit tests, paths stay as written. A validator's ValueError is one sentence for
the person who can fix it, with `. hint: …` behind it where there is one.
"""

from __future__ import annotations

import glob
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from exporter.config.document import Written
from exporter.costs import money

DURATION_PATTERN = r"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_UNITS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))


def duration(text: str) -> timedelta:
    """Read `8h`, `90s` or `1h30m`: whole days, hours, minutes and seconds, each at most once. ValueError otherwise."""
    match = re.fullmatch(DURATION_PATTERN, text, re.ASCII)
    try:
        if match:
            return sum(
                (int((part or "0")[:-1] or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True)),
                timedelta(0),
            )
    except (OverflowError, ValueError):
        pass  # more days than a timedelta, or more digits than an int, can hold
    raise ValueError(f"{text!r} is not a duration such as 30m, 8h or 2d")


def duration_text(length: timedelta) -> str:
    """The shortest text that `duration` reads back as `length`: days where they come out even, else hours and below.

    ValueError for a negative length and for fractions of a second, which have no such text.
    """
    if length < timedelta(0) or length.microseconds:
        raise ValueError(f"{length} is not a whole number of seconds from 0 up")
    days, rest = divmod(length, _UNITS[0])
    if days and not rest:
        return f"{days}d"
    parts = []
    rest = length
    for unit, letter in zip(_UNITS[1:], "hms", strict=True):
        count, rest = divmod(rest, unit)
        parts.append(f"{count}{letter}" if count else "")
    return "".join(parts) or "0s"


def _read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        duration_text(value)  # refuses what could not be written down again
        return value
    if isinstance(value, str):
        return duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} is not a duration such as 30m, 8h or 2d. hint: a number needs its unit")  # noqa: TRY004
    raise ValueError("must be a duration such as 30m, 8h or 2d")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30m", "8h", "2d"]}),
]
"""A length of time, written `30m`, `8h`, `2d` or `1h30m`; whole seconds, not negative."""

_MEMORY = r"^[0-9]+(\.[0-9]+)?[KMGT]i?B$"


def _memory(text: str) -> str:
    if not re.fullmatch(_MEMORY, text, re.ASCII) or not float(text.rstrip("KMGTiB")):
        raise ValueError(f"{text!r} is not a size such as 512MB or 1GB")
    return text


MemorySize = Annotated[
    str,
    AfterValidator(_memory),
    WithJsonSchema({"type": "string", "pattern": _MEMORY, "examples": ["512MB", "1GB"]}),
]
"""An amount of memory, written as DuckDB reads it: `512MB`, `1GB`, `1.5GiB`."""


def size(text: MemorySize) -> int:
    """A memory size in bytes: `1.5GiB` is 1,610,612,736, `1GB` is 10⁹."""
    unit = text.lstrip("0123456789.")
    step = 1024 if "i" in unit else 1000
    return int(float(text.removesuffix(unit)) * step ** ("KMGT".index(unit[0]) + 1))


_SLUG = r"^[a-z0-9][a-z0-9_.-]*$"


def _slug(text: str) -> str:
    if not re.fullmatch(_SLUG, text):
        raise ValueError(
            f"{text!r} is not a name such as aws-prod. hint: lower-case letters, digits, '_', '.' and '-', "
            "a letter or digit first"
        )
    return text


Slug = Annotated[str, AfterValidator(_slug), WithJsonSchema({"type": "string", "pattern": _SLUG})]
"""A name that serves as a label value, in a URL and as a folder: `aws-prod`."""


def _folder(info: ValidationInfo) -> Path | None:
    return (info.context or {}).get("folder")


def _refuse(text: str) -> None:
    if not text:
        raise ValueError("must not be empty")
    if "\0" in text:
        raise ValueError("is not a path: it holds a NUL character")
    if text.startswith("~"):
        raise ValueError(f"{text!r} is no path: only a shell reads ~. hint: write ${{HOME}} instead of ~")


def local_path(text: str, folder: Path | None) -> Path:
    """An absolute path from one that may be relative to `folder`. ValueError for an empty one and for `~`."""
    _refuse(text)
    return folder / text if folder else Path(text)


def _pattern(text: str, info: ValidationInfo) -> str:
    if "://" in text:
        return text
    _refuse(text)
    folder = _folder(info)
    if folder is None or Path(text).is_absolute():
        return text
    # Only the pattern is the user's: brackets in the name of the folder around it match themselves.
    within = Path(glob.escape(str(folder))) if glob.has_magic(text) else folder
    return str(within / text)


def _path(value: object, info: ValidationInfo) -> object:
    return local_path(str(value), _folder(info)) if isinstance(value, str | Path) else value


LocalPath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
"""A path on this machine; relative ones are relative to the folder of the configuration file."""

PathPattern = Annotated[str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "minLength": 1})]
"""A file, folder or glob on this machine, made absolute like `LocalPath`, or a URL (`s3://…`), left as it is."""

_CURRENCY = r"^[A-Z]{3}$"


def currency_code(text: str) -> str:
    """A currency by its ISO 4217 code, as bills and the `currency` label write it. ValueError for any other text."""
    if not re.fullmatch(_CURRENCY, text):
        raise ValueError(f"{text!r} is not a currency such as USD. hint: three capital letters, as in ISO 4217")
    return text


CurrencyCode = Annotated[str, AfterValidator(currency_code), WithJsonSchema({"type": "string", "pattern": _CURRENCY})]
"""A currency: `USD`. That there is such a currency is not checked: bills invent some."""

_RATE = r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$"
_RATES = (Decimal("1E-12"), Decimal("1E12"))
_LONGEST_RATE = 60  # characters; RATIO has as many digits


def exchange_rate(text: str) -> Decimal:
    """Read `1.0834` exactly. ValueError for what is no number above 0, or so far from 1 that it must be a slip."""
    negative = text.startswith("-") and re.fullmatch(_RATE, text[1:], re.ASCII)
    if not negative and (not re.fullmatch(_RATE, text, re.ASCII) or len(text) > _LONGEST_RATE):
        raise ValueError(f"{text[:_LONGEST_RATE]!r} is not an exchange rate such as 1.0834")
    rate = Decimal(text)
    if negative or not rate:
        raise ValueError(f"an exchange rate must be more than 0, not {text!r}")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise ValueError(f"{text!r} is not an exchange rate between 10^-12 and 10^12")
    return rate


def _read_rate(value: object) -> Decimal:
    if isinstance(value, Written):
        return exchange_rate(value.text)
    if isinstance(value, str):
        return exchange_rate(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return exchange_rate(format(value, "f") if isinstance(value, Decimal) else str(value))
    raise ValueError("must be an exchange rate such as 1.0834")


ExchangeRate = Annotated[
    Decimal,
    BeforeValidator(_read_rate),
    PlainSerializer(money.text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _RATE}, {"type": "number", "exclusiveMinimum": 0}],
            "examples": ["1.0834"],
        }
    ),
]
"""What one unit of a currency is worth in another: `1.0834`, with or without quotes, read digit by digit."""

_DOLLARS = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"


def dollars(text: str) -> Decimal:
    """Read `5` or `0.25`: US dollars, exactly. ValueError for anything else."""
    if not re.fullmatch(_DOLLARS, text, re.ASCII):
        raise ValueError(f"{text[:40]!r} is not an amount in US dollars such as 5 or 0.25")
    return Decimal(text)


def _read_dollars(value: object) -> Decimal:
    if isinstance(value, Written):
        return dollars(value.text)
    if isinstance(value, str):
        return dollars(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return dollars(format(value, "f") if isinstance(value, Decimal) else str(value))
    raise ValueError("must be an amount in US dollars such as 5 or 0.25")


Dollars = Annotated[
    Decimal,
    BeforeValidator(_read_dollars),
    PlainSerializer(money.text, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _DOLLARS}, {"type": "number", "minimum": 0}], "examples": ["5"]}
    ),
]
"""An amount in US dollars, from 0 up: `5`, `0.25`, with or without quotes."""
