"""What a configuration says, as frozen models. Unknown keys are mistakes; times are durations, paths absolute.

In the file a provider's own options stand flat beside the keys that every source has. They are validated by the model
that the validation context offers (`models`), so this module knows no provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from exporter.config import rates as rates_files
from exporter.config.base import Settings
from exporter.config.budgets import Budgets, BudgetSettings, no_channel
from exporter.config.judging import AlertSettings, AnomalySettings, ForecastSettings, TripwireSettings
from exporter.config.notify import NotifySettings, SecretUrl
from exporter.config.remote_write import RemoteWriteSettings
from exporter.config.suggest import known, suggestion
from exporter.config.values import (
    CurrencyCode,
    Dollars,
    Duration,
    ExchangeRate,
    LocalPath,
    MemorySize,
    PathPattern,
    Slug,
    duration_text,
)
from exporter.costs import Cost
from exporter.errors import ConfigError

__all__ = [
    "AlertSettings",
    "AnomalySettings",
    "ApiBudgetSettings",
    "BudgetSettings",
    "Config",
    "CostSettings",
    "CurrencySettings",
    "Duration",
    "ForecastSettings",
    "HourlySnapshotSettings",
    "LocalPath",
    "PathPattern",
    "ProviderModels",
    "SourceSettings",
    "StoreSettings",
    "TripwireSettings",
    "WorkerSettings",
]


SHORTEST_POLL = timedelta(minutes=1)
"""Billing APIs cost money and move by the hour; nothing is asked more often than this."""
REPEATED_NAME = "repeated_name"
"""Type of the error for two sources, or two budgets, of one name. `load` says it better, with both lines."""

UNKEPT_TAG = "no source keeps this tag. hint: add it to `tags` of a source"
"""Of a budget by a tag that no bill is cut by: it would never count anything."""


class ProviderModels(Protocol):
    """What the configuration must know about providers: their names, and the model of each one's options."""

    def names(self) -> tuple[str, ...]:
        """Every provider that a source may name."""
        ...

    def options(self, name: str) -> type[BaseModel]:
        """The options of one of `names()`. ConfigError where its plug-in is broken."""
        ...


def _positive(length: timedelta) -> timedelta:
    if not length:
        raise ValueError("must be longer than 0s")
    return length


class StoreSettings(Settings):
    """Where the history is kept, and what a query over it may use."""

    path: LocalPath = Field(default=Path("cloudspend-data"), validate_default=True)
    """The data folder, `./cloudspend-data` unless said: bills, state and snapshots. One exporter owns it."""
    memory_limit: MemorySize = "1GB"
    """The most memory that a query in the worker may use before it spills to disk: 512MB, 1GB."""
    threads: int = Field(default=2, ge=1)
    """The most threads that a query in the worker may use."""


class CostSettings(Settings):
    """Which of a charge's amounts the metrics show."""

    basis: Literal[Cost.BILLED, Cost.EFFECTIVE, Cost.LIST] = Cost.BILLED
    """billed: what the invoice says; effective: purchases spread over their use; list: before any discount."""


