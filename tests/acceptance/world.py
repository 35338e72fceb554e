"""Three simulated clouds, the worker's own code around the vendors' clients, and a clock that a test moves.

Whatever a test here compares comes from two ends: the clouds' ledgers, and the bytes of `/metrics` as the daemon sends
them. Amounts are compared as exact decimals, as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from exporter.clock import Clock
from exporter.config.load import load
from exporter.config.reload import Running
from exporter.config.schema import Config
from exporter.costs.money import add
from exporter.metrics.exposition import Form
from exporter.periods import ALWAYS, Window
from exporter.polling import worker
from exporter.polling.outlook import Outlook
from exporter.polling.schedule import due, next_due
from exporter.polling.sources import Paths, Registry, resolve
from exporter.providers import rest
from exporter.simulator import clouds as simulated
from exporter.simulator.clouds import Simulated
from exporter.simulator.server import Asked, Fault
from exporter.store.lake import Lake
from exporter.store.state import State
from exporter.web.board import Board

CLOUDS = ("aws", "azure", "gcp")
MONTH_TO_DATE, PREVIOUS_MONTH = "cloudspend_month_to_date_cost", "cloudspend_previous_month_cost"
ASKED = {"aws": "GetCostAndUsage", "azure": "query", "gcp": "tabledata.list"}
"""The operation of each cloud that answers with pages of charges."""
PAID = {"aws": "GetCostAndUsage", "azure": "query", "gcp": "jobs.insert"}
"""The operation of each cloud that it counts: a cent, a query unit, bytes."""

Sums = dict[tuple[str, ...], Decimal]

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics(list[tuple[str, dict[str, str], Decimal]]):
    """One scrape: metric, labels and exact value of every sample."""

    @classmethod
    def parsed(cls, text: str) -> Metrics:
        found = cls()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = _SAMPLE.match(line)
                assert match, line
                found.append((match[1], dict(_LABEL.findall(match[2] or "")), Decimal(match[3])))
        return found

    def sums(self, name: str, *labels: str, **where: str) -> Sums:
        """Exact sums of a metric by these labels, of samples that have those; without what is zero."""
        sums: Sums = {}
        for metric, found, value in self:
            if metric == name and where.items() <= found.items():
                key = tuple(found[label] for label in labels)
                sums[key] = add(sums.get(key, Decimal(0)), value)
        return {key: amount for key, amount in sums.items() if amount}

    def total(self, name: str, **where: str) -> Decimal:
        """The sum of a metric; 0 where it has no sample."""
        return self.sums(name, **where).get((), Decimal(0))

    def values(self, name: str, label: str) -> set[str]:
        """All values of a label of a metric."""
        return {labels[label] for metric, labels, _ in self if metric == name}

    def money(self) -> Metrics:
        """What says how much something cost: all that has a currency, the exporter's own price apart."""
        return Metrics(each for each in self if "currency" in each[1] and "_api_" not in each[0])


_UNJUDGED = {section: {"enabled": False} for section in ("anomalies", "tripwire", "forecasts")}
"""What is tested here is the bill; what is made of it is tested elsewhere, and takes its time at each poll."""


