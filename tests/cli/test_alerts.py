"""`cloudspend alerts`: from the store, from a running exporter, from a real Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from exporter.cli.alerts import fired, seen
from tests.cli.test_commands import cloudspend
from tests.e2e.daemon import Daemon
from tests.neighbours import Server, alertmanager, free_port, until

NOW = "2024-03-15T12:00:00Z"
CONFIG = """\
store: {path: ./data}
budgets:
  - {name: tiny, amount: 10, currency: USD, period: monthly}
  - {name: huge, amount: 10000000, currency: USD, period: monthly}
sources:
  - {name: demo, provider: demo}
  - {name: lost, provider: focus, path: ./nowhere.csv}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "cloudspend.yml").write_text(CONFIG)
    assert cloudspend("collect", folder=folder, CLOUDSPEND_NOW=f"{NOW},frozen").returncode == 1
    return folder


def told(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = cloudspend("alerts", "--format", "json", *words, folder=folder, CLOUDSPEND_NOW=f"{NOW},frozen")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_store_says_what_is_over_odd_or_failing_the_worst_first(folder: Path) -> None:
    found = told(folder)
    assert (found[0]["severity"], found[0]["kind"], found[0]["name"]) == ("critical", "budget", "tiny")
    assert found[0]["sentence"].endswith(" of 10.00 USD spent: past 100%, with days that still move.") or found[0][
        "sentence"
    ].endswith(" of 10.00 USD spent: past 100%.")
    assert {each["kind"] for each in found} == {"budget", "anomaly", "source"}
    [source] = [each for each in found if each["kind"] == "source"]
    assert source["labels"] == {"source": "lost", "reason": "not_ready"}
    assert source["sentence"].startswith("not_ready: no file ")
    assert "huge" not in {each["name"] for each in found}
    ranks = ["critical", "high", "warning", "medium", "low", "info"]
    assert [ranks.index(each["severity"]) for each in found] == sorted(ranks.index(each["severity"]) for each in found)


def test_a_running_exporter_says_the_same(folder: Path) -> None:
    with Daemon(folder / "cloudspend.yml", ready="/-/ready", CLOUDSPEND_NOW=NOW) as daemon:
        until(lambda: told(folder, "--url", daemon.url) != [], "it answers")
        asked = told(folder, "--url", daemon.url)
    without = [{**each, "since": "", "sentence": ""} for each in asked]
    assert without == [{**each, "since": "", "sentence": ""} for each in told(folder)]


def test_a_table_and_the_exit_code_are_for_people_and_scripts(folder: Path) -> None:
    done = cloudspend("alerts", "--exit-code", folder=folder, CLOUDSPEND_NOW=f"{NOW},frozen")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].split() == ["severity", "kind", "name", "since", "sentence"]
    late = cloudspend("alerts", "--exit-code", folder=folder, CLOUDSPEND_NOW="2024-05-01T12:00:00Z,frozen")
    assert (late.returncode, late.stdout) == (2, "")
    assert "the last bill is too old since 2024-03-17T01:00:00+00:00" in late.stderr


def test_where_nobody_can_say_that_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text(CONFIG)
    for words in ([], ["--url", f"http://127.0.0.1:{free_port()}"]):
        assert cloudspend("alerts", *words, folder=tmp_path).returncode == 1
        assert cloudspend("alerts", "--exit-code", *words, folder=tmp_path).returncode == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--url http://a --alertmanager http://b", "one of --alertmanager and --url"),
        ("--matcher severity=critical", "--matcher goes with --alertmanager"),
        ("--user x --url http://a", "--user and --password-file go together"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, words: str, sentence: str) -> None:
    done = cloudspend("alerts", *words.split(), folder=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with alertmanager(tmp_path, tmp_path / "alertmanager.yml") as server:
        yield server


@pytest.mark.e2e
def test_a_real_alertmanager_is_asked_for_ours(manager: Server, tmp_path: Path) -> None:
    since = datetime.now(UTC) - timedelta(hours=2)
    alerts = [
        {
            "labels": {"alertname": name, "severity": severity, "budget": "all"},
            "annotations": {"summary": f"{name} is firing"},
            "startsAt": since.isoformat(),
        }
        for name, severity in (
            ("CloudspendBudgetOver", "warning"),
            ("CloudspendTest", "critical"),
            ("NodeDown", "critical"),
        )
    ]
    body = json.dumps(alerts).encode()
    request = Request(f"{manager.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urlopen(request, timeout=10).close()
    ours = told(tmp_path, "--alertmanager", f"{manager.url}/")
    assert [(each["severity"], each["name"]) for each in ours] == [
        ("critical", "CloudspendTest"),
        ("warning", "CloudspendBudgetOver"),
    ]
    assert ours[0]["kind"] == "alert"
    assert ours[0]["sentence"] == "CloudspendTest is firing"
    assert ours[0]["since"].startswith(f"{since:%Y-%m-%dT%H:%M:%S}")
    assert ours[1]["labels"]["budget"] == "all"
    names = {each["name"] for each in told(tmp_path, "--alertmanager", manager.url, "--matcher", "severity=critical")}
    assert names == {"CloudspendTest", "NodeDown"}
    quiet = cloudspend("alerts", "--alertmanager", manager.url, "--matcher", "severity=info", folder=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "nothing is firing\n")


def budget(**more: object) -> dict[str, Any]:
    thresholds = [
        {"ratio": "0.8", "severity": "warning", "reached": False, "reached_settled": False, "projected": True},
        {"ratio": "1.1", "severity": "critical", "reached": False, "reached_settled": False, "projected": False},
    ]
    given = {"name": "all", "currency": "EUR", "spent": "700.123", "limit": "1000", "forecast": "950.4", "status": "x"}
    return {**given, "first": "2024-03-01", "thresholds": thresholds, **more}


def document(**more: object) -> dict[str, Any]:
    return {"served": {"sources": {}}, **more}


def test_a_budget_that_is_expected_to_pass_a_threshold_is_told() -> None:
    [alert] = seen(document(budgets=[budget()]))
    assert (alert.severity, alert.since) == ("warning", "2024-03-01")
    assert alert.sentence == "700.12 of 1000.00 EUR spent, 950.40 expected by the end: past 80%."


def test_a_budget_past_a_threshold_says_whether_days_still_move() -> None:
    thresholds = [
        {"ratio": "1.1", "severity": "critical", "reached": True, "reached_settled": False, "projected": True},
        {"ratio": "0.8", "severity": "warning", "reached": True, "reached_settled": True, "projected": True},
    ]
    [alert] = seen(document(budgets=[budget(thresholds=thresholds)]))
    assert (alert.severity, alert.labels["threshold"]) == ("critical", "110%")
    assert alert.sentence == "700.12 of 1000.00 EUR spent: past 110%, with days that still move."


def test_what_has_ended_or_stands_well_is_not_told() -> None:
    finding = {"ended": "2024-03-10", "severity": "high"}
    fine = budget(thresholds=[])
    assert list(seen(document(findings=[finding], budgets=[fine], failed=[]))) == []


def test_a_judgement_that_failed_is_told() -> None:
    [alert] = seen(document(failed=["forecasts"]))
    assert (alert.kind, alert.name) == ("judgement", "forecasts")


def test_an_alert_without_severity_is_a_warning() -> None:
    [alert] = fired([{"labels": {"alertname": "X"}, "startsAt": "2024-03-15T12:00:00.123Z"}])
    assert (alert.severity, alert.since, alert.sentence) == ("warning", "2024-03-15T12:00:00+00:00", "")
