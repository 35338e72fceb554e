"""A data folder as one real poll leaves it, a snapshot of invented series published on top, and the daemon on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import process
from benchmarks.bills import Bill
from benchmarks.process import Child
from benchmarks.scraper import Scraper, answers
from benchmarks.series import families
from exporter import snapshot
from exporter.metrics.exposition import render
from exporter.polling.sources import Paths
from exporter.store.state import Failure, State

SOURCE = "bill"
_LONG = timedelta(days=365)
_CONFIG = """\
store: {{path: {folder}/data}}
sources:
  - {{name: {source}, provider: focus, path: {bill}, poll_every: 30d, max_age: 90d,
     series_limit: 1000000}}
"""
NOW = "2026-10-20T12:00:00Z"
"""When it is in a house: the bill is of this month and the one before."""


@dataclass(frozen=True, slots=True)
class House:
    """A folder with a configuration of one source, and everything that a daemon keeps."""

    folder: Path

    @classmethod
    def built(cls, folder: Path, series: int | None = None, bill: Bill | None = None, more: str = "") -> House:
        """A bill polled once, for real; and where `series` is given, a snapshot of so many published over its own.

        `more` is put behind the configuration.
        """
        folder.mkdir()
        house = cls(folder)
        small = Bill(1000, first=datetime(2026, 9, 1, tzinfo=UTC).date(), days=49, accounts=3)
        path = (bill or small).write(folder / "bill.parquet")
        house.config.write_text(_CONFIG.format(folder=folder, source=SOURCE, bill=path) + more)
        command = [sys.executable, "-m", "exporter", "collect", "--config", str(house.config)]
        environment = {**os.environ, **_clock()}
        polled = subprocess.run(command, cwd=process.ROOT, env=environment, stderr=subprocess.PIPE, check=False)
        if polled.returncode:
            raise RuntimeError(f"the poll failed: {polled.stderr.decode()}")
        if series is not None:
            house.publish(series)
        return house

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "cloudspend.yml"

    @property
    def paths(self) -> Paths:
        """Where the daemon keeps things."""
        return Paths(self.folder / "data")

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.folder / "log"

    def publish(self, series: int) -> None:
        """Put a snapshot of invented series in the place of the newest one; it does not change by the clock."""
        current = snapshot.load(self.paths.snapshots)
        assert current is not None, "the poll published one"
        lasting = replace(current.manifest, next_change_at=current.manifest.made + _LONG, expires_at=None)
        snapshot.publish(self.paths.snapshots, lasting, render(families(series)), current.check())

    @contextmanager
    def daemon(self) -> Iterator[tuple[Child, int]]:
        """The daemon, serving, and its port."""
        port = process.free_port()
        address = f"127.0.0.1:{port}"
        config = str(self.config)
        serve = [sys.executable, "-m", "exporter", "serve", "--config", config, "--web.listen-address", address]
        with process.running(serve, self.log, _clock()) as child:
            process.wait_until(lambda: answers(Scraper(port)), self.log)
            yield child, port

    def ask_for_a_poll(self) -> None:
        """Make the source due, as a poll that failed for a passing reason would."""
        now = datetime.fromisoformat(NOW)
        with State(self.paths.state) as state:
            state.fail(SOURCE, Failure(now, now, "unavailable", "the benchmark wants a poll"))

    def series(self) -> int:
        """How many series the newest snapshot holds."""
        current = snapshot.load(self.paths.snapshots)
        return sum(not line.startswith(b"#") for line in current.plain.splitlines()) if current else 0

    def polls(self) -> int:
        """How often the source was polled since the folder exists."""
        with State(self.paths.state) as state:
            return sum(int(c.value) for c in state.counters() if c.name == "cloudspend_source_polls_total")


def _clock() -> dict[str, str]:
    return {"CLOUDSPEND_NOW": NOW}