@dataclass
class World:
    """The clouds, a configuration that reads them, and what time it is everywhere."""

    clouds: Mapping[str, Simulated]
    config: Config
    monkeypatch: pytest.MonkeyPatch
    now: datetime
    waits: list[float] = field(default_factory=list)
    """What clients wanted to sleep between tries; nobody does."""

    @property
    def paths(self) -> Paths:
        return Paths(self.config.store.path)

    @property
    def clock(self) -> Clock:
        return Clock(frozen=self.now)

    def move(self, now: datetime) -> None:
        """It is `now` in the clouds and here."""
        self.now = now
        self.monkeypatch.delenv("CLOUDSPEND_NOW_OFFSET", raising=False)
        self.monkeypatch.setenv("CLOUDSPEND_NOW", f"{now.isoformat()},frozen")
        for cloud in self.clouds.values():
            cloud.server.clock = self.clock

    def poll(self, *names: str) -> dict[str, str]:
        """Let the worker poll these sources, or all, and publish; source → reason of its failure, empty if none."""
        outcomes = worker.run(self.config, self.clock, names or None)
        return {name: getattr(outcome, "reason", "") for name, outcome in outcomes.items()}

    def poll_due(self) -> dict[str, str]:
        """The same for what is due, as the daemon would."""
        names = [source.name for source in due(resolve(self.config), self.states(), self.now)]
        return self.poll(*names) if names else {}

    def next_due(self) -> datetime:
        """When the next source is due."""
        states = self.states()
        return min(next_due(source, states.get(source.name), self.now) for source in resolve(self.config))

    def render(self, config: Config | None = None) -> Metrics:
        """Publish anew without asking anybody, perhaps by another configuration; and scrape."""
        worker.run(config or self.config, self.clock, ())
        return self.scrape()

    def scrape(self) -> Metrics:
        """/metrics as the daemon sends it."""
        with State(self.paths.state) as reading:
            board = Board(Running(self.config, resolve, self.clock), Outlook(self.paths, reading), self.clock)
            board.refresh()
            return Metrics.parsed(board.body(Form(openmetrics=False, gzip=False)).decode())

    def states(self) -> Mapping[str, Any]:
        with State(self.paths.state) as state:
            return state.sources()

    def requests(self) -> dict[str, int]:
        """What each cloud was asked so far and counts."""
        return {name: len(cloud.server.asked(PAID[name])) for name, cloud in self.clouds.items()}

    def charges(self) -> dict[str, Decimal]:
        """Source → US dollars, query units or bytes that its ledger holds."""
        found: dict[str, Decimal] = {}
        with State(self.paths.state) as state:
            for spent in state.spending():
                amount = add(spent.charge, *spent.units.values())
                found[spent.source] = add(found.get(spent.source, Decimal(0)), amount)
        return found

    def stored(self, name: str) -> Sums:
        """What the store holds of a source by service, region, UTC day, currency; without what is zero."""
        lines = Lake(self.paths.lake).read(ALWAYS, sources=[name]).by("service", "region", "day").rows()
        return {(*line.key, line.currency): line.billed for line in lines if line.billed}

    def charged(self, name: str) -> Sums:
        """The same by the ledger of its cloud."""
        lines = self.clouds[name].expected(self.now)
        words = ("service", "region", "day", "currency")
        sums = {tuple(line[word] for word in words): Decimal(line["billed"]) for line in lines}
        return {key: amount for key, amount in sums.items() if amount}

    def billed(self, window: Window, *labels: str, names: Collection[str] = CLOUDS) -> Sums:
        """What the clouds have charged for days of a window, by provider, service, region, day, currency."""
        words = ("provider", "service", "region", "day", "currency")
        sums: Sums = {}
        for name in names:
            for key, amount in self.charged(name).items():
                line = dict(zip(words, (name, *key), strict=True))
                if date.fromisoformat(line["day"]) in window.days():
                    which = tuple(line[label] for label in labels)
                    sums[which] = add(sums.get(which, Decimal(0)), amount)
        return {key: amount for key, amount in sums.items() if amount}

    def inject(self, name: str, fault: Fault) -> None:
        self.clouds[name].server.inject(fault)

    def heal(self) -> None:
        """No cloud misbehaves any more; what was asked is forgotten too."""
        for cloud in self.clouds.values():
            cloud.server.reset()

    def calls(self, name: str) -> list[Asked]:
        return self.clouds[name].server.calls


Opener = Callable[..., World]


@contextmanager
def opened(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: datetime,
    last: datetime | None = None,
    only: Iterable[str] = CLOUDS,
    months: int = 2,
    top: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[World]:
    """A world at `first` whose ledgers reach to `last` and so many months back.

    `options` are those of all sources, `None` leaves one out: pages are kept only with `cache=None`. `top` are more
    sections of the configuration.
    """
    monkeypatch.setattr(simulated, "MONTHS", months)
    waits: list[float] = []
    monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=waits.append))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with simulated.running(folder, Clock(frozen=last or first), tuple(only), seed=7) as clouds:
        document = yaml.safe_load(simulated.configuration(clouds, folder / "data"))
        for source in document["sources"]:
            source.update({key: value for key, value in {"cache": "off", **options}.items() if value is not None})
        text = yaml.safe_dump({**document, **_UNJUDGED, **(top or {})})
        config = load(text, Registry(), folder=folder, environment={})
        world = World({cloud.server.name: cloud for cloud in clouds}, config, monkeypatch, first, waits)
        world.move(first)
        yield world


def days_later(instant: datetime, days: float) -> datetime:
    return instant + timedelta(days=days)


def pages_of(cloud: Simulated, rows: int) -> None:
    """Let a cloud answer with pages of so many rows."""
    server = cast("Any", cloud.server)
    if cloud.server.name == "aws":
        server.explorer.page_size = rows
    else:
        server.page_rows = rows
