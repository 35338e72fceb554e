"""Where bills come from: one module per billing source, one method each, and data beside it.

A provider answers an `Ask` with a `Bill`. Throttling, retries, caching, stamping, naming, folding, metering, metrics,
docs and schema are not its business. In the tree a provider is one module and one line in `BUILTIN`; outside of it, a
distribution with an entry point in the group `cloudspend.providers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from exporter.config.schema import SourceSettings
from exporter.costs import Ask, Bill
from exporter.errors import ConfigError, Problem
from exporter.periods import Grain

BUILTIN: Mapping[str, str] = MappingProxyType(
    {
        "aws_athena": "exporter.providers.aws_athena:SPEC",
        "aws_cost_explorer": "exporter.providers.aws_cost_explorer:SPEC",
        "aws_export": "exporter.providers.aws_export:SPEC",
        "azure": "exporter.providers.azure:SPEC",
        "azure_export": "exporter.providers.azure_export:SPEC",
        "azure_sponsorship": "exporter.providers.azure_sponsorship:SPEC",
        "demo": "exporter.providers.demo:SPEC",
        "demo_focus": "exporter.providers.demo_focus:SPEC",
        "focus": "exporter.providers.focus:SPEC",
        "gcp": "exporter.providers.gcp:SPEC",
    }
)
"""Name in the configuration → where its ProviderSpec is. Imported when a configuration names it."""

ENTRY_POINTS = "cloudspend.providers"


class Options(BaseModel):
    """Base of every provider's options: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


NO_UNITS: Mapping[str, Decimal] = MappingProxyType({})


class Meter(Protocol):
    """What stands between a provider and a billing API: requests are counted, priced and never paid for twice."""

    def request(
        self,
        operation: str,
        charge: Decimal = Decimal(0),
        currency: str = "USD",
        units: Mapping[str, Decimal] = NO_UNITS,
    ) -> None:
        """Say that one request is about to be made, what it costs, and in which of the vendor's units.

        Inside of the `fetch` of a `page`, a request that ends in an error costs nothing: vendors charge for answers.
        Throttled where the cap forbids it.
        """
        ...

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """The raw answer to a request: kept from a recent try, or what `fetch` returns, kept before it is used.

        `request` says all that decides the answer, page token included, and no secret; it must be JSON. `fetch` calls
        `request` for what it really asks. A crash on page 7 of 20 so pays for 14 pages, not for 27.
        """
        ...

    def affords(self, operation: str) -> bool:
        """Whether there is money for a call that the bill is whole without (`Call.optional`). False near the cap."""
        ...


@runtime_checkable
class Provider(Protocol):
    """A billing source."""

    def fetch(self, ask: Ask) -> Bill:
        """Answer with every charge whose period starts in `ask.window`.

        Raises a SourceError (AccessDenied, Throttled, Unavailable, NotReady, BadData) instead of a partial answer.
        """
        ...


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a source could show of its access without reading a bill: for `cloudspend test-access`."""

    credentials: str
    """Where they were found: `profile billing`, `GOOGLE_APPLICATION_CREDENTIALS`. Never the secret itself."""
    identity: str
    """Who they are: an ARN, a service account, an application id."""
    calls: tuple[str, ...]
    """What was asked, in the vendor's words."""
    newest: date | None = None
    """The newest UTC day that has a charge."""
    found: str = ""
    """What is there, in words, where it is not one bill by its name: how many files, and how new."""
    missing: tuple[str, ...] = ()
    """Permissions that are useful and not there, in the vendor's words. What is needed raises AccessDenied instead."""
    shape: Mapping[str, object] = field(default_factory=dict)
    """How an answer looked: keys and types, never a value that could tell whose it is. Makes a good bug report."""


