"""Icinga 2 and Nagios run the plugin from the files that are shipped, over a real exporter and a real Alertmanager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from exporter.config.notify import IcingaSettings
from exporter.errors import Refused
from exporter.notify import Notifier, connect
from exporter.notify.message import Message
from tests.e2e.daemon import Daemon
from tests.e2e.icinga import Icinga, plugin, shipped_services
from tests.e2e.nagios import Nagios
from tests.e2e.stack import alertmanager_config
from tests.neighbours import Server, alertmanager, free_port

pytestmark = pytest.mark.e2e

NOW = "2024-03-15T12:00:00Z"
OK, WARNING, CRITICAL, UNKNOWN = range(4)
MESSENGER = "open-letter"
"""Password of an API user with the one permission that the channel is documented to need."""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The demo on 15 March 2024, with two budgets."""
    folder = tmp_path_factory.mktemp("exporter")
    config = folder / "cloudspend.yml"
    budgets = [
        {"name": "aws-small", "amount": 12000, "provider": "aws"},
        {"name": "aws-large", "amount": 1000000, "provider": "aws"},
    ]
    sources = [{"name": "demo", "provider": "demo"}]
    config.write_text(yaml.safe_dump({"store": {"path": "data"}, "sources": sources, "budgets": budgets}))
    # Polled and judged beforehand: the daemon's own worker gives way to everything else on the machine.
    collect = [sys.executable, "-m", "exporter", "collect", "--config", config]
    subprocess.run(collect, env={**os.environ, "CLOUDSPEND_NOW": NOW}, capture_output=True, timeout=280, check=True)
    with Daemon(config, ready="/-/ready", CLOUDSPEND_NOW=NOW) as daemon:
        yield daemon


def services(url: str) -> str:
    """One service for each state, from the shipped template."""
    nobody = f"http://127.0.0.1:{free_port()}"
    return f"""
object ApiUser "messenger" {{ password = "{MESSENGER}"; permissions = [ "actions/process-check-result" ] }}
object Host "cloud" {{ check_command = "dummy"; vars.cloudspend_url = "{url}" }}
object Service "costs-alert" {{ host_name = "cloud"; check_command = "passive"; max_check_attempts = 1 }}
template Service "aws" {{
  import "cloudspend-service"
  host_name = "cloud"
  vars.cloudspend_check = "threshold"
  vars.cloudspend_provider = "aws"
}}
object Service "ok" {{ import "aws"; vars.cloudspend_warning = 100000; vars.cloudspend_critical = "~:200000" }}
object Service "warning" {{ import "aws"; vars.cloudspend_warning = 1; vars.cloudspend_critical = 200000 }}
object Service "critical" {{ import "aws"; vars.cloudspend_warning = 1; vars.cloudspend_critical = "@1:99999" }}
object Service "deaf" {{ import "aws"; vars.cloudspend_warning = 1; enable_passive_checks = false }}
object Service "unknown" {{ import "aws"; vars.cloudspend_warning = 1; vars.cloudspend_url = "{nobody}" }}
object Service "month" {{
  import "aws"
  vars.cloudspend_window = "month-to-date"
  vars.cloudspend_service = "EC2 - Other"
  vars.cloudspend_warning = 1
  vars.cloudspend_verbose = true
}}
object Service "large-budget" {{
  import "cloudspend-service"
  host_name = "cloud"
  vars.cloudspend_check = "budget"
  vars.cloudspend_budget = [ "aws-large" ]
}}
"""


@pytest.fixture(scope="module")
def icinga(exporter: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Icinga]:
    objects = services(exporter.url) + shipped_services(exporter.url)
    with Icinga(tmp_path_factory.mktemp("icinga"), objects) as icinga:
        yield icinga


@pytest.mark.parametrize(
    ("service", "state", "said"),
    [
        ("ok", OK, "CLOUDSPEND OK - aws: "),
        ("warning", WARNING, "outside 1"),
        ("critical", CRITICAL, "inside 1:99999"),
        ("unknown", UNKNOWN, "CLOUDSPEND UNKNOWN - cannot reach http://127.0.0.1"),
    ],
)
def test_icinga_shows_each_state_with_its_line_and_its_numbers(
    icinga: Icinga, exporter: Daemon, service: str, state: int, said: str
) -> None:
    result = icinga.checked(f"cloud!{service}")
    assert (result["exit_status"], icinga.service(f"cloud!{service}")["state"]) == (state, state)
    assert said in result["output"]
    if state == UNKNOWN:
        assert result["performance_data"] == []
        return
    [number] = result["performance_data"]
    label, _, rest = number.partition("=")
    assert label == "'aws daily USD'"
    daily = sum(exporter.values("cloudspend_daily_cost", provider="aws", currency="USD").values())
    assert float(rest.split(";")[0]) == pytest.approx(daily, rel=1e-12)


