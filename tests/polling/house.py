"""A store, a clock and scripted sources: polls and snapshots without a process or a cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse

from exporter import snapshot
from exporter.clock import Clock
from exporter.config.load import load
from exporter.config.schema import Config
from exporter.costs import Ask, Bill, Cost, CostRow, CostTable, Scope
from exporter.errors import SourceError
from exporter.normalise.currency import Rates
from exporter.periods import Window
from exporter.polling.poll import backfill, poll
from exporter.polling.publish import publish
from exporter.polling.sources import Paths, Registry, Source
from exporter.providers import Meter, Options, Provider, ProviderSpec
from exporter.snapshot import Snapshot
from exporter.store.lake import Lake
from exporter.store.state import Failure, State, Success

HOUR = timedelta(hours=1)
Answer = Callable[[Ask], Bill] | SourceError | Exception


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def full(*rows: CostRow, **more: object) -> Callable[[Ask], Bill]:
    """A bill that is complete for whatever was asked."""

    def answer(ask: Ask) -> Bill:
        costs = CostTable.of(rows).during(ask.window)
        return Bill(costs=costs, covered=(Scope(ask.window),), **more)  # type: ignore[arg-type]

    return answer


@dataclass
class Scripted(Provider):
    """Says what it was told to; remembers what it was asked."""

    answer: Answer
    asked: list[Ask] = field(default_factory=list)

    def fetch(self, ask: Ask) -> Bill:
        self.asked.append(ask)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(ask)


@dataclass
class House:
    """One store with its sources."""

    root: Path
    now: datetime = field(default_factory=lambda: at("2024-09-20T12:00:00"))
    basis: Cost = Cost.BILLED
    rates: Rates | None = None
    judging: Config | None = None
    """How the bill is judged; None judges nothing."""
    sources: dict[str, Source] = field(default_factory=dict)
    providers: dict[str, Scripted] = field(default_factory=dict)

    def add(
        self,
        name: str,
        answer: Answer,
        label: str = "acme",
        settles_after: timedelta = 48 * HOUR,
        *,
        hours: bool = False,
        series_limit: int = 2000,
        recent_first: bool = False,
    ) -> Scripted:
        provider = Scripted(answer)

        def connect(_options: Options, meter: Meter) -> Provider:
            meter.request("fetch")
            return provider

        spec = ProviderSpec(
            "scripted", Options, connect, settles_after, 8 * HOUR, label=label, recent_first=recent_first
        )
        self.sources[name] = Source(name, spec, Options(), 8 * HOUR, settles_after, 36 * HOUR, (), hours, series_limit)
        self.providers[name] = provider
        return provider

    def judge(self, sections: str = "") -> None:
        """From now on judge the bill as these sections of a configuration say."""
        named = ", ".join(f"{{name: {name}, provider: demo}}" for name in self.sources)
        text = f"store: {{path: {self.root}}}\nsources: [{named}]\n{sections}"
        self.judging = load(text, Registry(), file="test.yml", folder=self.root, environment={})

    @property
    def clock(self) -> Clock:
        return Clock(frozen=self.now)

    @property
    def lake(self) -> Lake:
        return Lake(Paths(self.root).lake)

    def state(self) -> State:
        return State(Paths(self.root).state)

    def poll(self, name: str, answer: Answer | None = None, window: Window | None = None) -> Success | Failure:
        if answer is not None:
            self.providers[name].answer = answer
        with self.state() as state:
            rivals = [other for other in self.sources if other != name]
            if window is not None:
                return backfill(self.sources[name], self.lake, state, self.clock, window, rivals)
            return poll(self.sources[name], self.lake, state, self.clock, rivals)

    def publish(self) -> Snapshot:
        with self.state() as state:
            sources, paths = list(self.sources.values()), Paths(self.root)
            publish(sources, paths, state, self.clock, self.basis, self.rates, self.judging)
        found = snapshot.load(Paths(self.root).snapshots)
        assert found is not None
        return found

    def shown(self, metric: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Samples of a metric in a new snapshot, keyed by these labels (which must tell them apart)."""
        samples = [
            (tuple(sample.labels[label] for label in labels), sample.value)
            for family in parse(self.publish().plain.decode())
            for sample in family.samples
            if sample.name == metric
        ]
        assert len(dict(samples)) == len(samples), "the labels do not tell the samples apart"
        return dict(samples)
