"""Where bills come from: one module per billing source, one method each, and data beside it.

A provider answers an `Ask` with a `Bill`. Throttling, retries, caching, stamping, naming, folding, metering, metrics,
docs and schema are not its business. In the tree a provider is one module and one line in `BUILTIN`; outside of it, a
distribution with an entry point in the group `cloudspend.providers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
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
        "demo": "exporter.providers.demo:SPEC",
        "demo_focus": "exporter.providers.demo_focus:SPEC",
        "focus": "exporter.providers.focus:SPEC",
    }
)
"""Name in the configuration → where its ProviderSpec is. Imported when a configuration names it."""

ENTRY_POINTS = "cloudspend.providers"


class Options(BaseModel):
    """Base of every provider's options: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Meter(Protocol):
    """What stands between a provider and a billing API: requests are counted, priced and never paid for twice."""

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:
        """Say that one request is about to be made, and what it costs. SourceError where the cap forbids it."""
        ...

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """The raw answer to a request: kept from a recent try, or what `fetch` returns, kept before it is used.

        `request` says all that decides the answer, page token included, and no secret; it must be JSON. `fetch` calls
        `request` for what it really asks. A crash on page 7 of 20 so pays for 14 pages, not for 27.
        """
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
    grains: frozenset[Grain] = frozenset({Grain.DAY})
    """Which grains it can answer."""


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
