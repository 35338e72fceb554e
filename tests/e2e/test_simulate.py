"""Simulated clouds and the daemon side by side, as a new user starts them: `simulate`, then `serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from exporter.simulator.server import CONTROL
from tests.e2e.daemon import Daemon, make_due
from tests.neighbours import until

pytestmark = pytest.mark.e2e

CLOUDS = ("aws", "azure", "gcp")
MONTH_TO_DATE = "cloudspend_month_to_date_cost"
# Five past the hour: nothing new is charged while the test runs. A leap day, and the last day of its month.
NOW = "2024-02-29T15:05:00Z"


@dataclass(frozen=True)
class Simulation:
    """`cloudspend simulate` as it runs."""

    config: Path
    expected: Mapping[str, Any]

    def totals(self, first: date, *labels: str) -> dict[tuple[str, ...], Decimal]:
        """What has been billed since a day, by labels of the expectation."""
        sums: dict[tuple[str, ...], Decimal] = {}
        for line in self.expected["totals"]:
            if date.fromisoformat(line["day"]) >= first:
                key = tuple(line[label] for label in labels)
                sums[key] = sums.get(key, Decimal(0)) + Decimal(line["billed"])
        return sums

    def tell(self, cloud: str, word: str, document: object) -> None:
        """Use the control plane of a cloud."""
        url = self.expected["clouds"][cloud] + CONTROL + word
        import ssl

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own, on loopback
        request = Request(url, json.dumps(document).encode(), method="POST")
        urlopen(request, timeout=10, context=context if url.startswith("https") else None).close()


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    config = tmp_path / "sim.yml"
    with subprocess.Popen(
        [sys.executable, "-m", "exporter", "simulate", "--write-config", str(config)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CLOUDSPEND_NOW": NOW},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        yield Simulation(config, json.loads((tmp_path / "sim.yml.expected.json").read_text()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_three_clouds_come_out_to_the_last_digit(simulation: Simulation) -> None:
    with Daemon(simulation.config, ready="/-/ready", CLOUDSPEND_NOW=NOW) as daemon:
        wait_for_all(daemon)
        shown: dict[tuple[str, ...], Decimal] = {}
        for line in daemon.metrics().splitlines():
            if line.startswith(MONTH_TO_DATE + "{"):
                labels = dict(pair.split("=", 1) for pair in line[line.index("{") + 1 : line.index("}")].split('",'))
                key = tuple(labels[name].strip('"') for name in ("provider", "service", "region", "currency"))
                shown[key] = shown.get(key, Decimal(0)) + Decimal(line.rpartition(" ")[2])
        wanted = simulation.totals(date(2024, 2, 1), "provider", "service", "region", "currency")
        assert {key: amount for key, amount in shown.items() if amount} == {k: v for k, v in wanted.items() if v}
        assert {currency for _, _, _, currency in shown} == {"USD", "EUR", "CAD"}
        assert daemon.values("cloudspend_unattributed_cost")
        assert set(daemon.values("cloudspend_unattributed_cost").values()) == {0.0}
        assert daemon.values("cloudspend_account_month_to_date_cost", source="aws")


def test_a_denied_account_takes_nobody_else_down(simulation: Simulation) -> None:
    with Daemon(simulation.config, ready="/-/ready", CLOUDSPEND_NOW=NOW) as daemon:
        wait_for_all(daemon)
        before = daemon.values(MONTH_TO_DATE)
        simulation.tell("azure", "faults", [{"kind": "denied", "operation": "query", "times": None}])
        make_due(simulation.config.parent / "cloudspend-simulated", "azure")
        daemon.wait_for("cloudspend_up", 0, source="azure")
        assert daemon.value("cloudspend_source_failed", source="azure", reason="access_denied") == 1
        assert [daemon.value("cloudspend_up", source=cloud) for cloud in ("aws", "gcp")] == [1, 1]
        assert daemon.values(MONTH_TO_DATE) == before
        page = urlopen(f"{daemon.url}/", timeout=10).read().decode()
        assert "Cost Management Reader" in page


def test_history_comes_by_itself_behind_the_present(simulation: Simulation) -> None:
    with Daemon(simulation.config, ready="/-/ready", CLOUDSPEND_NOW=NOW) as daemon:
        wanted = simulation.totals(date(2000, 1, 1), "provider", "service", "region", "day", "currency")
        until(
            lambda: stored(simulation.config) == {k: v for k, v in wanted.items() if v and k[0] != "azure"}, "history"
        )
        wait_for_all(daemon)


def wait_for_all(daemon: Daemon) -> None:
    """Until every cloud is polled, and what came of it is shown."""
    for cloud in CLOUDS:
        until(lambda: daemon.values(MONTH_TO_DATE, source=cloud), f"{cloud} is shown")  # noqa: B023  called at once
        assert daemon.value("cloudspend_up", source=cloud) == 1


def stored(config: Path) -> dict[tuple[str, ...], Decimal]:
    """What the store holds of the clouds that answer fast, by day; Azure's quotas make it wait."""
    names = ("provider", "service", "region", "day")
    as_of = datetime.fromisoformat(NOW).date()
    words = ("costs", "--config", str(config), "--by", ",".join(names), "--start", "2023-01-01", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *words, "--end", f"{as_of.replace(month=3, day=1)}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CLOUDSPEND_NOW": NOW},
    )
    lines = json.loads(done.stdout)
    found = {tuple(line[name] for name in (*names, "currency")): Decimal(line["cost"]) for line in lines}
    return {key: amount for key, amount in found.items() if amount and key[0] != "azure"}
