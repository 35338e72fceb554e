"""The live part of /metrics: what the daemon itself knows, never what a bill says.

Made from the state file, so counters survive restarts; the worker never writes it, so a worker that dies cannot leave
`cloudspend_up 1` behind.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter import __version__
from exporter.errors import NOTIFY_REASONS, REASONS
from exporter.metrics.catalog import CATALOG, WORKER_FAILURES
from exporter.metrics.exposition import EOF, Family, Value
from exporter.store.outbox import FAILURES, SENT
from exporter.store.state import Counter, SourceState

_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)
PlatformCollector(registry=_PROCESS)

Samples = Sequence[tuple[tuple[str, ...], Value]]


class Watched(Protocol):
    """What the live part needs of a configured source."""

    @property
    def name(self) -> str:
        """The `source` label."""
        ...

    @property
    def settles_after(self) -> timedelta:
        """How long after its end a UTC day is taken to move."""
        ...

    @property
    def stale_after(self) -> timedelta:
        """How old its settled edge may be."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap on what asking may cost, in USD, and what is spent of it this UTC month. No source: of all together."""

    source: str
    limit: Decimal
    spent: Decimal


@dataclass(frozen=True, slots=True)
class Facts:
    """What the daemon knows at this moment."""

    sources: Sequence[Watched]
    states: Mapping[str, SourceState]
    counters: Sequence[Counter]
    snapshot_made: datetime | None = None
    store_bytes: int = 0
    reloaded: bool = True
    """Whether the last reload of the configuration succeeded."""
    reloaded_at: datetime | None = None
    """When the configuration in force was read."""
    ended: frozenset[str] = frozenset()
    """Sources that are billed no more; they cannot get stale."""
    budgets: Sequence[Budget] = ()
    currencies: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Source → in which currencies asking it is paid for: each is counted from 0."""
    units: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Source → the units that its vendor counts, likewise."""
    channels: Sequence[str] = ()
    """Where messages may go, by name."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Channel → messages that wait for it."""


def families(facts: Facts) -> Iterator[Family]:
    """Every live family, in the order of the catalogue; counts that never happened are there as 0."""
    counted = {(c.name, c.source, c.label): c.value for c in facts.counters}
    states = {source.name: facts.states.get(source.name, SourceState(source.name)) for source in facts.sources}
    yield _family("cloudspend_up", [((name,), int(state.up)) for name, state in states.items()])
    failing = [
        ((name, reason), int(state.failed_reason == reason)) for name, state in states.items() for reason in REASONS
    ]
    yield _family("cloudspend_source_failed", failing)
    yield from _times(facts, states)
    yield _counted("cloudspend_source_polls_total", states, counted)
    failures = "cloudspend_source_poll_failures_total"
    pairs = [(name, reason) for name in states for reason in REASONS]
    yield _family(failures, [(pair, counted.get((failures, *pair), Decimal(0))) for pair in pairs])
    yield _counted("cloudspend_source_api_requests_total", states, counted)
    yield _counted("cloudspend_source_cached_pages_total", states, counted)
    for name, expected in (
        ("cloudspend_source_api_charges_total", facts.currencies),
        ("cloudspend_source_api_units_total", facts.units),
    ):
        labels = {(c.source, c.label) for c in facts.counters if c.name == name and c.source in states}
        labels |= {(source, label) for source in states for label in expected.get(source, ())}
        yield _family(name, [(pair, counted.get((name, *pair), Decimal(0))) for pair in sorted(labels)])
    yield from _budgets(facts)
    yield _family("cloudspend_source_rows", [((name,), state.rows) for name, state in states.items()])
    yield _family("cloudspend_source_folded_series", [((name,), state.folded) for name, state in states.items()])
    yield _counted("cloudspend_source_rounded_values_total", states, counted)
    found = CATALOG["cloudspend_anomalies_found_total"]
    pairs_found = [(tuple(c.label.split(" ")), c.value) for c in facts.counters if c.name == found.name]
    yield Family(found, pairs_found)
    yield from _exporter(facts, counted)


