"""cloudspend from Python: collect, and ask the store, without the command line.

    from exporter.api import Monitor, anomalies, budgets, costs, forecast

    Monitor(config_file="cloudspend.yml", data_dir="data").run()
    for line in costs("cloudspend.yml", days=7, by=("service",)):
        print(line.labels["service"], line.cost, line.currency)

Every function takes the path of a configuration (YAML or CSV), or a `Config`, asks no cloud, and answers with frozen
values: exact Decimals for what was billed, floats for what is estimated. Days are UTC days; the end of a span is
excluded. Currencies are never added. Errors are `CloudspendError` (exporter.errors).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import SecretStr

from exporter.analysis.basis import primary, unknown
from exporter.clock import Clock
from exporter.config.load import read
from exporter.config.schema import Config, HourlySnapshotSettings
from exporter.costs import Cost, dimension, engine
from exporter.costs.money import ZERO, add, text
from exporter.errors import CloudspendError
from exporter.periods import ALWAYS, DAY, Grain, Month, Window, day_of
from exporter.polling.sources import Paths, Registry, chosen, resolve
from exporter.store.lake import Lake
from exporter.store.state import Failure, Success

# Judging needs numpy, which nobody who asks for costs should wait for.
if TYPE_CHECKING:
    from exporter.analysis.anomalies import Finding
    from exporter.analysis.budgets import Standing
    from exporter.analysis.forecasts.grouped import Line

__all__ = ["Monitor", "Run", "Spent", "anomalies", "budgets", "costs", "forecast"]

Configured = Config | Path | str
Words = str | Sequence[str]
"""One word, or several."""

_PATIENCE = timedelta(minutes=1)
"""How long a run waits for channels that do not answer, or are full."""
_FORECAST = 200
"""Days that a forecast reads. The models look at 24 weeks."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one group cost."""

    labels: Mapping[str, str]
    """Dimension → value, in the order that was asked for."""
    currency: str
    cost: Decimal | None
    """Exact; None where the bill does not know the amount that was asked for."""
    rows: int
    """How many lines of the bill were summed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the monitor came to."""

    outcomes: Mapping[str, Success | Failure]
    """Source → how its poll ended."""
    waiting: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Channel → messages that it has not taken yet."""

    @property
    def ok(self) -> bool:
        """Whether every source was read, and every message was taken."""
        return not self.waiting and all(isinstance(each, Success) for each in self.outcomes.values())


class Monitor:
    """Polls every source once, publishes, writes hourly snapshots and tells the channels; what `collect` does."""

    def __init__(
        self,
        config_file: Configured = "cloudspend.yml",
        data_dir: Path | str | None = None,
        webhook_url: str | None = None,
    ) -> None:
        """`data_dir`: where hourly snapshots go, else as configured. `webhook_url`: a Feishu bot for all sources.

        ConfigError with every problem of the configuration.
        """
        config = _config(config_file)
        if data_dir is not None:
            files = HourlySnapshotSettings(path=Path(data_dir).absolute())
            config = config.model_copy(update={"hourly_snapshots": files})
        if webhook_url is not None:
            config = _with_bot(config, webhook_url)
        self.config = config
        """The configuration as it is run."""

    def run(self, sources: Words | None = None) -> Run:
        """Poll these sources (names or providers; all: None) now, whether they are due or not.

        A source that fails is in the outcome, with its reason and hint. StoreError where the store cannot be written.
        """
        from exporter.notify.lanes import lanes
        from exporter.notify.postman import deliver_once
        from exporter.polling import worker

        clock, paths = _clock(), Paths(self.config.store.path)
        wanted = None if sources is None else _words(sources)
        names = [source.name for source in chosen(resolve(self.config), wanted)]
        if not names:
            raise CloudspendError(f"no source here is meant by {', '.join(wanted or ())!r}")
        outcomes = worker.run(self.config, clock, names)
        if not lanes(self.config).named:
            return Run(outcomes)
        return Run(outcomes, deliver_once(self.config, paths.state, paths.snapshots, clock, _PATIENCE))


def costs(
    config_file: Configured = "cloudspend.yml",
    *,
    start: date | None = None,
    end: date | None = None,
    days: int | None = None,
    by: Words = ("provider",),
    provider: Words = (),
    cost: Cost | str | None = None,
    exclude: Words = (),
) -> tuple[Spent, ...]:
    """What was spent, by dimensions (`service`, `day`, `tag:team` …), ordered by their values.

    From `start` (the first of this month) to `end` (tomorrow), or the last `days`, today included. `cost`: billed,
    effective, list or contracted; the primary basis unless said. `exclude`: charge categories, and `refund`.
    """
    config, today = _config(config_file), day_of(_clock().now())
    if days is not None and (start or end):
        raise CloudspendError("days goes without start and end")
    until = end or today + DAY
    first = until - DAY * days if days is not None else start or Month.of(today).first
    if until <= first:
        raise CloudspendError("the end lies before the start")
    window, amount = Window.of_days(first, until), Cost(cost) if cost else None
    return spent(config, window, _words(by), _words(provider), amount, _words(exclude))


def spent(
    config: Config,
    window: Window,
    by: Sequence[str],
    provider: Sequence[str] = (),
    cost: Cost | None = None,
    exclude: Sequence[str] = (),
) -> tuple[Spent, ...]:
    """As `costs`, for a window."""
    for name in by:
        dimension(name)
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    # A source that left the configuration left the answers too; its history stays in the store.
    sources = [source.name for source in config.sources]
    lake = Lake(Paths(config.store.path).lake)
    charges = lake.read(window, Grain.HOUR if "hour" in by else Grain.DAY, sources)
    if provider:
        charges = charges.where(provider=provider)
    if exclude:
        charges = charges.without(charge_category=exclude)
    if cost is not None:
        lines = charges.by(*by).rows()
        return tuple(
            Spent(_labels(by, line.key), line.currency, _plain(getattr(line, cost.value)), line.rows) for line in lines
        )
    basis = Cost(config.cost.basis)
    doubtful = unknown(lake.read(ALWAYS, sources=sources), basis)
    # On the primary basis, as the metrics show it: billed where a bill does not know the basis.
    sums: dict[tuple[str, ...], tuple[Decimal, int]] = {}
    for line in charges.by(*by, "source", "provider").rows():
        *labels, source, vendor = line.key
        amount, rows = sums.get((*labels, line.currency), (ZERO, 0))
        sums[(*labels, line.currency)] = (
            add(amount, primary(line, source, vendor, basis, doubtful)),
            rows + line.rows,
        )
    return tuple(
        Spent(_labels(by, key[:-1]), key[-1], _plain(amount), rows) for key, (amount, rows) in sorted(sums.items())
    )


def anomalies(
    config_file: Configured = "cloudspend.yml",
    *,
    days: int = 30,
    sensitivity: float | None = None,
    minimum_cost: float | None = None,
    detector: str | None = None,
) -> tuple[Finding, ...]:
    """Findings that were open within the last so many days, today included: the open ones first, then the largest.

    As configured in `anomalies` unless said otherwise. Amounts of a finding are estimates, in its scope's currency.
    """
    from dataclasses import replace

    from exporter.polling.estate import stored
    from exporter.polling.judgement import anomaly_settings
    from exporter.polling.replay import begin, findings

    config, now = _config(config_file), _clock().now()
    settings = anomaly_settings(config)
    settings = replace(
        settings,
        sensitivity=settings.sensitivity if sensitivity is None else sensitivity,
        minimum_cost=settings.minimum_cost if minimum_cost is None else minimum_cost,
        detector=detector or settings.detector,
    )
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    since = day_of(now) - DAY * (days - 1)
    estate = stored(resolve(config), Paths(config.store.path), now, begin(settings, since)[1])
    return tuple(findings(estate, settings, since))


def forecast(
    config_file: Configured = "cloudspend.yml",
    *,
    by: Words = ("provider",),
    days: int | None = None,
    model: str | None = None,
    confidence: float = 0.8,
    provider: Words = (),
) -> tuple[Line, ...]:
    """What this month's usage, or that of the next `days`, comes to, a line per group and currency.

    A line of a group with too little history has None for what is expected. `by`: source, provider, account, service,
    region.
    """
    from exporter.analysis.forecasts.grouped import forecasted
    from exporter.polling.estate import stored

    config, now = _config(config_file), _clock().now()
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    today = day_of(now)
    window = Window.of_days(today, today + DAY * days) if days else Month.containing(now).window()
    estate = stored(resolve(config), Paths(config.store.path), now, today - DAY * _FORECAST)
    wanted = set(_words(provider)) or None
    lines = forecasted(estate.sources, _words(by), window, model or config.forecasts.model, confidence, wanted)
    return tuple(sorted(lines, key=lambda line: line.group))


def budgets(config_file: Configured = "cloudspend.yml") -> tuple[Standing, ...]:
    """How every budget of the configuration stands, in its order."""
    from exporter.polling.allowances import stood

    config = _config(config_file)
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    return stood(config, _clock().now()).standings


def _config(given: Configured) -> Config:
    return given if isinstance(given, Config) else read(Path(given), Registry(), os.environ)


def _plain(amount: Decimal | None) -> Decimal | None:
    """Without the zeros at the end that the store keeps."""
    return None if amount is None else Decimal(text(amount))


def _words(given: Words) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _clock() -> Clock:
    return Clock.from_environment(may_freeze=True)


def _labels(by: Sequence[str], key: Sequence[str]) -> Mapping[str, str]:
    return MappingProxyType(dict(zip(by, key, strict=True)))


def _with_bot(config: Config, url: str) -> Config:
    """The configuration with one more channel: a Feishu bot at this address."""
    from exporter.config.notify import FeishuSettings

    taken = {channel.name for channel in config.notify.channels}
    name = next(name for name in ("webhook", *(f"webhook-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
    bot = FeishuSettings(name=name, type="feishu", url=SecretStr(url))
    notify = config.notify.model_copy(update={"channels": (*config.notify.channels, bot)})
    return config.model_copy(update={"notify": notify})
