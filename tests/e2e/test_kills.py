"""kill -9 at any moment: the store always reads, no total is ever wrong, a restart polls nothing that was not due."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from exporter import snapshot
from exporter.periods import ALWAYS
from exporter.polling.sources import Paths
from exporter.store.lake import Lake
from exporter.store.state import State
from tests.e2e.daemon import PLUGIN, Daemon, Trouble, make_due, stop_hard
from tests.neighbours import until

pytestmark = pytest.mark.e2e

DAYS = 70
"""Days that the `trouble` provider bills, at the amount of its script each; a poll replaces up to so many."""


def totals(root: Path) -> set[Decimal]:
    """The amounts per day that the store holds now; one word of the script, or two while old days are kept."""
    lake = Lake(Paths(root).lake)
    assert lake.check() == [], "every stored file is the one that was written"
    return {line.billed for line in lake.read(ALWAYS).by("day").rows()}


def consistent(root: Path, allowed: set[Decimal]) -> None:
    """What must hold after any kill."""
    assert totals(root) <= allowed
    with State(Paths(root).state) as state:
        assert state.check() == []
    published = snapshot.load(Paths(root).snapshots)
    if published is not None:
        assert len(published.plain) > 0


def rounds(tmp_path: Path, number: int, seed: int) -> None:
    """Kill daemon and worker so many times, each time at another moment of a poll that changes every amount."""
    chance = random.Random(seed)  # noqa: S311
    source = Trouble(tmp_path, "a", "ok 1")
    config = tmp_path / "cloudspend.yml"
    config.write_text(yaml.safe_dump({"store": {"path": "data"}, "sources": [source.config]}))
    root = tmp_path / "data"
    with Daemon(config, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
    allowed = {Decimal(1)}
    for amount in range(2, number + 2):
        allowed.add(Decimal(amount))
        with Daemon(config) as daemon:
            source.set(f"ok {amount}")
            make_due(root, "a")
            until(lambda daemon=daemon: daemon.worker_pids() != [], "a worker polls")
            threading.Event().wait(chance.uniform(0, 1.2))  # the moment of death is the point of the test
            for pid in daemon.worker_pids():
                stop_hard(pid)
            stop_hard(daemon.process.pid)
            daemon.process.wait()
        consistent(root, allowed)
    with Daemon(config, ready="/-/ready") as daemon:
        make_due(root, "a")
        daemon.wait_for("cloudspend_daily_cost", float(number + 1), source="a")
        polls = daemon.value("cloudspend_source_polls_total", source="a")
    assert totals(root) <= {Decimal(1), Decimal(number + 1)}, "days that no longer move, and those read again"
    with Daemon(config, ready="/-/ready") as daemon:
        assert daemon.value("cloudspend_source_polls_total", source="a") == polls, "nothing was due"


def test_five_kills_leave_a_store_that_reads_and_totals_that_are_right(tmp_path: Path) -> None:
    rounds(tmp_path, 5, seed=1)


def test_what_a_killed_poll_had_downloaded_is_gone_after_the_next(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "a", "litter")
    config = tmp_path / "cloudspend.yml"
    config.write_text(yaml.safe_dump({"store": {"path": "data"}, "sources": [source.config]}))
    collect = [sys.executable, "-m", "exporter", "collect", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN)}
    assert subprocess.run(collect, check=False, env=environment).returncode == -signal.SIGKILL
    assert [path.read_text() for path in (tmp_path / "data" / "tmp").rglob("download.csv")] == ["half a bill"]
    source.set("ok 1")
    subprocess.run(collect, check=True, env=environment)
    assert list((tmp_path / "data" / "tmp").iterdir()) == []


@pytest.mark.matrix
def test_fifty_kills_leave_a_store_that_reads_and_totals_that_are_right(tmp_path: Path) -> None:
    rounds(tmp_path, 50, seed=2)
