"""The daemon and its workers, as processes: it goes on serving whatever a worker dies of, and says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from tests.e2e.daemon import PLUGIN, Daemon, Trouble, make_due, series, stop_hard
from tests.neighbours import require, until

pytestmark = pytest.mark.e2e

COST = "cloudspend_month_to_date_cost"


def configure(folder: Path, *sources: Trouble, **worker: Any) -> Path:
    path = folder / "cloudspend.yml"
    document = {"store": {"path": "data"}, "worker": worker, "sources": [source.config for source in sources]}
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_first_poll_fills_metrics_and_every_series_stands_once(tmp_path: Path) -> None:
    good = Trouble(tmp_path, "good", "ok 1.5")
    with Daemon(configure(tmp_path, good), ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="good")
        assert daemon.value("cloudspend_daily_cost", source="good", provider="acme", service="Compute") == 1.5
        assert daemon.value("cloudspend_unattributed_cost", source="good") == 0
        assert daemon.value("cloudspend_source_api_charges_total", source="good", currency="USD") == 0.01
        text = daemon.metrics()
        assert len(series(text)) == len(set(series(text)))
        assert series(daemon.metrics(compressed=False)) == series(text)
        lint = subprocess.run(
            [require("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


def test_before_the_first_poll_there_are_no_costs_and_it_says_what_it_waits_for(tmp_path: Path) -> None:
    slow = Trouble(tmp_path, "slow", "hang")
    with Daemon(configure(tmp_path, slow)) as daemon:
        until(lambda: daemon.value("cloudspend_source_polls_total", source="slow") == 1, "the poll has begun")
        assert daemon.value("cloudspend_up", source="slow") == 0
        assert daemon.values(COST) == {}
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{daemon.url}/-/ready", timeout=10)
        with caught.value as answer:
            assert answer.code == 503
            assert "slow: waiting for its first poll" in answer.read().decode()


@pytest.mark.parametrize(
    ("word", "reason"),
    [("kill", "killed"), ("crash", "crashed"), ("memory", "out_of_memory"), ("hang", "hung")],
)
def test_a_worker_that_dies_leaves_metrics_up_and_saying_so(tmp_path: Path, word: str, reason: str) -> None:
    source = Trouble(tmp_path, "shaky")
    config = configure(tmp_path, source, timeout="12s" if word == "hang" else "60s", memory_limit="1GB")
    with Daemon(config, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="shaky")
        before = daemon.values(COST)
        # On a busy machine the first worker may have taken too long to start.
        failures = daemon.value("cloudspend_exporter_worker_failures_total", reason=reason) or 0
        source.set(word)
        make_due(tmp_path / "data", "shaky")
        daemon.wait_for("cloudspend_source_failed", 1, source="shaky", reason="worker_died")
        assert daemon.value("cloudspend_up", source="shaky") == 0
        assert daemon.value("cloudspend_exporter_worker_failures_total", reason=reason) == failures + 1
        assert daemon.values(COST) == before
        assert daemon.worker_pids() == [] or reason != "hung"
        source.set("ok 2")
        make_due(tmp_path / "data", "shaky")
        daemon.wait_for("cloudspend_up", 1, source="shaky")
        daemon.wait_for("cloudspend_daily_cost", 2, source="shaky")


def test_a_worker_that_somebody_kills_is_mourned(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "shaky", "hang")
    with Daemon(configure(tmp_path, source)) as daemon:
        daemon.wait_for("cloudspend_source_polls_total", 1, source="shaky")
        [worker] = daemon.worker_pids()
        stop_hard(worker)
        daemon.wait_for("cloudspend_source_failed", 1, source="shaky", reason="worker_died")
        daemon.wait_for("cloudspend_exporter_worker_failures_total", 1, reason="killed")


def test_one_failing_source_never_hurts_another(tmp_path: Path) -> None:
    good, bad = Trouble(tmp_path, "good", "ok 1"), Trouble(tmp_path, "bad", "deny", account="444455556666")
    with Daemon(configure(tmp_path, good, bad), ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="good")
        daemon.wait_for("cloudspend_source_failed", 1, source="bad", reason="access_denied")
        assert daemon.values(COST, source="good")
        assert not daemon.values(COST, source="bad")
        with urlopen(f"{daemon.url}/", timeout=10) as page:
            text = page.read().decode()
        assert "access denied calling bill:Read" in text
        assert "grant bill:Read" in text


def test_a_failed_poll_keeps_the_last_good_bill_and_a_complete_empty_one_drops_it(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "a", "ok 1")
    with Daemon(configure(tmp_path, source), ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
        for word, reason in (("not-ready", "not_ready"), ("bug", "unavailable")):
            source.set(word)
            make_due(tmp_path / "data", "a")
            daemon.wait_for("cloudspend_source_failed", 1, source="a", reason=reason)
            assert daemon.values(COST, source="a")
        source.set("empty")
        make_due(tmp_path / "data", "a")
        daemon.wait_for("cloudspend_up", 1, source="a")
        until(lambda: not daemon.values(COST, source="a"), "the vanished service is gone")


def test_a_restart_serves_at_once_and_polls_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, Trouble(tmp_path, "a"))
    with Daemon(config, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
        before = series(daemon.metrics())
    with Daemon(config) as daemon:
        assert daemon.value("cloudspend_up", source="a") == 1
        assert series(daemon.metrics()) == before
        assert daemon.value("cloudspend_source_polls_total", source="a") == 1
        assert daemon.value("cloudspend_source_api_charges_total", source="a") == 0.01
        assert daemon.worker_pids() == []


def test_two_routes_to_one_billing_account_are_refused(tmp_path: Path) -> None:
    first, second = Trouble(tmp_path, "first"), Trouble(tmp_path, "second")
    with Daemon(configure(tmp_path, first, second), ready="/-/ready") as daemon:
        until(
            lambda: sorted(daemon.values("cloudspend_source_failed", reason="bad_data").values()) == [0, 1],
            "one of the two is refused",
        )
        assert len(daemon.values("cloudspend_daily_cost")) == 1
        with urlopen(f"{daemon.url}/", timeout=10) as page:
            assert "billing account 111122223333 of acme is already billed by source" in page.read().decode()


def test_sigterm_ends_it_within_five_seconds_worker_and_all(tmp_path: Path) -> None:
    daemon = Daemon(configure(tmp_path, Trouble(tmp_path, "slow", "hang")))
    until(lambda: daemon.worker_pids() != [], "the worker runs")
    [worker] = daemon.worker_pids()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(timeout=5) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_second_daemon_on_the_same_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    config = configure(tmp_path, Trouble(tmp_path, "a"))
    with Daemon(config) as daemon:
        second = subprocess.run(
            [sys.executable, "-m", "exporter", "serve", "--config", str(config), "--web.listen-address", "127.0.0.1:0"],
            env={**os.environ, "PYTHONPATH": str(PLUGIN)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert f"another cloudspend serves from this folder (pid {daemon.process.pid}). hint:" in second.stderr


def test_a_port_that_is_taken_is_a_sentence_and_ends_with_2(tmp_path: Path) -> None:
    config = configure(tmp_path, Trouble(tmp_path, "a"))
    with Daemon(config) as daemon:
        address = daemon.url.removeprefix("http://")
        second = subprocess.run(
            [sys.executable, "-m", "exporter", "serve", "--config", str(config), "--web.listen-address", address],
            env={**os.environ, "PYTHONPATH": str(PLUGIN)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 2
    assert f"cannot listen on {address}" in second.stderr


def test_the_daemon_never_imports_what_thinking_needs(tmp_path: Path) -> None:
    code = (
        "import sys, json, exporter.cli, exporter.app\n"
        "heavy = ('duckdb', 'pyarrow', 'pandas', 'numpy', 'boto3', 'google.cloud', 'azure', 'fastapi', 'requests')\n"
        "print(json.dumps(sorted(name for name in heavy if name in sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == []


def test_unknown_paths_and_methods_are_told_what_there_is(tmp_path: Path) -> None:
    with Daemon(configure(tmp_path, Trouble(tmp_path, "a"))) as daemon:
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{daemon.url}/metric", timeout=10)
        with caught.value as answer:
            assert (answer.code, answer.read()) == (404, b"not found; try / or /metrics\n")
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{daemon.url}/metrics", data=b"x", timeout=10)
        with caught.value as answer:
            assert answer.code == 405