def process(*, openmetrics: bool) -> bytes:
    """`process_*` and `python_info`, read now."""
    if not openmetrics:
        return generate_latest(_PROCESS)
    written: bytes = generate_openmetrics(_PROCESS)  # type: ignore[no-untyped-call]
    return written.removesuffix(EOF)


def _budgets(facts: Facts) -> Iterator[Family]:
    for name, own in (("cloudspend_source_api_budget", True), ("cloudspend_api_budget", False)):
        budgets = [budget for budget in facts.budgets if bool(budget.source) is own]
        labels = [(*([budget.source] if own else []), "USD") for budget in budgets]
        yield _family(f"{name}_limit", list(zip(labels, [budget.limit for budget in budgets], strict=True)))
        yield _family(f"{name}_spent", list(zip(labels, [budget.spent for budget in budgets], strict=True)))


def _times(facts: Facts, states: Mapping[str, SourceState]) -> Iterator[Family]:
    succeeded = [((n,), s.last_success.timestamp()) for n, s in states.items() if s.last_success]
    yield _family("cloudspend_source_last_success_timestamp_seconds", succeeded)
    due = [((n,), s.next_due.timestamp()) for n, s in states.items() if s.next_due]
    yield _family("cloudspend_source_next_poll_timestamp_seconds", due)
    moving = [source for source in facts.sources if source.name not in facts.ended]
    stale = [((source.name,), source.stale_after.total_seconds()) for source in moving]
    yield _family("cloudspend_source_stale_after_seconds", stale)
    assumed = [((source.name,), source.settles_after.total_seconds()) for source in facts.sources]
    yield _family("cloudspend_source_settles_after_seconds", assumed)
    moved = [((n,), s.observed_settling) for n, s in states.items() if s.observed_settling is not None]
    yield _family("cloudspend_source_observed_settling_seconds", moved)
    took = [((n,), s.poll_seconds) for n, s in states.items() if s.poll_seconds is not None]
    yield _family("cloudspend_source_poll_duration_seconds", took)


def _exporter(facts: Facts, counted: Mapping[tuple[str, str, str], Decimal]) -> Iterator[Family]:
    yield _family("cloudspend_exporter_build_info", [((__version__, platform.python_version()), 1)])
    made: Samples = [((), facts.snapshot_made.timestamp())] if facts.snapshot_made else []
    yield _family("cloudspend_exporter_snapshot_timestamp_seconds", made)
    yield _family("cloudspend_exporter_store_size_bytes", [((), facts.store_bytes)])
    runs = "cloudspend_exporter_worker_runs_total"
    yield _family(runs, [((), counted.get((runs, "", ""), Decimal(0)))])
    died = "cloudspend_exporter_worker_failures_total"
    yield _family(died, [((reason,), counted.get((died, "", reason), Decimal(0))) for reason in WORKER_FAILURES])
    yield from _notifications(facts, counted)
    yield _family("cloudspend_exporter_config_last_reload_successful", [((), int(facts.reloaded))])
    read: Samples = [((), facts.reloaded_at.timestamp())] if facts.reloaded_at else []
    yield _family("cloudspend_exporter_config_last_reload_success_timestamp_seconds", read)


def _notifications(facts: Facts, counted: Mapping[tuple[str, str, str], Decimal]) -> Iterator[Family]:
    # A channel that is configured no more is shown while messages wait for it.
    names = list(dict.fromkeys((*facts.channels, *facts.waiting)))
    yield _family(SENT, [((name,), counted.get((SENT, "", name), Decimal(0))) for name in names])
    failed = [(name, reason) for name in names for reason in NOTIFY_REASONS]
    yield _family(FAILURES, [(pair, counted.get((FAILURES, "", " ".join(pair)), Decimal(0))) for pair in failed])
    waiting = [((name,), facts.waiting.get(name, 0)) for name in names]
    yield _family("cloudspend_exporter_outbox_messages", waiting)


def _counted(metric: str, sources: Iterable[str], counted: Mapping[tuple[str, str, str], Decimal]) -> Family:
    """A counter with one sample per source."""
    return _family(metric, [((name,), counted.get((metric, name, ""), Decimal(0))) for name in sources])


def _family(name: str, samples: Samples) -> Family:
    return Family(CATALOG[name], samples)
