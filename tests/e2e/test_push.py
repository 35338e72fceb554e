"""What we push is taken by the real Pushgateway and the real textfile collector, and says what /metrics says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.e2e.stack import ROOT
from tests.neighbours import Server, free_port, node_exporter, prometheus, pushgateway, query, until

pytestmark = pytest.mark.e2e

NOW = "2024-03-15T12:00:00Z"
OWN = {"cloudspend_exporter_config_last_reload_success_timestamp_seconds"}
"""When the process that answers read its configuration: another one for each."""

Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Street:
    """The daemon over the demo, and beside it what it is pushed to, and who looks at all three."""

    folder: Path
    daemon: Server
    gateway: Server
    node: Server
    prometheus: Server

    @property
    def textfile(self) -> Path:
        return self.folder / "textfiles" / "cloudspend.prom"

    def served(self) -> dict[Key, float]:
        return ours(get(f"{self.daemon.url}/metrics"))

    def seen(self, selector: str) -> dict[Key, float]:
        """What Prometheus has of a target, less its target labels."""
        samples = query(self.prometheus, f'{{__name__=~"cloudspend_.+",{selector}}}')
        found: dict[Key, float] = {}
        for sample in samples:
            name = sample["metric"]["__name__"]
            labels = {
                key: value for key, value in sample["metric"].items() if key not in ("__name__", "job", "instance")
            }
            if name not in OWN:
                found[name, frozenset(labels.items())] = float(sample["value"][1])
        return found


def get(url: str) -> str:
    with urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
    return text


def published(url: str) -> set[str]:
    """The sources whose money is served."""
    served = ours(get(f"{url}/metrics"))
    return {dict(labels)["source"] for name, labels in served if name == "cloudspend_month_to_date_cost"}


def ours(text: str, without: Mapping[str, str] | None = None) -> dict[Key, float]:
    """Our samples of an exposition; `without` are labels that somebody has put onto each."""
    found: dict[Key, float] = {}
    for family in parse(text):
        for sample in family.samples:
            if sample.name.startswith("cloudspend_") and sample.name not in OWN:
                labels = {key: value for key, value in sample.labels.items() if key not in (without or {})}
                assert {key: sample.labels[key] for key in without or {}} == dict(without or {})
                found[sample.name, frozenset(labels.items())] = sample.value
    return found


def cloudspend(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *words],
        cwd=folder,
        env={**os.environ, "CLOUDSPEND_NOW": NOW},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def pushed(folder: Path, *words: str) -> str:
    done = cloudspend(folder, "push", "--demo", *words)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, release: str) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    port = free_port()
    argv = [sys.executable, "-m", "exporter", "serve", "--demo", "--web.listen-address", f"127.0.0.1:{port}"]
    url, log, textfiles = f"http://127.0.0.1:{port}", folder / "cloudspend.log", folder / "textfiles"
    textfiles.mkdir()
    home = Path.cwd()
    os.chdir(folder)
    try:
        daemon = Server(argv, url=url, ready=f"{url}/-/ready", log=log, env={**os.environ, "CLOUDSPEND_NOW": NOW})
    finally:
        os.chdir(home)
    with daemon, pushgateway(folder) as gateway, node_exporter(folder, textfiles) as node:
        until(lambda: log.read_text().count('msg="source polled"') == 2, "both sources are polled")
        until(lambda: published(url) == {"demo", "focus-sample"}, "both are published")
        config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
        targets = {
            "cloudspend": daemon.url,
            "pushgateway": gateway.url,
            "node": node.url,
        }
        shipped = {job["job_name"]: job for job in config["scrape_configs"]}
        # Labels of the bill win at a node exporter too.
        jobs = [shipped["cloudspend"], shipped["pushgateway"], {"job_name": "node", "honor_labels": True}]
        for job in jobs:
            job["static_configs"] = [{"targets": [targets[job["job_name"]].removeprefix("http://")]}]
        scrape = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(scrape))
        with prometheus(folder, folder / "prometheus.yml") as server:
            yield Street(folder, daemon, gateway, node, server)


def test_prometheus_sees_the_same_by_all_three_ways(street: Street) -> None:
    told = pushed(street.folder, "--pushgateway", street.gateway.url)
    pushed(street.folder, "--textfile", str(street.textfile))
    served = street.served()
    ways = {
        "scraped": 'job="cloudspend",instance!=""',
        "pushed": 'job="cloudspend",instance=""',  # what is pushed without an instance has none
        "from a file": 'job="node"',
    }
    for way, selector in ways.items():
        until(lambda selector=selector: len(street.seen(selector)) >= len(served), f"{way}: all are seen")
        assert street.seen(selector) == served, way
    assert any(name == "cloudspend_month_to_date_cost" for name, _ in served)
    assert f"/metrics/job/cloudspend: {len(served) + len(OWN)} series" in told
    for target in query(street.prometheus, "up"):
        assert target["value"][1] == "1"


def test_the_gateway_keeps_every_label_and_adds_the_grouping(street: Street) -> None:
    pushed(street.folder, "--pushgateway", street.gateway.url, "--job", "night", "--grouping", "instance=eu/1 ü")
    [group] = [each for each in groups(street) if each["labels"]["job"] == "night"]
    assert group["labels"] == {"job": "night", "instance": "eu/1 ü"}
    text = "\n".join(
        line for line in get(f"{street.gateway.url}/metrics").splitlines() if "{" in line and "night" in line
    )
    assert ours(text, {"job": "night", "instance": "eu/1 ü"}) == street.served()


def test_a_push_replaces_all_that_the_group_had(street: Street) -> None:
    group = ("--pushgateway", street.gateway.url, "--job", "replaced")
    url = f"{street.gateway.url}/metrics/job/replaced"
    urlopen(Request(url, b"cloudspend_gone 1\n", method="PUT"), timeout=10).close()
    assert "cloudspend_gone" in get(f"{street.gateway.url}/metrics")
    pushed(street.folder, *group)
    assert "cloudspend_gone" not in get(f"{street.gateway.url}/metrics")


def test_the_textfile_collector_takes_the_file_and_has_its_own_process_metrics(street: Street) -> None:
    pushed(street.folder, "--output", str(street.textfile))
    text = get(f"{street.node.url}/metrics")
    assert "node_textfile_scrape_error 0" in text
    assert ours(text) == street.served()
    assert os.listdir(street.textfile.parent) == [street.textfile.name]
    assert "process_" not in street.textfile.read_text()


def test_in_a_loop_it_pushes_until_it_is_ended_and_takes_its_group_away(street: Street) -> None:
    words = [
        "push",
        "--demo",
        "--pushgateway",
        street.gateway.url,
        "--job",
        "loop",
        "--every",
        "1s",
        "--delete-on-exit",
    ]
    log = street.folder / "loop.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter", *words],
            cwd=street.folder,
            env={**os.environ, "CLOUDSPEND_NOW": NOW},
            stderr=sink,
        )
    try:
        until(lambda: "loop" in jobs(street), "the group is there")
        first = pushed_at(street, "loop")
        until(lambda: pushed_at(street, "loop") > first, "it is pushed again")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, log.read_text()
    assert "loop" not in jobs(street)
    assert log.read_text().count("msg=pushed") == 1


def test_a_gateway_that_refuses_is_told_of_and_exits_1(street: Street) -> None:
    done = cloudspend(street.folder, "push", "--demo", "--pushgateway", f"{street.gateway.url}/elsewhere")
    assert done.returncode == 1
    assert f"error: {street.gateway.url}/elsewhere/metrics/job/cloudspend: answered 404" in done.stderr
    assert "hint: --pushgateway takes the root of the gateway" in done.stderr


def groups(street: Street) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = json.loads(get(f"{street.gateway.url}/api/v1/metrics"))["data"]
    return found


def jobs(street: Street) -> set[str]:
    return {group["labels"]["job"] for group in groups(street)}


def pushed_at(street: Street, job: str) -> float:
    [found] = [
        sample.value
        for family in parse(get(f"{street.gateway.url}/metrics"))
        for sample in family.samples
        if sample.name == "push_time_seconds" and sample.labels["job"] == job
    ]
    return found