class CurrencySettings(Settings):
    """Shows all costs in one currency too, in families of their own. Costs in the currencies of the bills stay."""

    reporting: CurrencyCode = "USD"
    """The currency to convert into."""
    rates: Mapping[CurrencyCode, ExchangeRate] = Field(default={}, json_schema_extra={"additionalProperties": False})
    """What one unit of a currency is worth in the reporting currency: {EUR: 1.0834}. Read exactly."""
    rates_file: LocalPath | None = None
    """A CSV file date,currency,rate; the newest date up to today counts. Read again at every poll. A currency that
    is in rates too has the rate given there."""

    rates_from: Literal["bill"] | None = None
    """bill: for currencies that neither of them names, what the bills themselves say a unit is worth in US dollars.
    The newest month of any source counts; Azure's exports and Google's standard and detailed tables say it."""

    @field_validator("rates")
    @classmethod
    def _own_rate_is_one(cls, rates: Mapping[str, Decimal], info: ValidationInfo) -> Mapping[str, Decimal]:
        own = info.data.get("reporting", "")
        try:
            rates_files.check_own(own, rates.get(own, Decimal(1)))
        except ValueError as error:
            problem = PydanticCustomError("own_rate", "{problem}", {"problem": str(error)})
            detail = InitErrorDetails(type=problem, loc=(own,), input=None)
            raise ValidationError.from_exception_data("rates", [detail]) from None
        return rates

    @field_validator("rates_file")
    @classmethod
    def _file_is_good(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        # Only where a person waits for the answer. A worker must not fail over a file that went bad since.
        if path is not None and (info.context or {}).get("folder") is not None:
            try:
                rates_files.read(path, info.data.get("reporting", ""))
            except ConfigError as error:
                one = len(error.problems) == 1  # of several, the hints would hide what comes behind them
                said = [str(problem if one else replace(problem, hint=None)) for problem in error.problems]
                raise ValueError(f"{error.file}: {'; '.join(said)}") from None
        return path

    @field_validator("rates_from")
    @classmethod
    def _bills_tell_dollars(cls, given: str | None, info: ValidationInfo) -> str | None:
        reporting = info.data.get("reporting", "USD")
        if given and reporting != "USD":
            raise ValueError(f"bills tell their amounts in USD alone, and reporting is {reporting}. hint: leave it out")
        return given


class WorkerSettings(Settings):
    """The process that polls, thinks and publishes."""

    timeout: Annotated[Duration, AfterValidator(_positive)] = timedelta(minutes=30)
    """How long one worker may run before it is ended."""
    memory_limit: MemorySize | None = None
    """The most memory that one worker may take; no limit of its own unless said. Above store.memory_limit."""


class HourlySnapshotSettings(Settings):
    """Files for people and other tools: one per source and UTC hour in which it was polled, kept for good."""

    path: LocalPath
    """The folder to write <source>_YYYY-MM-DD-HH.json into."""


class ApiBudgetSettings(Settings):
    """The most that asking may cost. Near it polls come later and optional calls stop; at it nothing paid is asked."""

    monthly_usd: Dollars
    """US dollars in a UTC month, as the vendors' price lists have them; 0 allows what is free."""


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    wrong = {index: "must not be empty" for index, tag in enumerate(tags) if not tag.strip()}
    wrong |= {index: "is given above already" for index, _ in repeated(list(tags)) if index not in wrong}
    if wrong:
        details = [
            InitErrorDetails(type=PydanticCustomError("tag", message), loc=(index,), input=None)
            for index, message in sorted(wrong.items())
        ]
        raise ValidationError.from_exception_data("tags", details)
    return tags


class SourceSettings(Settings):
    """One billing source: the keys that every source has, and beside them those of its provider."""

    COMMON: ClassVar[tuple[str, ...]] = (
        *("name", "display_name", "provider", "poll_every", "settles_after", "max_age"),
        *("cache", "tags", "hours", "series_limit", "api_budget"),
        *("webhook_url", "webhook_secret"),
    )
    """The keys of every source, in the order in which people write them."""

    name: Slug
    """Names the source; the `source` label. Unique."""
    display_name: str | None = Field(default=None, min_length=1)
    """What people call it, in messages and hourly snapshots; its name unless said."""
    provider: str
    """Which billing source this is: one of the providers that are built in or installed."""
    # max_age stands before poll_every because a validator sees the fields above its own.
    max_age: Annotated[Duration, AfterValidator(_positive)] = timedelta(hours=36)
    """How old the last good poll may be before its figures disappear rather than lie; longer than poll_every."""
    poll_every: Duration | None = None
    """How often the source is asked; at least 1m. The provider's own default unless said."""
    settles_after: Duration | None = None
    """How long after its end a UTC day still moves. The provider's own default unless said."""
    tags: Annotated[tuple[str, ...], AfterValidator(_distinct)] = Field(
        default=(), json_schema_extra={"uniqueItems": True}
    )
    """Tag keys to keep as dimensions. Changing them reads the bill again."""
    cache: Duration | Literal["off"] | None = None
    """How long a page of an answer that was paid for is used again, by a restart or a second try. Half of poll_every
    unless said."""
    hours: bool = False
    """Whether to keep the last 14 days by the hour too, beside the days. Only for providers that have hours."""
    series_limit: int = Field(default=2000, ge=1)
    """How many lines of the bill are shown by name; the smallest are summed into `other`. Totals stay exact."""
    api_budget: ApiBudgetSettings | None = None
    """What asking this source may cost in a month; no cap of its own unless given."""
    webhook_url: SecretUrl | None = None
    """A Feishu bot of its own for messages about this source; those of the channels hear of it otherwise."""
    webhook_secret: SecretStr | None = None
    """What messages to that bot are signed with."""
    options: SerializeAsAny[BaseModel]
    """The provider's own options; flat beside the other keys in the file."""

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, given: object) -> object:
        if not isinstance(given, Mapping) or isinstance(given.get("options"), BaseModel):
            return given
        common = {key: value for key, value in given.items() if key in cls.COMMON}
        return {**common, "options": {key: value for key, value in given.items() if key not in cls.COMMON}}

    @field_validator("provider")
    @classmethod
    def _is_known(cls, name: str, info: ValidationInfo) -> str:
        models: ProviderModels | None = (info.context or {}).get("models")
        if models is None:
            return name
        if name not in models.names():
            raise ValueError(f"{name!r} is not a provider. hint: {known(name, models.names(), 'one of')}")
        try:
            models.options(name)
        except ConfigError as error:  # a broken plug-in
            problem = error.problems[0]
            raise ValueError(f"{problem.message}. hint: {problem.hint}" if problem.hint else problem.message) from None
        return name

    @field_validator("poll_every")
    @classmethod
    def _polite_and_outlived_by_data(cls, poll_every: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if poll_every is not None and poll_every < SHORTEST_POLL:
            raise ValueError(f"must be at least {duration_text(SHORTEST_POLL)}")
        max_age: timedelta | None = info.data.get("max_age")
        if poll_every is not None and max_age is not None and poll_every >= max_age:
            raise ValueError(
                f"must be shorter than max_age ({duration_text(max_age)}), or data disappears between polls. "
                "hint: poll more often, or raise max_age"
            )
        return poll_every

    @field_validator("options", mode="plain")
    @classmethod
    def _as_the_provider_has_them(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, BaseModel):
            return given
        models: ProviderModels | None = (info.context or {}).get("models")
        if models is None:
            raise ValueError("options are an instance of the provider's model where no models are at hand")
        if "provider" in info.data:
            return models.options(info.data["provider"]).model_validate(given, context=info.context)
        # Whose options these are is unknown; what looks like one of our own keys can still be told.
        misspelt = [key for key in given if suggestion(key, cls.COMMON, cutoff=0.75)]
        if misspelt:
            details = [InitErrorDetails(type="extra_forbidden", loc=(key,), input=None) for key in misspelt]
            raise ValidationError.from_exception_data(cls.__name__, details)
        return given

    @model_serializer(mode="wrap")
    def _flat(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        whole: dict[str, Any] = inner(self)
        options: dict[str, Any] = whole.pop("options")
        return {key: whole[key] for key in self.COMMON} | options


class Config(Settings):
    """A whole configuration, checked."""

    # A mapping, not an instance, so that the default path is made absolute with the context of this validation.
    store: StoreSettings = Field(default_factory=dict, validate_default=True)
    """Where the history is kept."""
    cost: CostSettings = CostSettings()
    """Which of a charge's amounts the metrics show."""
    currency: CurrencySettings | None = None
    """One currency to show all costs in too; off unless given."""
    api_budget: ApiBudgetSettings | None = None
    """What asking all sources may cost in a month; no cap unless given."""
    anomalies: AnomalySettings = AnomalySettings()
    """What counts as costing more, or much less, than it should."""
    tripwire: TripwireSettings = TripwireSettings()
    """Which first spends are told."""
    forecasts: ForecastSettings = ForecastSettings()
    """How what is still to come is estimated."""
    alerts: AlertSettings = AlertSettings()
    """From where on the alerts that ship speak."""
    budgets: Budgets = ()
    """How much may be spent on what: a list, or the folder whose *.yml files hold it (budgets.d)."""
    notify: NotifySettings = NotifySettings()
    """How people hear of findings, budgets and alerts."""
    remote_write: RemoteWriteSettings | None = None
    """Where to write the settled days of the bill to, as they settle; nowhere unless given."""
    hourly_snapshots: HourlySnapshotSettings | None = None
    """Files that say what each hour has changed; none unless given."""
    worker: WorkerSettings = WorkerSettings()
    """The process that polls."""
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    """Where bills come from; at least one."""

    @field_validator("sources", "budgets")
    @classmethod
    def _named_apart(cls, parts: tuple[Any, ...]) -> tuple[Any, ...]:
        if repeated([part.name for part in parts]):
            raise PydanticCustomError(REPEATED_NAME, "two have the same name")
        return parts

    @model_validator(mode="after")
    def _parts_name_what_there_is(self) -> Config:
        tags = {tag for source in self.sources for tag in source.tags}
        channels = {channel.name: channel.type for channel in self.notify.channels}
        sources = [source.name for source in self.sources]
        wrongs: list[tuple[tuple[str | int, ...], str]] = [
            (("notify", "channels", place, "sources", index), _no_source(name, sources))
            for place, channel in enumerate(self.notify.channels)
            for index, name in enumerate(channel.sources)
            if name not in sources
        ]
        wrongs += [
            (("alerts", "sources", name), _no_source(name, sources))
            for name in self.alerts.sources
            if name not in sources
        ]
        for place, budget in enumerate(self.budgets):
            wrong: dict[tuple[str, str | int], str] = {
                ("tags", tag): UNKEPT_TAG for tag in budget.tags if tag not in tags
            }
            named = enumerate(budget.channels)
            wrong |= {("channels", index): said for index, one in named if (said := no_channel(one, channels))}
            wrongs += [(("budgets", place, *inner), said) for inner, said in wrong.items()]
        if wrongs:
            details = [
                InitErrorDetails(type=PydanticCustomError("not_there", "{said}", {"said": said}), loc=where, input=None)
                for where, said in wrongs
            ]
            raise ValidationError.from_exception_data("Config", details)
        return self


def _no_source(name: str, names: list[str]) -> str:
    return f"{name!r} is not a source. hint: {known(name, names, 'one of')}"


def repeated(names: list[Any]) -> list[tuple[int, int]]:
    """Which names repeat an earlier one: their indexes, each with that of the first."""
    pairs = ((index, names.index(name)) for index, name in enumerate(names))
    return [(index, first) for index, first in pairs if first < index]