def test_icinga_passes_every_word_of_a_service_on(icinga: Icinga) -> None:
    result = icinga.checked("cloud!month")
    assert result["exit_status"] == WARNING
    assert result["output"].startswith("CLOUDSPEND WARNING - aws EC2 - Other: ")
    assert "in 2024-03 so far" in result["output"]
    assert "demo: newest charge until 2024-03-1" in result["output"], "the lines of --verbose"
    assert result["performance_data"][0].startswith("'aws EC2 - Other month-to-date USD'=")
    assert icinga.checked("cloud!large-budget")["exit_status"] == OK


@pytest.mark.parametrize(
    ("service", "state", "label"),
    [
        ("budgets", CRITICAL, "'aws-small spent USD'="),
        ("aws-daily", OK, "'aws daily USD'="),
        ("anomalies", CRITICAL, "anomalies="),
        ("freshness", OK, "'demo age'="),
    ],
)
def test_the_shipped_services_work_as_they_stand(icinga: Icinga, service: str, state: int, label: str) -> None:
    result = icinga.checked(f"cloud-costs!{service}")
    assert result["exit_status"] == state, result["output"]
    assert [number for number in result["performance_data"] if number.startswith(label)]


def channel(icinga: Icinga, **changes: Any) -> Notifier:
    """The channel that tells the service `cloud!ok`."""
    settings = {
        "name": "ops",
        "type": "icinga",
        "url": icinga.url,
        "username": "messenger",
        "password": MESSENGER,
        "host": "cloud",
        "service": "ok",
        "ca_file": icinga.authority,
    }
    return connect(IcingaSettings.model_validate(settings | changes))


SAID = Message(
    key="1",
    fingerprint="ab12",
    status="open",
    kind="anomaly",
    severity="high",
    title="Amazon EC2 | costs more",
    sentence="It's 40.20 USD a day instead of 10.10",
    when=datetime(2024, 3, 15, tzinfo=UTC),
)


def test_what_the_icinga_channel_sends_arrives_as_a_passive_result_and_goes_again(icinga: Icinga) -> None:
    notifier = channel(icinga)
    notifier.send(SAID)
    found = icinga.service("cloud!ok")
    assert (found["state"], found["last_check_result"]["active"]) == (CRITICAL, False)
    assert found["last_check_result"]["check_source"] == "cloudspend"
    assert found["last_check_result"]["output"] == (
        "[HIGH] Amazon EC2 / costs more: It's 40.20 USD a day instead of 10.10"
    )
    notifier.send(replace(SAID, key="2", status="resolved", standing="low"))
    assert icinga.service("cloud!ok")["state"] == WARNING, "something else is still open"
    notifier.send(replace(SAID, key="3", status="resolved"))
    assert icinga.service("cloud!ok")["state"] == OK


def test_the_service_of_the_how_to_is_hard_critical_with_the_first_message(icinga: Icinga) -> None:
    channel(icinga, service="costs-{kind}").send(replace(SAID, kind="alert"))
    found = icinga.service("cloud!costs-alert")
    assert (found["state"], found["state_type"]) == (CRITICAL, 1)


def test_icinga_refuses_a_wrong_password_and_the_fix_is_told(icinga: Icinga) -> None:
    with pytest.raises(Refused, match="check username and password"):
        channel(icinga, password="wrong").send(SAID)


def test_a_service_that_icinga_does_not_know_is_told_and_not_tried_again(icinga: Icinga) -> None:
    with pytest.raises(Refused, match="there is no service cloud!nowhere"):
        channel(icinga, service="nowhere").send(SAID)


def test_a_service_that_takes_no_passive_results_is_told_and_not_tried_again(icinga: Icinga) -> None:
    with pytest.raises(Refused, match=r"disabled for .*cloud!deaf.* hint: set enable_passive_checks = true"):
        channel(icinga, service="deaf").send(SAID)


