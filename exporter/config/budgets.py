"""Budgets as they are configured: what each is about, and where its files lie.

Amount     9000, 12.5          an exact Decimal above 0, in the currency of the budget
Percent    80%, 12.5%, 80      a Decimal, 80 for 80 %
Words      aws, [aws, gcp]     a tuple
starts     20, monday, 04-06   the day on which a period begins
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from exporter import log
from exporter.config.base import Settings
from exporter.config.document import Written
from exporter.config.suggest import known
from exporter.config.values import CurrencyCode, Duration, Slug
from exporter.costs import ChargeCategory, Cost, money
from exporter.periods import Cycle, Recurrence

FIRST = date(2024, 1, 1)
"""A Monday, a first of the month, of a quarter and of a year; the year has a 29 February."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
KINDS = ("email", "slack", "webhook")
"""What a channel may be that is not one of `notify.channels`."""

_AMOUNT = r"^[0-9]{1,14}(\.[0-9]{1,9})?$"
_PERCENT = r"^[0-9]{1,5}(\.[0-9]{1,4})? ?%$"
_STARTS = r"^([0-9]{1,2}|[a-z]+day|[0-9]{2}-[0-9]{2})$"


def _digits(value: object, what: str) -> str:
    """A number as it stands in the file."""
    if isinstance(value, Written):
        return value.text
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, str):
        return value
    raise ValueError(f"must be {what}")


def amount(text: str) -> Decimal:
    """Read `9000` or `12.50` exactly. ValueError for what is no amount above 0."""
    if not re.fullmatch(_AMOUNT, text, re.ASCII):
        hint = ". hint: the currency stands in `currency`" if re.search("[A-Z]{3}|[€$£¥]", text) else ""
        raise ValueError(f"{text[:40]!r} is not an amount such as 9000 or 12.50{hint}")
    if not Decimal(text):
        raise ValueError("must be more than 0")
    return Decimal(text)


def percent(text: str) -> Decimal:
    """Read `80%`, or a bare `80`: 80. ValueError for a bare number below 1, which might be a share."""
    bare = text.removesuffix("%").removesuffix(" ")
    if not re.fullmatch(_PERCENT, f"{bare}%", re.ASCII):
        raise ValueError(f"{text[:40]!r} is not a share in percent such as 80%")
    if bare == text and 0 < Decimal(bare) < 1:
        raise ValueError(f"{text} may mean {text}% or {money.text(Decimal(text) * 100)}%. hint: write the % sign")
    return Decimal(bare)


def percent_text(share: Decimal) -> str:
    """What `percent` reads as `share`."""
    return f"{money.text(share)}%"


def _some(share: Decimal) -> Decimal:
    if not share:
        raise ValueError("must be more than 0%")
    return share


Amount = Annotated[
    Decimal,
    BeforeValidator(lambda value: amount(_digits(value, "an amount such as 9000 or 12.50"))),
    PlainSerializer(money.text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _AMOUNT}, {"type": "number", "exclusiveMinimum": 0}]}),
]
"""An amount above 0 in the currency of the budget, read digit by digit."""

Percent = Annotated[
    Decimal,
    BeforeValidator(lambda value: percent(_digits(value, "a share in percent such as 80%"))),
    PlainSerializer(percent_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PERCENT}, {"type": "number", "minimum": 0}]}),
]
"""A share in percent, from 0 up: `80%`, or 80."""

_SHARE: Mapping[str, Any] = {"anyOf": [{"type": "string", "pattern": _PERCENT}, {"type": "number", "minimum": 1}]}
Share = Annotated[Percent, AfterValidator(_some), WithJsonSchema(dict(_SHARE))]
"""A share in percent above 0."""


def _filled(words: tuple[str, ...]) -> tuple[str, ...]:
    if not all(word.strip() for word in words):
        raise ValueError("must not be empty")
    return words


def _several(value: object) -> object:
    # A number is judged as the text that was meant: quotes are missing, not a dash.
    return (value,) if isinstance(value, str | int | float) else value


Words = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    AfterValidator(_filled),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]
"""One text, or a list of several: each is an alternative."""


def _lowered(words: object) -> object:
    words = _several(words)
    if isinstance(words, list | tuple):
        return tuple(word.lower() if isinstance(word, str) else word for word in words)
    return words