@runtime_checkable
class Accessible(Protocol):
    """A provider that can show its access: an optional second method."""

    def access(self) -> Access:
        """Try the credentials with as little as can be asked for. Raises as `fetch` does; metered as `fetch` is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One kind of request that answering an `Ask` takes, for the price of it (`cloudspend plan`)."""

    operation: str
    """As the meter hears it."""
    times: int = 1
    """How many questions; each is answered in one page or more."""
    charge: Decimal = Decimal(0)
    """What one page costs, in `currency`."""
    currency: str = "USD"
    units: Mapping[str, Decimal] = field(default_factory=dict)
    """What one page takes of the vendor's own units: {"qpu": 2}, {"bytes": 10485760}."""
    paged: bool = True
    """Whether an answer may have several pages."""
    optional: bool = False
    """Whether the bill is still whole without it: the first to be left out near the cap."""


def _nothing(options: Any) -> tuple[()]:  # noqa: ARG001
    return ()


def _no_calls(options: Any, ask: Ask) -> tuple[Call, ...]:  # noqa: ARG001
    return ()


@dataclass(frozen=True, slots=True)
class ProviderSpec(Generic[OptionsT]):
    """What the house must know about a provider; everything but `connect` is data."""

    name: str
    """What `provider:` says in the configuration."""
    options: type[OptionsT]
    """Its options; configuration, schema and docs come from this model."""
    connect: Callable[[OptionsT, Meter], Provider]
    """Makes the provider. Opens nothing yet: that is `fetch`'s."""
    settles_after: timedelta
    """How long after its end a UTC day still moves."""
    poll_every: timedelta
    """A polite default; asking may cost money."""
    permissions: tuple[str, ...] = ()
    """The least that the credentials must allow, in the vendor's words."""
    label: str = ""
    """The `provider` label (aws, azure, gcp, …); empty where each row says its own."""
    history: timedelta | None = timedelta(days=425)
    """How far back the first poll asks; None reads all there is, at every poll (files)."""
    recent_first: bool = False
    """Whether the first poll asks for this month and the one before alone, and the older ones follow one by one: where
    quotas make a year of history take minutes."""
    grains: frozenset[Grain] = frozenset({Grain.DAY})
    """Which grains it can answer."""
    calls: Callable[[OptionsT, Ask], tuple[Call, ...]] = _no_calls
    """What it takes to answer an `Ask`: told without asking anybody. Nothing where asking is free. Raises a SourceError
    where the options and `Ask.tags` say already that there can be no answer: `config check` then refuses the source."""
    routes: Callable[[OptionsT], tuple[str, ...]] = _nothing
    """Which bills the options name, as far as they tell (`aws:111122223333`). Two sources with the same one are
    refused: their sum would count the bill twice."""
    policy: Callable[[OptionsT], str] | None = None
    """The smallest policy that grants `permissions`, in the vendor's own language, ready to paste."""


def spec(name: str) -> ProviderSpec[Any]:
    """The spec of a provider, ours or installed. ConfigError where there is none of that name."""
    target = BUILTIN.get(name)
    if target is None:
        for point in entry_points(group=ENTRY_POINTS, name=name):
            return _checked(name, point.load())
        raise ConfigError((Problem("provider", f"{name!r} is not a provider", hint=f"one of {', '.join(names())}"),))
    module, _, attribute = target.partition(":")
    return _checked(name, getattr(importlib.import_module(module), attribute))


def names() -> tuple[str, ...]:
    """Every provider there is, ours and installed, in order."""
    return tuple(sorted({*BUILTIN, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def specs() -> Iterator[ProviderSpec[Any]]:
    """The spec of every provider there is."""
    return map(spec, names())


def _checked(name: str, found: object) -> ProviderSpec[Any]:
    if not isinstance(found, ProviderSpec) or found.name != name:
        raise ConfigError((Problem("provider", f"the plug-in behind {name!r} does not offer a ProviderSpec so named"),))
    taken = set(found.options.model_fields) & set(SourceSettings.COMMON)
    if taken:
        message = f"its option {min(taken)!r} is a key that every source has"
        raise ConfigError((Problem("provider", f"the plug-in behind {name!r} cannot be used: {message}"),))
    return found