# --- the plugin itself, as a process -------------------------------------------------------------------------------


def checked(*words: str) -> tuple[int, str]:
    done = subprocess.run([plugin(), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_published_files_say_what_the_exporter_says(exporter: Daemon) -> None:
    snapshots = exporter.log.parent / "data" / "snapshots"
    for words in (["budget"], ["anomaly"], ["threshold", "--provider", "aws", "-w", "1000"]):
        asked = checked(*words, "--url", exporter.url)
        done = subprocess.run(
            [plugin(), *words, "--snapshot", snapshots],
            env={"CLOUDSPEND_NOW": NOW},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == asked


def test_without_the_exporters_clock_its_old_files_are_stale(exporter: Daemon) -> None:
    code, said = checked("budget", "--snapshot", str(exporter.log.parent / "data"))
    assert code == UNKNOWN
    assert "too old" in said


def test_a_budget_and_its_numbers_are_those_of_the_metrics(exporter: Daemon) -> None:
    code, said = checked("budget", "--name", "aws-small", "--url", exporter.url)
    spent = exporter.value("cloudspend_budget_spent", budget="aws-small")
    assert spent is not None
    assert code == CRITICAL
    shown = said.partition("'aws-small spent USD'=")[2].partition(";")[0]
    assert float(Decimal(shown)) == spent


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Server]:
    with alertmanager(tmp_path, alertmanager_config(tmp_path, f"http://127.0.0.1:{free_port()}/")) as manager:
        yield manager


def fire(manager: Server, *alerts: tuple[str, str]) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = [
        {
            "labels": {"alertname": name, "severity": severity},
            "annotations": {"summary": f"{name} says so"},
            "endsAt": until,
        }
        for name, severity in alerts
    ]
    request = Request(f"{manager.url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as response:
        assert response.status == 200


def silence(manager: Server, name: str) -> None:
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    request = Request(f"{manager.url}/api/v2/silences", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as response:
        assert response.status == 200


def test_the_alerts_of_a_real_alertmanager_are_one_state(manager: Server) -> None:
    ask = ("alerts", "--url", manager.url)
    assert checked(*ask)[0] == OK
    assert checked(*ask, "--watchdog", "Watchdog")[0] == UNKNOWN
    fire(manager, ("Watchdog", "none"), ("SomebodyElse", "critical"))
    assert checked(*ask, "--watchdog", "Watchdog")[0] == OK
    fire(manager, ("CloudspendWarned", "warning"))
    code, said = checked(*ask)
    assert code == WARNING
    assert said == (
        "CLOUDSPEND WARNING - 1 alert firing: CloudspendWarned (warning): CloudspendWarned says so"
        " | 'alerts'=1;;;0; 'alerts critical'=0;;;0; 'alerts warning'=1;;;0;\n"
    )
    fire(manager, ("CloudspendAlarmed", "critical"))
    code, said = checked(*ask)
    assert (code, said.splitlines()[1]) == (CRITICAL, "CloudspendWarned (warning): CloudspendWarned says so")
    assert checked(*ask, "--matcher", 'alertname="SomebodyElse"')[0] == CRITICAL
    silence(manager, "CloudspendAlarmed")
    assert checked(*ask)[0] == WARNING


# --- Nagios --------------------------------------------------------------------------------------------------------


def test_nagios_verifies_the_shipped_files_and_runs_the_command(exporter: Daemon, tmp_path: Path) -> None:
    with Nagios(tmp_path, exporter.url) as nagios:
        found = {name: nagios.checked(name) for name in ("budgets", "aws-daily", "anomalies", "freshness")}
    assert {name: int(service["current_state"]) for name, service in found.items()} == {
        "budgets": CRITICAL,
        "aws-daily": OK,
        "anomalies": CRITICAL,
        "freshness": OK,
    }
    assert found["budgets"]["plugin_output"] == "CLOUDSPEND CRITICAL - 1 of 2 budgets need a look: aws-small CRITICAL"
    assert found["budgets"]["long_plugin_output"].startswith("aws-small: ")
    assert found["aws-daily"]["performance_data"].startswith("'aws daily USD'=")
    assert found["aws-daily"]["performance_data"].endswith(";~:1000;~:2000;0;")
