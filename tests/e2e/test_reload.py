"""The daemon takes up a changed configuration while it runs; a bad one changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.e2e.daemon import PLUGIN, Daemon, Trouble, make_due
from tests.neighbours import Server, free_port, until

pytestmark = pytest.mark.e2e

COST = "cloudspend_month_to_date_cost"
SUCCESSFUL = "cloudspend_exporter_config_last_reload_successful"
READ_AT = "cloudspend_exporter_config_last_reload_success_timestamp_seconds"
RUNS = "cloudspend_exporter_worker_runs_total"
POLLS = "cloudspend_source_polls_total"


def configure(folder: Path, *sources: dict[str, Any], **parts: Any) -> Path:
    """Write the configuration, as an editor does: beside, and renamed into place."""
    path = folder / "cloudspend.yml"
    draft = folder / "draft.yml"
    draft.write_text(yaml.safe_dump({"store": {"path": "data"}, "sources": list(sources), **parts}))
    return draft.rename(path)


def post(url: str, method: str = "POST") -> tuple[int, str]:
    try:
        with urlopen(Request(url, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def by_signal(daemon: Daemon) -> None:
    read_at = daemon.value(READ_AT)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.value(READ_AT) != read_at, "the configuration is read again")


def by_request(daemon: Daemon) -> None:
    assert post(f"{daemon.url}/-/reload", "PUT") == (200, "reloaded\n")


@pytest.mark.parametrize("reload", [by_signal, by_request])
def test_a_new_source_is_polled_and_one_that_left_is_gone(tmp_path: Path, reload: Callable[[Daemon], None]) -> None:
    stays, leaves, comes = (Trouble(tmp_path, name, account=f"{number}" * 12) for number, name in enumerate("abc"))
    with Daemon(configure(tmp_path, stays.config, leaves.config), ready="/-/ready") as daemon:
        until(lambda: all(daemon.values(COST, source=name) for name in "ab"), "both are shown")
        configure(tmp_path, stays.config, comes.config)
        reload(daemon)
        until(lambda: bool(daemon.values(COST, source="c")), "the new source is shown")
        until(lambda: not daemon.values(COST, source="b"), "the source that left is not")
        assert daemon.values("cloudspend_up") == {(("source", "a"),): 1, (("source", "c"),): 1}
        assert daemon.values(COST, source="a")
        assert daemon.value(POLLS, source="a") == 1
        assert daemon.value(SUCCESSFUL) == 1
        assert "name: c" in urlopen(f"{daemon.url}/config", timeout=10).read().decode()


def test_another_basis_is_shown_without_asking_anybody(tmp_path: Path) -> None:
    demo = {"name": "demo", "provider": "demo"}
    with Daemon(configure(tmp_path, demo), ready="/-/ready") as daemon:
        until(lambda: daemon.value("cloudspend_up", source="demo") == 1, "the demo is polled")
        billed = daemon.values(COST)
        configure(tmp_path, demo, cost={"basis": "effective"})
        by_request(daemon)
        until(
            lambda: daemon.values("cloudspend_source_info", cost_basis="effective") != {},
            "the effective cost is shown",
        )
        assert daemon.values(COST) != billed
        assert daemon.value(POLLS, source="demo") == 1


def test_a_change_made_while_it_was_down_is_shown_without_asking_anybody(tmp_path: Path) -> None:
    stays, leaves = Trouble(tmp_path, "a", account="1" * 12), Trouble(tmp_path, "b", account="2" * 12)
    with Daemon(configure(tmp_path, stays.config, leaves.config), ready="/-/ready") as daemon:
        until(lambda: all(daemon.values(COST, source=name) for name in "ab"), "both are shown")
        until(lambda: not daemon.worker_pids(), "the worker has ended")
        runs = daemon.value(RUNS)
    with Daemon(configure(tmp_path, stays.config), ready="/-/ready") as daemon:
        until(lambda: not daemon.values(COST, source="b"), "the source that left is not shown")
        until(lambda: not daemon.worker_pids(), "the worker has ended")
        assert daemon.values(COST, source="a")
        assert daemon.value(POLLS, source="a") == 1
        assert daemon.value(RUNS) == (runs or 0) + 1


def test_a_bad_file_changes_nothing_and_says_every_problem(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "a")
    with Daemon(configure(tmp_path, source.config), ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
        read_at, shown, running = (
            daemon.value(READ_AT),
            daemon.values(COST),
            urlopen(f"{daemon.url}/config", timeout=10).read(),
        )
        configure(tmp_path, {**source.config, "pol_every": "2h"}, cost={"basis": "guess"})
        status, said = post(f"{daemon.url}/-/reload")
        assert status == 400
        assert "cost.basis: 'guess' is not one of billed, effective, list" in said
        assert "sources[0].pol_every: unknown key. hint: did you mean poll_every?" in said
        assert said.endswith("nothing has changed\n")
        for problem in said.splitlines()[:-1]:
            assert problem.partition(": ")[2].replace('"', '\\"') in daemon.log_tail()
        assert daemon.value(SUCCESSFUL) == 0
        assert daemon.value(READ_AT) == read_at
        assert daemon.values(COST) == shown
        assert urlopen(f"{daemon.url}/config", timeout=10).read() == running
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.log.read_text().count("pol_every: unknown key") == 2, "the signal is answered in the log")
        source.set("ok 3")
        make_due(tmp_path / "data", "a")
        daemon.wait_for("cloudspend_daily_cost", 3, source="a")
        configure(tmp_path, source.config)
        by_request(daemon)
        assert daemon.value(SUCCESSFUL) == 1
        assert (daemon.value(READ_AT) or 0) > (read_at or 0)


def test_the_store_cannot_move_without_a_restart(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "a")
    with Daemon(configure(tmp_path, source.config), ready="/-/ready") as daemon:
        configure(tmp_path, source.config, store={"path": "elsewhere"})
        status, said = post(f"{daemon.url}/-/reload")
        assert status == 400
        assert f"store.path: cannot change from {tmp_path}/data to {tmp_path}/elsewhere while cloudspend runs" in said
        assert "hint: restart cloudspend" in said
        assert not (tmp_path / "elsewhere").exists()


def test_a_running_worker_finishes_its_work_undisturbed(tmp_path: Path) -> None:
    # The worker waits in the middle of its poll until somebody writes into the pipe.
    source = Trouble(tmp_path, "slow")
    other = Trouble(tmp_path, "other", account="2" * 12)
    source.path.unlink()
    os.mkfifo(source.path)
    with Daemon(configure(tmp_path, source.config)) as daemon:
        daemon.wait_for("cloudspend_source_api_requests_total", 1, source="slow")
        [worker] = daemon.worker_pids()
        configure(tmp_path, source.config, other.config, worker={"timeout": "1s"})
        by_request(daemon)
        assert daemon.worker_pids() == [worker]
        assert daemon.value("cloudspend_up", source="other") == 0
        source.path.write_text("ok 7")
        daemon.wait_for("cloudspend_daily_cost", 7, source="slow")
        assert daemon.value(POLLS, source="slow") == 1
        assert set(daemon.values("cloudspend_exporter_worker_failures_total").values()) == {0}


def test_the_demo_has_no_file_to_read_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "exporter", "serve", "--demo", "--web.listen-address", f"127.0.0.1:{port}"]
    log = tmp_path / "daemon.log"
    os.chdir(tmp_path)
    with Server(argv, url=url, ready=f"{url}/-/healthy", log=log, env={**os.environ}):
        status, said = post(f"{url}/-/reload")
    assert status == 400
    assert "there is no configuration file to read again. hint: --demo has its configuration built in" in said


def test_a_damaged_snapshot_is_made_again_without_asking_anybody(tmp_path: Path) -> None:
    config = configure(tmp_path, Trouble(tmp_path, "a").config)
    with Daemon(config, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
        until(lambda: not daemon.worker_pids(), "the worker has ended")
        shown = daemon.values(COST)
    for file in (tmp_path / "data" / "snapshots").glob("*/metrics.txt"):
        file.write_text("")
    with Daemon(config, ready="/-/ready") as daemon:
        assert daemon.values(COST) == shown
        assert daemon.value(POLLS, source="a") == 1


def test_a_worker_that_cannot_be_started_is_counted_and_tried_again(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    source = Trouble(tmp_path, "a")
    config = configure(tmp_path, source.config)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [python, "-m", "exporter", "serve", "--config", config, "--web.listen-address", f"127.0.0.1:{port}"]
    paths = os.pathsep.join([str(PLUGIN), *filter(None, sys.path)])
    failures = 'cloudspend_exporter_worker_failures_total{reason="not_started"} '

    def metrics() -> str:
        with urlopen(f"{url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    environment = {**os.environ, "PYTHONPATH": paths}
    with Server(argv, url=url, ready=f"{url}/-/ready", log=tmp_path / "daemon.log", env=environment) as server:
        python.unlink()
        make_due(tmp_path / "data", "a")
        until(lambda: f"{failures}2" in metrics(), "it was tried twice")
        assert 'cloudspend_month_to_date_cost{source="a"' in metrics()
        python.symlink_to(sys.executable)
        until(lambda: 'cloudspend_source_polls_total{source="a"} 2' in metrics(), "the source is polled again")
        assert server.log.read_text().count("a worker cannot be started") == 1
        assert "workers can be started again" in server.log.read_text()


def test_a_budget_written_by_a_command_is_taken_up_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "budgets.d").mkdir()
    config = configure(tmp_path, {"name": "demo", "provider": "demo_focus"}, budgets="./budgets.d")

    def budgets(*words: str) -> None:
        command = [sys.executable, "-m", "exporter", "budgets", words[0], "--config", str(config), *words[1:]]
        subprocess.run(command, check=True, capture_output=True)

    with Daemon(config, ready="/-/ready") as daemon:
        until(lambda: daemon.value("cloudspend_up", source="demo") == 1, "the demo is polled")
        budgets("create", "--name", "aws", "--amount", "9000", "--provider", "aws")
        until(lambda: daemon.value("cloudspend_budget_limit", budget="aws") == 9000, "the budget is shown")
        budgets("update", "aws", "--amount", "9500")
        until(lambda: daemon.value("cloudspend_budget_limit", budget="aws") == 9500, "its new amount is shown")
        polls = daemon.value(POLLS, source="demo")
        bad = tmp_path / "budgets.d" / "bad.yml"
        bad.write_text("name: bad\namount: ten\n")
        until(lambda: daemon.value(SUCCESSFUL) == 0, "the bad file is refused")
        assert daemon.value("cloudspend_budget_limit", budget="aws") == 9500
        bad.unlink()
        until(lambda: daemon.value(SUCCESSFUL) == 1, "without it all is well again")
        budgets("delete", "aws")
        until(lambda: not daemon.values("cloudspend_budget_limit"), "the deleted budget is gone")
        assert daemon.value(POLLS, source="demo") == polls == 1
    assert daemon.log.read_text().count("'ten' is not an amount") == 1
