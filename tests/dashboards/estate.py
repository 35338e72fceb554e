"""A real Prometheus that holds the demo: what a real daemon says on two days, and a year of history."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

from tests.neighbours import Server, free_port, prometheus, require, until

NOW = datetime(2026, 9, 19, 12, tzinfo=UTC)
"""Days after a deployment and a runaway gateway: there is something to see. Prometheus is asked as of it."""
CONFIG = """\
store: {path: ./data}
api_budget: {monthly_usd: 5}
sources:
  - {name: demo, provider: demo, tags: [team, env]}
  - {name: focus-sample, provider: demo_focus, hours: true}
budgets:
  - {name: everything, amount: 80000, currency: USD}
  - {name: azure, amount: 9000, currency: EUR, provider: azure, owner: platform}
  - {name: web, amount: 300, currency: USD, period: weekly, tags: {team: web}}
"""
ELSEWHERE = """\
cloudspend_first_spend_cost{source="demo",provider="aws",kind="region",name="ap-southeast-2",currency="USD"} 3.25
cloudspend_source_api_units_total{source="demo",unit="bytes"} 10485760
cloudspend_source_observed_settling_seconds{source="demo"} 176400
"""
"""What other bills have and the demo has not on this day, said by hand."""
Costs = list[Mapping[str, str]]


@dataclass(frozen=True)
class Estate:
    """A Prometheus that saw the demo on two days, and what `cloudspend costs` says of it."""

    server: Server
    now: float
    """Unix seconds as of which Prometheus is asked."""
    costs: Costs
    """By source, provider, account, service, region, charge category and day."""


def run(folder: Path, *words: str, now: datetime = NOW) -> str:
    command = [sys.executable, "-m", "exporter", *words, "--config", "cloudspend.yml"]
    environment = {**os.environ, "CLOUDSPEND_NOW": f"{now:%Y-%m-%dT%H:%M:%SZ},frozen"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def scraped(folder: Path) -> str:
    """What the daemon says once it has polled everything."""
    address = f"127.0.0.1:{free_port()}"
    words = ["serve", "--config", str(folder / "cloudspend.yml"), "--web.listen-address", address]
    log = folder / "cloudspend.log"
    environment = {**os.environ, "CLOUDSPEND_NOW": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"}
    url = f"http://{address}"
    with Server([sys.executable, "-m", "exporter", *words], url=url, ready=f"{url}/-/ready", log=log, env=environment):
        until(lambda: log.read_text().count('msg="source polled"') == 2, "both sources are polled")
        said: list[str] = []

        def new() -> bool:
            with urlopen(f"{url}/metrics", timeout=30) as response:
                said.append(response.read().decode())
            polled = _values(said[-1], "cloudspend_source_last_success_timestamp_seconds")
            made = _values(said[-1], "cloudspend_exporter_snapshot_timestamp_seconds")
            return min(polled) >= NOW.timestamp() and made[0] >= max(polled)

        until(new, "what was polled is served")
        return said[-1]


def _values(scrape: str, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", scrape, re.MULTILINE)]


def openmetrics(scrape: str, last: datetime, minutes: int) -> Iterator[str]:
    """The samples of a scrape, as scraped every minute until `last`, in Prometheus' labels."""
    instants = [int(last.timestamp()) - 60 * back for back in range(minutes, -1, -1)]
    for line in scrape.splitlines():
        if line.startswith("#") or not line.startswith("cloudspend_"):
            continue
        series, _, value = line.rpartition(" ")
        name, brace, labels = series.partition("{")
        labelled = f'{name}{{job="cloudspend",instance="exporter:9753"{"," + labels if brace else "}"}'
        for instant in instants:
            yield f"{labelled} {value} {instant}"


def fill(folder: Path, *texts: str) -> None:
    """Put samples into Prometheus' data folder, each text in blocks of its own."""
    for number, text in enumerate(texts):
        path = folder / f"{number}.om"
        path.write_text(text)
        command = [require("promtool"), "tsdb", "create-blocks-from", "--max-block-duration=2160h", "openmetrics"]
        subprocess.run([*command, str(path), str(folder / "prometheus-data")], check=True, capture_output=True)


@contextmanager
def filled(folder: Path, earlier: Sequence[timedelta] = (timedelta(days=1),), minutes: int = 65) -> Iterator[Estate]:
    """The estate, polled so much earlier and now; as of now the daemon was scraped once in each of so many minutes."""
    (folder / "cloudspend.yml").write_text(CONFIG)
    samples: list[str] = []
    for ago in earlier:
        run(folder, "collect", now=NOW - ago)
        newest = max((folder / "data" / "snapshots").glob("[0-9]*[0-9]"))
        samples += openmetrics((newest / "metrics.txt").read_text(), NOW - ago, 5)
    said = scraped(folder)
    there = [line for line in ELSEWHERE.splitlines() if f"\n{line.partition('{')[0]}{{" in said]
    assert there == [], "the demo has these by itself"
    samples += openmetrics(said + ELSEWHERE, NOW, minutes)
    run(folder, "history", "--output", str(folder / "history.om"))
    fill(folder, "\n".join([*samples, "# EOF", ""]), (folder / "history.om").read_text())
    words = ("costs", "--format", "json", "--days", "430")
    costs = json.loads(run(folder, *words, "--by", "source,provider,account,service,region,charge_category,day"))
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1m}\n")
    with prometheus(folder, config, "--storage.tsdb.retention.time=3650d") as server:
        yield Estate(server, NOW.timestamp(), costs)
