"""A source as it runs: what the configuration says, completed by what its provider's spec says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from exporter import providers
from exporter.config.schema import ApiBudgetSettings, Config, SourceSettings
from exporter.config.values import duration_text
from exporter.costs import Ask
from exporter.errors import ConfigError, Problem, SourceError
from exporter.periods import DAY, Grain, Window
from exporter.polling.budget import Caps
from exporter.providers import ProviderSpec

_ANY_DAY = Window.of_days(date(2024, 9, 1), date(2024, 9, 1) + DAY)
"""What a question about anything is checked with: no provider refuses a day for itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """One configured billing source."""

    name: str
    spec: ProviderSpec[Any]
    options: BaseModel
    poll_every: timedelta
    settles_after: timedelta
    max_age: timedelta
    tags: tuple[str, ...]
    hours: bool = False
    series_limit: int = 2000
    cache: timedelta = timedelta(0)
    """How long a page that was paid for is used again; zero keeps none."""
    caps: Caps = field(default_factory=Caps)
    """What asking may cost in a month."""

    @property
    def fingerprint(self) -> str:
        """Changes with what is asked: the provider, its options (secrets apart), the tags kept."""
        asked = json.dumps([self.spec.name, self.options.model_dump_json(), self.tags])
        return hashlib.blake2b(asked.encode(), digest_size=12).hexdigest()

    @property
    def stale_after(self) -> timedelta:
        """How old the settled edge may be: settling, one more day, and the age at which data is given up."""
        return self.settles_after + timedelta(days=1) + self.max_age


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything lies below `store.path`."""

    root: Path

    @property
    def lake(self) -> Path:
        """Bills."""
        return self.root / "lake"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.root / "state.sqlite"

    @property
    def snapshots(self) -> Path:
        """Published snapshots."""
        return self.root / "snapshots"

    @property
    def scratch(self) -> Path:
        """What a process needs for a while: downloads, spilled tables."""
        return self.root / "tmp"

    @property
    def writer_lock(self) -> Path:
        """Held by whoever polls: the worker, or `collect`."""
        return self.root / "writer.lock"

    @property
    def daemon_lock(self) -> Path:
        """Held by the daemon."""
        return self.root / "daemon.lock"


class Registry:
    """The option models of every provider, for the configuration, which must not import providers itself."""

    def names(self) -> tuple[str, ...]:
        """Every provider there is."""
        return providers.names()

    def options(self, name: str) -> type[BaseModel]:
        """The options of one provider."""
        return providers.spec(name).options


def resolve(config: Config) -> tuple[Source, ...]:
    """The sources of a configuration, defaults filled in. ConfigError for what a provider cannot do."""
    sources = tuple(_source(settings, config.api_budget) for settings in config.sources)
    problems = tuple(problem for number, source in enumerate(sources) for problem in _problems(number, source))
    problems += tuple(_second_routes(sources))
    if problems:
        raise ConfigError(problems)
    return sources


def rendered_as(config: Config) -> str:
    """Changes with whatever decides what a snapshot shows of the same store."""
    shown = [
        [s.name, s.fingerprint, repr(s.settles_after), repr(s.max_age), s.series_limit, s.hours]
        for s in resolve(config)
    ]
    currency = config.currency and config.currency.model_dump(mode="json")
    sections = (config.anomalies, config.tripwire, config.forecasts, config.alerts, *config.budgets)
    judged = [section.model_dump(mode="json") for section in sections]
    decisive = json.dumps([shown, config.cost.basis, currency, judged])
    return hashlib.blake2b(decisive.encode(), digest_size=12).hexdigest()


def titles(config: Config) -> dict[str, str]:
    """Source → what people call it."""
    return {source.name: source.display_name or source.name for source in config.sources}


def chosen(sources: Iterable[Source], names: Iterable[str] | None) -> tuple[Source, ...]:
    """Those whose name, provider module or provider label is among `names`; all where `names` is None."""
    wanted = None if names is None else set(names)
    return tuple(s for s in sources if wanted is None or wanted & {s.name, s.spec.name, s.spec.label})


def _problems(number: int, source: Source) -> Iterator[Problem]:
    here, provider = f"sources[{number}]", source.spec.name
    if source.hours and Grain.HOUR not in source.spec.grains:
        yield Problem(f"{here}.hours", f"{provider} bills by the day and has no hours", hint="leave it out")
    try:
        source.spec.calls(source.options, Ask(_ANY_DAY, tags=source.tags))
    except SourceError as error:  # the provider could never answer
        yield Problem(f"{here}.tags" if source.tags else here, error.message, hint=error.hint)
    if source.poll_every >= source.max_age:
        every, age = duration_text(source.poll_every), duration_text(source.max_age)
        message = f"{age} is not longer than {every}, so data would disappear between polls of {provider}"
        yield Problem(f"{here}.max_age", message, hint="raise max_age, or set a shorter poll_every")


def _second_routes(sources: Iterable[Source]) -> Iterator[Problem]:
    """Two sources whose options name the same bill: their sum would count it twice."""
    first: dict[str, str] = {}
    for number, source in enumerate(sources):
        for route in source.spec.routes(source.options):
            if route in first:
                message = f"reads the bill of {route}, which source {first[route]!r} reads already"
                hint = "two routes to one bill would be added up; remove one of the two sources"
                yield Problem(f"sources[{number}]", message, hint=hint)
            first.setdefault(route, source.name)


def _source(settings: SourceSettings, overall: ApiBudgetSettings | None) -> Source:
    spec = providers.spec(settings.provider)
    poll_every = settings.poll_every or spec.poll_every
    cache = poll_every / 2 if settings.cache is None else settings.cache
    return Source(
        name=settings.name,
        spec=spec,
        options=settings.options,
        poll_every=poll_every,
        settles_after=spec.settles_after if settings.settles_after is None else settings.settles_after,
        max_age=settings.max_age,
        tags=settings.tags,
        hours=settings.hours,
        series_limit=settings.series_limit,
        cache=timedelta(0) if cache == "off" else cache,
        caps=Caps(*(each.monthly_usd if each else None for each in (settings.api_budget, overall))),
    )
