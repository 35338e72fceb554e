"""Our own daemon as a real process, and what its /metrics says."""

from __future__ import annotations

import gzip
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families as parse

from tests.neighbours import Server, free_port, until

PLUGIN = Path(__file__).parent / "plugin"

Labels = Mapping[str, str]


class Daemon(Server):
    """`cloudspend serve` over a configuration, on a free port, with the `trouble` provider at hand.

    `before` stands in front of its words: a program that becomes it. `port`: that one, for who is to find it again.
    """

    def __init__(
        self,
        config: Path,
        *words: str,
        ready: str = "/-/healthy",
        before: Sequence[str] = (),
        port: int | None = None,
        **environment: str,
    ) -> None:
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        super().__init__(
            [
                *(*before, sys.executable, "-m", "exporter", "serve", "--config", str(config)),
                *("--web.listen-address", f"127.0.0.1:{port}", *words),
            ],
            url=url,
            ready=f"{url}{ready}",
            log=config.with_suffix(".log"),
            env={**os.environ, "PYTHONPATH": str(PLUGIN), **environment},
        )

    def metrics(self, *, compressed: bool = True) -> str:
        """The text of /metrics."""
        request = Request(f"{self.url}/metrics", headers={"Accept-Encoding": "gzip" if compressed else "identity"})
        with urlopen(request, timeout=10) as response:
            body: bytes = response.read()
        return (gzip.decompress(body) if compressed else body).decode()

    def values(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Samples of a metric whose labels include these; the rest of their labels as key."""
        found = {}
        for family in parse(self.metrics()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    rest = {key: value for key, value in sample.labels.items() if key not in labels}
                    found[tuple(sorted(rest.items()))] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of a metric with these labels; None where there is none."""
        found = self.values(name, **labels)
        assert len(found) < 2, found
        return next(iter(found.values()), None)

    def wait_for(self, name: str, expected: float | None, **labels: str) -> None:
        """Wait until the one sample with these labels has this value."""
        until(lambda: self.value(name, **labels) == expected, f"{name}{labels} is {expected}")

    def worker_pids(self) -> list[int]:
        """Child processes of the daemon."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


class Trouble:
    """The script of a `trouble` source, and its configuration."""

    def __init__(self, folder: Path, name: str, word: str = "ok 1", account: str = "111122223333") -> None:
        self.name = name
        self.path = folder / f"{name}.script"
        self.account = account
        self.set(word)

    def set(self, word: str) -> None:
        """What the next poll does."""
        self.path.write_text(word)

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "provider": "trouble", "script": str(self.path), "account": self.account}


def make_due(store: Path, source: str) -> None:
    """Let a source be due now, as if its interval had passed."""
    database = sqlite3.connect(store / "state.sqlite", timeout=30)
    with database:
        database.execute("UPDATE sources SET next_due = '2000-01-01T00:00:00+00:00' WHERE source = ?", (source,))
    database.close()


def stop_hard(pid: int) -> None:
    """End one process of our own at once."""
    os.kill(pid, signal.SIGKILL)


def series(text: str) -> list[str]:
    """Every series of an exposition, name and labels, in order."""
    return [re.sub(r" [^ ]+$", "", line) for line in text.splitlines() if line and not line.startswith("#")]
