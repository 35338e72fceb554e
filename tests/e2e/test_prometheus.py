"""A real Prometheus over the demo: every recording rule has the value that `cloudspend costs` gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import ROOT, prometheus_config
from tests.neighbours import Sample, Server, free_port, prometheus, query, require, until

pytestmark = pytest.mark.e2e

# Real days, so that nothing is stale to Prometheus; never the first two of a month, when there is no delta yet.
_REAL = datetime.now(UTC).date()
_DAY = _REAL if _REAL.day > 2 else _REAL.replace(day=3)
TODAY, YESTERDAY = f"{_DAY}T12:00:00Z", f"{_DAY - timedelta(days=1)}T12:00:00Z"

Costs = list[Mapping[str, str]]
PROVIDER = ("source", "provider")
USAGE = ("--by", "source,provider,charge_category,day", "--days", "40", "--cost", "effective")
ABOUT_SPEND = {
    "CloudspendAnomaly",
    "CloudspendDailySpike",
    "CloudspendBudgetThresholdReached",
    "CloudspendBudgetForecastExceeded",
    "CloudspendBudgetBurningFast",
}
JUDGED = ("cloudspend_daily_usage_cost", "cloudspend_daily_cost_expected")


@dataclass(frozen=True)
class Estate:
    """The demo on two days, as `cloudspend costs` tells it, and a Prometheus that saw both."""

    server: Server
    today: Costs
    yesterday: Costs
    by_day: Costs
    usage: Costs
    """By day too, as judged: what was committed beforehand is spread over the days that use it."""
    settled: Mapping[str, date]
    reached: set[str]
    """The budgets that have reached a threshold, as `cloudspend budgets check` tells."""


def run(folder: Path, *words: str, now: str, codes: Container[int] = (0,)) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *words],
        cwd=folder,
        env={**os.environ, "CLOUDSPEND_NOW": f"{now},frozen"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in codes, done.stderr
    return done.stdout


def costs(folder: Path, *words: str, now: str) -> Costs:
    found: Costs = json.loads(run(folder, "costs", "--demo", "--format", "json", *words, now=now))
    return found


def a_day_and_an_hour_ago(folder: Path, instance: str) -> None:
    """Fill Prometheus' data folder with the current snapshot's series, scraped around 24 hours ago and one hour ago."""
    newest = max((folder / "cloudspend-demo" / "snapshots").glob("[0-9]*[0-9]"))
    now = int(time.time())
    instants = [now - hours * 3600 + offset for hours in (24, 1) for offset in range(-120, 1500, 60)]
    out: list[str] = []
    for line in (newest / "metrics.txt").read_text().splitlines():
        if line.startswith("#"):
            out.append(line)
            continue
        series, _, value = line.rpartition(" ")
        labelled = series.replace("{", f'{{job="cloudspend",instance="{instance}",', 1)
        out += [f"{labelled} {value} {instant}" for instant in instants]
    history = folder / "history.om"
    history.write_text("\n".join([*out, "# EOF", ""]))
    data = folder / "prometheus-data"
    command = [require("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(history), str(data)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, release: str) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    leaf = ("--by", "source,provider,service,account,region,charge_category")
    run(folder, "collect", "--demo", now=YESTERDAY)
    yesterday = costs(folder, *leaf, now=YESTERDAY)
    port = free_port()
    instance = f"127.0.0.1:{port}"
    a_day_and_an_hour_ago(folder, instance)
    argv = [sys.executable, "-m", "exporter", "serve", "--demo", "--web.listen-address", instance]
    url = f"http://{instance}"
    environment = {**os.environ, "CLOUDSPEND_NOW": TODAY}
    log = folder / "cloudspend.log"
    os.chdir(folder)
    with Server(argv, url=url, ready=f"{url}/-/ready", log=log, env=environment):
        until(lambda: log.read_text().count('msg="source polled"') == 2, "both sources are polled today")
        today = costs(folder, *leaf, now=TODAY)
        by_day = costs(
            folder, "--by", "source,provider,service,account,region,charge_category,day", "--days", "40", now=TODAY
        )
        budgets = json.loads(run(folder, "budgets", "check", "--demo", "--format", "json", now=TODAY, codes={0, 1}))
        usage = [line for line in costs(folder, *USAGE, now=TODAY) if line["charge_category"] == "usage"]
        reached = {each["name"] for each in budgets if any(at["reached"] for at in each["thresholds"])}
        with prometheus(folder, prometheus_config(folder, instance)) as server:
            until(lambda: _sees(server, today), "the rules have been evaluated over today's snapshot")
            ends = query(server, "cloudspend_data_end_timestamp_seconds")
            settled = {
                each["metric"]["source"]: date.fromtimestamp(float(each["value"][1]) - 86400)  # noqa: DTZ012
                for each in ends
            }
            yield Estate(server, today, yesterday, by_day, usage, settled, reached)


def _sees(server: Server, today: Costs) -> bool:
    """Whether every rule that has a value has been evaluated twice since the month-to-date of today was scraped."""
    total = found(query(server, "provider:cloudspend_month_to_date_cost:sum offset 3s"), ("provider",))
    return total == pytest.approx(grouped(today, ("provider",)), rel=1e-12)


def grouped(lines: Costs, labels: tuple[str, ...]) -> dict[tuple[str, ...], float]:
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for line in lines:
        sums[(*(line[label] for label in labels), line["currency"])] += float(line["cost"])
    return dict(sums)


def found(samples: list[Sample], labels: tuple[str, ...]) -> dict[tuple[str, ...], float]:
    values = {
        tuple(each["metric"][label] for label in (*labels, "currency")): float(each["value"][1]) for each in samples
    }
    assert len(values) == len(samples), "a rule gives two series for one label set"
    return values


def expected(estate: Estate, labels: tuple[str, ...], metric: str, operation: str) -> dict[tuple[str, ...], float]:
    """What the rule `level:metric:operation` should say, from `cloudspend costs` alone."""
    if metric == "cloudspend_daily_cost":
        days = {source: day.isoformat() for source, day in estate.settled.items()}
        return grouped([line for line in estate.by_day if line["day"] == days[line["source"]]], labels)
    if metric in JUDGED:  # what is expected is no cost that anybody was billed: the lines of the scrape are added up
        return grouped([{**line["metric"], "cost": line["value"][1]} for line in query(estate.server, metric)], labels)
    today, yesterday = estate.today, estate.yesterday
    if operation.startswith("usage_"):
        operation = operation.removeprefix("usage_")
        today, yesterday = ([line for line in one if line["charge_category"] == "usage"] for one in (today, yesterday))
    if operation == "delta1h":  # only the sample bill has hours; an hour ago Prometheus still saw yesterday's figures
        today, yesterday = ([line for line in one if line["source"] == "focus-sample"] for one in (today, yesterday))
    now, before = grouped(today, labels), grouped(yesterday, labels)
    if operation == "sum":
        return now
    change = {key: now.get(key, 0.0) - before.get(key, 0.0) for key in now.keys() | before.keys()}
    return {key: value / 24 for key, value in change.items()} if operation == "hourly_rate24h" else change


def recording_rules() -> list[str]:
    shipped = yaml.safe_load((ROOT / "alertmanager" / "rules" / "spend.yml").read_text())
    return [rule["record"] for group in shipped["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("record", recording_rules())
def test_a_recording_rule_has_the_value_that_costs_gives(estate: Estate, record: str) -> None:
    level, metric, operation = record.split(":")
    labels = tuple(re.findall(r"charge_category|[a-z]+", level))
    samples = query(estate.server, record)
    should = expected(estate, labels, metric, operation)
    shows = found(samples, labels)
    assert shows.keys() == should.keys()
    assert len(shows) > 2
    exact = operation.endswith("sum")
    for key, value in should.items():
        assert shows[key] == pytest.approx(value, rel=1e-12 if exact else 0, abs=1e-9 if exact else 0.005), key


def test_what_was_compared_with_what_was_expected_is_the_usage_of_the_settled_day(estate: Estate) -> None:
    demo = 'sum without (account, service, region) (cloudspend_daily_usage_cost{source="demo"})'
    day = estate.settled["demo"].isoformat()
    should = grouped([line for line in estate.usage if (line["source"], line["day"]) == ("demo", day)], PROVIDER)
    assert found(query(estate.server, demo), PROVIDER) == pytest.approx(should, abs=1e-4)


def test_the_demo_fires_for_its_stories_and_nothing_ails_the_exporter(estate: Estate) -> None:
    firing = [each["metric"] for each in query(estate.server, "ALERTS")]
    assert {alert["alertname"] for alert in firing} <= ABOUT_SPEND
    reached = {alert["budget"] for alert in firing if alert["alertname"] == "CloudspendBudgetThresholdReached"}
    assert reached == estate.reached


def test_prometheus_saw_every_series_once_and_took_it_all(estate: Estate) -> None:
    dropped: list[Any] = []
    for name in ("duplicate_timestamp", "out_of_order", "out_of_bounds"):
        total = query(estate.server, f"prometheus_target_scrapes_sample_{name}_total > 0")
        dropped += total
    assert dropped == []
    [up] = query(estate.server, 'up{job="cloudspend"}')
    assert up["value"][1] == "1"


def test_the_bills_own_labels_won(estate: Estate) -> None:
    assert query(estate.server, '{__name__=~"cloudspend_.+", exported_service!=""}') == []
    assert timedelta(days=1) <= _DAY - estate.settled["demo"] <= timedelta(days=3)