class ThresholdSettings(Settings):
    """A share of the amount at which somebody is told."""

    at: Share
    """Share of the amount: 80%."""
    severity: Literal["info", "warning", "critical"] | None = None
    """How bad it is to reach it; warning below 100%, critical from there on, unless said."""

    @property
    def graded(self) -> str:
        """Its severity, said or not."""
        return self.severity or ("warning" if self.at < 100 else "critical")


def _threshold(value: object) -> object:
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return {"at": value} if plain else value


class _OrShare:
    """In the JSON schema: the share alone instead of the mapping."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [*_SHARE["anyOf"], handler(schema)]}


Threshold = Annotated[ThresholdSettings, BeforeValidator(_threshold), _OrShare()]


class AdjustSettings(Settings):
    """A limit that follows what was spent: it moves as a period begins, by bounded steps, and says why."""

    periods: int = Field(default=3, ge=1, le=24)
    """So many settled periods are needed, and averaged."""
    headroom: Percent = Field(default=Decimal(10), json_schema_extra={"default": "10%"})
    """Room above their mean."""
    most_change: Share = Field(default=Decimal(20), json_schema_extra={"default": "20%"})
    """At most so much up or down from the limit of the period before."""
    least: Amount | None = None
    """The limit is never below; half of the amount unless given."""
    most: Amount | None = None
    """The limit is never above; twice the amount unless given."""

    @field_validator("most")
    @classmethod
    def _above_least(cls, most: Decimal | None, info: ValidationInfo) -> Decimal | None:
        least = info.data.get("least")
        if most is not None and least is not None and most < least:
            raise ValueError(f"must be at least {money.text(least)}, which is `least`")
        return most


def _starts(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _channel(text: str) -> str:
    kind, colon, address = text.partition(":")
    if colon:
        if kind not in KINDS or not address.strip():
            # The text is not shown: there may be a secret in it.
            raise ValueError("is no channel. hint: a name of notify.channels, email:…, slack:…, webhook:… or log")
        if "://" in address:
            log.keep_secret(address)  # whoever knows the address of a webhook may post to it
    elif not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", text):
        raise ValueError("is no name of a channel. hint: a name of notify.channels, email:…, slack:…, webhook:… or log")
    return text


def no_channel(channel: str, types: Mapping[str, str]) -> str:
    """What is wrong with a channel of a budget beside those of `notify.channels` (name → type); empty for nothing."""
    kind, colon, _ = channel.partition(":")
    if kind == "email" and colon and "email" not in types.values():
        return "no server to send by. hint: notify.channels needs a channel of type email"
    if colon or channel == "log" or channel in types:
        return ""
    return f"{channel!r} is not a channel. hint: {known(channel, (*types, 'log'), 'one of')}"


def channel_name(channel: str) -> str:
    """A channel as everybody may see it: an address that is a secret is known by a fingerprint."""
    kind, _, address = channel.partition(":")
    if "://" not in address:
        return channel
    return f"{kind}:{hashlib.blake2b(address.encode(), digest_size=5).hexdigest()}"


class BudgetSettings(Settings):
    """So much money a period for some charges. In the file a list of them, or the path of a folder whose *.yml files
    hold one each, or a list under `budgets`."""

    name: Slug
    """Names the budget; the `budget` label. Unique."""
    amount: Amount
    """What may be spent in a period, in `currency`."""
    currency: CurrencyCode = "USD"
    """The currency of the amount. Charges in others do not count: they are told beside it, never added."""
    period: Literal[Cycle.DAILY, Cycle.WEEKLY, Cycle.MONTHLY, Cycle.QUARTERLY, Cycle.YEARLY] = Cycle.MONTHLY
    """How often it begins anew, by UTC days."""
    starts: Annotated[
        str | None,
        BeforeValidator(_starts),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": _STARTS},
                    {"type": "integer", "minimum": 1, "maximum": 31},
                    {"type": "null"},
                ]
            }
        ),
    ] = None
    """When a period begins: the day of the month (20), the weekday (monday), or of quarters and years month and day
    (04-06). The first, Monday, 1 January unless said. A month without the day begins on its last."""
    provider: Annotated[Words, BeforeValidator(_lowered)] | None = None
    """Only charges of these providers: aws, or [aws, gcp]."""
    account: Words | None = None
    """Only charges of these accounts, subscriptions or projects, by their ids."""
    service: Words | None = None
    """Only charges of these services, as the `service` label has them."""
    region: Words | None = None
    """Only charges in these regions."""
    charge_category: Annotated[Words, BeforeValidator(_lowered)] | None = None
    """Only charges of these categories: usage, purchase, tax, credit, adjustment. All but credit unless said."""
    tags: Mapping[str, Words] = {}
    """Only charges with these tags: {team: web} or {team: [web, shop]}. Sources keep the tags that they are told to."""
    net: bool = False
    """Whether credits make the money last longer."""
    cost: Literal[Cost.BILLED, Cost.EFFECTIVE, Cost.LIST] | None = None
    """Which amount of a charge counts; that of `cost.basis` unless said."""
    thresholds: tuple[Threshold, ...] = Field(default=(), validate_default=False)
    """Shares of the amount at which somebody is told: [50%, {at: 80%, severity: critical}]. 80% and 100% unless
    given."""
    channels: tuple[Annotated[str, AfterValidator(_channel)], ...] = ()
    """Who is told: names of notify.channels, email:ADDRESS, slack:URL, webhook:URL or log. Everybody unless given."""
    cool_down: Duration = timedelta(seconds=3600)
    """How long a channel is left in peace about a threshold that it was told of."""
    adjust: AdjustSettings | None = None
    """A limit that follows what was spent; the amount stays unless given. {} takes the defaults."""
    owner: str | None = None
    """Who answers for it, in any words."""

    @property
    def recurrence(self) -> Recurrence:
        """Its periods."""
        return Recurrence(self.period, anchor(self.period, self.starts))

    @property
    def graded(self) -> tuple[tuple[Decimal, str], ...]:
        """Its thresholds, said or not: percent and severity."""
        said = tuple((each.at, each.graded) for each in self.thresholds)
        return said or ((Decimal(80), "warning"), (Decimal(100), "critical"))

    @field_validator("starts")
    @classmethod
    def _fits_the_period(cls, starts: str | None, info: ValidationInfo) -> str | None:
        period = info.data.get("period")
        if starts is not None and period is not None:
            anchor(period, starts)
        return starts

    @field_validator("charge_category")
    @classmethod
    def _are_categories(cls, words: tuple[str, ...] | None) -> tuple[str, ...] | None:
        categories = [category.lower() for category in ChargeCategory]
        wrong = next((word for word in words or () if word not in categories), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a category. hint: {known(wrong, categories, 'one of')}")
        return words

    @field_validator("thresholds")
    @classmethod
    def _are_distinct(cls, given: tuple[ThresholdSettings, ...]) -> tuple[ThresholdSettings, ...]:
        shares = [each.at for each in given]
        again = [place for place, share in enumerate(shares) if share in shares[:place]]
        if again:
            kind = PydanticCustomError("threshold", "is given above already")
            details = [InitErrorDetails(type=kind, loc=(place,), input=None) for place in again]
            raise ValidationError.from_exception_data("thresholds", details)
        return given


class _OrFolder:
    """In the JSON schema: the path of a folder instead of the list. `budget_files` reads it before anything else."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(schema)]}


Budgets = Annotated[tuple[BudgetSettings, ...], _OrFolder()]


def anchor(period: Cycle, starts: str | None) -> date:
    """A day on which a period begins. ValueError for a `starts` that does not fit the period."""
    if starts is None:
        return FIRST
    if period is Cycle.DAILY:
        raise ValueError("a daily budget begins each UTC midnight. hint: leave it out")
    if period is Cycle.WEEKLY:
        if starts.lower() not in WEEKDAYS:
            raise ValueError(f"{starts!r} is not a weekday such as monday")
        return FIRST + timedelta(days=WEEKDAYS.index(starts.lower()))
    if period is Cycle.MONTHLY:
        if not re.fullmatch(r"[0-9]{1,2}", starts, re.ASCII) or not 1 <= int(starts) <= 31:
            raise ValueError(f"{starts!r} is not a day of the month, 1 to 31")
        return FIRST.replace(day=int(starts))
    try:
        if re.fullmatch(r"[0-9]{2}-[0-9]{2}", starts, re.ASCII):
            return date.fromisoformat(f"{FIRST.year}-{starts}")
    except ValueError:
        pass  # the 30th of February
    raise ValueError(f"{starts!r} is not a month and a day such as 04-06")
