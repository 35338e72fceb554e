"""History in real databases: every query of the docs gives what `cloudspend costs` gives, over a restated bill.

The bill is read twice. Between the readings days on both sides of a month's edge change, a service vanishes from a day,
and a new one appears. Each database is written after both, so that it holds what was said first, too.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from exporter.config.remote_write import RemoteWriteSettings
from exporter.metrics.history import Series
from exporter.metrics.remote_write import Sender, requests_of
from tests.docs.pages import ROOT, blocks
from tests.neighbours import Sample, Server, prometheus, query, require, victoria_metrics
from tests.releases import RELEASES, programs

pytestmark = pytest.mark.e2e

FIRST, UNTIL = date(2023, 12, 1), date(2024, 3, 19)
READ, READ_AGAIN = "2024-03-20T12:00:00Z", "2024-03-21T12:00:00Z"
PAGE = ROOT / "docs" / "how-to" / "query-costs.md"

Row = dict[str, str]


@dataclass(frozen=True)
class Example:
    """A query of the page, when it is asked, and the command that it stands for, where there is one."""

    promql: str
    at: float
    costs: list[str] | None


def examples() -> list[Example]:
    found: list[Example] = []
    for block in blocks(PAGE.read_text()):
        if block.language == "promql":
            head, _, promql = block.code.partition("\n")
            instant = datetime.fromisoformat(head.removeprefix("# at ").strip())
            found.append(Example(promql.strip(), instant.timestamp(), None))
        elif block.language == "sh" and "cloudspend costs" in block.code:
            last = found.pop()
            found.append(Example(last.promql, last.at, shlex.split(block.code)[1:]))
    return found


EXAMPLES = examples()


def bill(restated: bool) -> Iterator[Row]:
    """A few lines a day with amounts that no float holds exactly; two vendors, two currencies, credits."""
    day = FIRST
    while day < UNTIL:
        for line, (vendor, account, service, region, category, currency) in enumerate(LINES):
            if service == "Sometimes" and day.weekday() > 1:
                continue
            if service == "Vanishing" and restated and day in (date(2024, 2, 28), date(2024, 3, 14)):
                continue
            if service == "Appearing" and not (restated and day in (date(2024, 3, 2), date(2024, 3, 10))):
                continue
            digits = int(hashlib.sha256(f"{day}{line}".encode()).hexdigest()[:8], 16)
            amount = f"{digits % 997}.{digits:011d}"
            if restated and day in (date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 13)):
                amount = f"1{amount}"
            yield {
                "BilledCost": f"-{amount}" if category == "Credit" else amount,
                "BillingCurrency": currency,
                "BillingPeriodStart": f"{day:%Y-%m-01}",
                "ChargeCategory": category,
                "ChargePeriodStart": str(day),
                "ProviderName": vendor,
                "SubAccountId": account,
                "ServiceName": service,
                "RegionId": region,
            }
        day += timedelta(days=1)


LINES = (
    ("Amazon Web Services", "111122223333", "Compute", "eu-west-1", "Usage", "USD"),
    ("Amazon Web Services", "111122223333", "Compute", "us-east-1", "Usage", "USD"),
    ("Amazon Web Services", "444455556666", "Vanishing", "us-east-1", "Usage", "USD"),
    ("Amazon Web Services", "444455556666", "Sometimes", "us-east-1", "Usage", "USD"),
    ("Amazon Web Services", "444455556666", "Compute", "", "Credit", "USD"),
    ("Microsoft", "sub-1", "Storage \"hot\" \\ cold", "westeurope", "Usage", "EUR"),
    ("Microsoft", "sub-1", "Appearing", "westeurope", "Usage", "EUR"),
)  # fmt: skip


def said(folder: Path, *words: str, now: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *words],
        cwd=folder,
        env={**os.environ, "CLOUDSPEND_NOW": f"{now},frozen"},
        check=False,
        capture_output=True,
        text=True,
    )


def run(folder: Path, *words: str, now: str) -> str:
    done = said(folder, *words, now=now)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class House:
    """The bill, read twice, and what writes its history wherever it is wanted."""

    folder: Path

    def read(self, *, restated: bool) -> None:
        rows = list(bill(restated))
        with (self.folder / "bill.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        run(self.folder, "collect", now=READ_AGAIN if restated else READ)

    @cache  # noqa: B019  one house a module, and each database is asked the same
    def costs(self, *words: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(run(self.folder, *words, "--format", "json", now=READ_AGAIN))
        return found


Writer = Callable[[House, str], None]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, Server]]]:
    """Three databases, each written after the first reading of the bill and after the second."""
    yield from filled(tmp_path_factory.mktemp("history"), with_victoria=True)


def filled(folder: Path, *, with_victoria: bool) -> Iterator[tuple[House, dict[str, Server]]]:
    sources = [{"name": "bill", "provider": "focus", "path": "bill.csv", "settles_after": "48h"}]
    (folder / "cloudspend.yml").write_text(yaml.safe_dump({"sources": sources}))
    plain = folder / "prometheus.yml"
    plain.write_text("{}")
    late = folder / "late.yml"
    late.write_text(yaml.safe_dump({"storage": {"tsdb": {"out_of_order_time_window": "400d"}}}))
    house = House(folder)
    flags = ("--storage.tsdb.retention.time=400d",)
    for name in ("file", "write", "victoria"):
        (folder / name).mkdir()
    data = folder / "file" / "prometheus-data"
    receiver = prometheus(folder / "write", late, *flags, "--web.enable-remote-write-receiver")
    with receiver:
        servers = {"write": receiver}
        if with_victoria:
            servers["victoria"] = victoria_metrics(folder / "victoria")
        try:
            for number, restated in enumerate((False, True)):
                house.read(restated=restated)
                now = READ_AGAIN if restated else READ
                document = f"history-{number}.om"
                run(folder, "history", "--output", document, now=now)
                blocks_from(folder / document, data)
                for server in servers.values():
                    run(folder, "history", "--remote-write", f"{server.url}/api/v1/write", now=now)
            if with_victoria:
                urlopen(f"{servers['victoria'].url}/internal/force_flush", timeout=30).close()
            with prometheus(folder / "file", plain, *flags) as server:
                yield house, {"file": server, **servers}
        finally:
            if with_victoria:
                servers["victoria"].stop()


def blocks_from(document: Path, data: Path) -> None:
    command = ["tsdb", "create-blocks-from", "--max-block-duration=8760h", "openmetrics", str(document), str(data)]
    subprocess.run([require("promtool"), *command], check=True, capture_output=True)


def values(samples: list[Sample]) -> dict[tuple[tuple[str, str], ...], float]:
    found = {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in samples}
    assert len(found) == len(samples)
    return found


def told(house: House, example: Example) -> dict[tuple[tuple[str, str], ...], float]:
    """What the command of an example says, in the labels of its query."""
    assert example.costs is not None
    labels = re.findall(r"\w+", re.search(r"sum by \(([\w, ]+)\)", example.promql)[1])  # type: ignore[index]
    sums: dict[tuple[tuple[str, str], ...], float] = defaultdict(float)
    for record in house.costs(*example.costs):
        sums[tuple(sorted((label, record[label]) for label in labels))] += float(record["cost"])
    return sums


def comparable() -> list[Example]:
    return [example for example in EXAMPLES if example.costs]


def test_the_page_has_its_examples() -> None:
    assert len(comparable()) >= 7
    assert len(EXAMPLES) > len(comparable())
    month_edges = [example for example in comparable() if "90d" in example.promql or "29d" in example.promql]
    assert len(month_edges) >= 3


@pytest.mark.parametrize("database", ["file", "write", "victoria"])
@pytest.mark.parametrize("example", comparable(), ids=lambda example: re.sub(r"\s+", " ", example.promql))
def test_a_query_of_the_docs_gives_what_costs_gives(
    databases: tuple[House, dict[str, Server]], database: str, example: Example
) -> None:
    house, servers = databases
    same(house, servers[database], example, PRECISION[database])


# VictoriaMetrics stores decimals of some twelve digits (conversionPrecision of its lib/decimal), Prometheus floats.
PRECISION = {"file": 1e-14, "write": 1e-14, "victoria": 1e-11}


def same(house: House, server: Server, example: Example, precision: float) -> None:
    shows, should = values(query(server, example.promql, example.at)), told(house, example)
    assert shows.keys() == should.keys()
    assert shows
    for key, value in should.items():
        assert shows[key] == pytest.approx(value, rel=precision, abs=1e-9), key


@pytest.mark.parametrize("database", ["file", "write", "victoria"])
@pytest.mark.parametrize("day", ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02", "2024-03-14"])
def test_every_line_of_a_restated_day_is_the_newest_truth(
    databases: tuple[House, dict[str, Server]], database: str, day: str
) -> None:
    house, servers = databases
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    end = start + timedelta(days=1)
    costs = house.costs("costs", "--start", day, "--end", f"{end:%Y-%m-%d}", "--by", LINE)
    should = {tuple(each[label] for label in LABELS): float(each["cost"]) for each in costs}
    samples = query(servers[database], "last_over_time(cloudspend_usage_cost[1d])", end.timestamp())
    shows = {tuple(each["metric"][label] for label in LABELS): float(each["value"][1]) for each in samples}
    exact = database != "victoria"
    left = {key: cost for key, cost in shows.items() if cost}
    assert left == (should if exact else pytest.approx(should, rel=PRECISION[database]))
    vanished = {key for key, cost in shows.items() if not cost}
    assert bool(vanished) == (day in ("2024-02-28", "2024-03-14"))


LINE = "source,provider,account,service,region,charge_category"
LABELS = (*LINE.split(","), "currency")


@pytest.mark.parametrize("database", ["file", "write", "victoria"])
def test_the_other_queries_of_the_docs_answer(databases: tuple[House, dict[str, Server]], database: str) -> None:
    house, servers = databases
    week = house.costs("costs", "--start", "2024-03-08", "--end", "2024-03-15", "--by", "source")
    before = house.costs("costs", "--start", "2024-03-01", "--end", "2024-03-08", "--by", "source")
    change = {one["currency"]: float(one["cost"]) / float(two["cost"]) for one, two in zip(week, before, strict=True)}
    [ratio] = [example for example in EXAMPLES if example.costs is None and "/" in example.promql]
    shows = query(servers[database], ratio.promql, ratio.at)
    assert {each["metric"]["currency"]: float(each["value"][1]) for each in shows} == pytest.approx(change, rel=1e-10)
    [top] = [example for example in EXAMPLES if example.promql.startswith("topk")]
    largest = query(servers[database], top.promql, top.at)
    assert {each["metric"]["currency"] for each in largest} == {"USD", "EUR"}


def test_no_database_holds_a_day_that_had_not_settled(databases: tuple[House, dict[str, Server]]) -> None:
    _, servers = databases
    for server in servers.values():
        at = datetime(2024, 3, 30, tzinfo=UTC).timestamp()
        [newest] = query(server, "max(max_over_time(timestamp(cloudspend_usage_cost)[20d:1m]))", at)
        assert float(newest["value"][1]) // 86400 * 86400 == datetime(2024, 3, 18, tzinfo=UTC).timestamp()


@pytest.fixture
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A Prometheus that has seen 20 March 2024, with the window for late samples that the test asks for, if any."""
    config = tmp_path / "prometheus.yml"
    window = {"storage": {"tsdb": {"out_of_order_time_window": request.param}}} if request.param else {}
    config.write_text(yaml.safe_dump(window))
    with prometheus(tmp_path, config, "--web.enable-remote-write-receiver") as server:
        noon = int(datetime(2024, 3, 20, 12, tzinfo=UTC).timestamp())
        with Sender(RemoteWriteSettings(url=f"{server.url}/api/v1/write")) as sender:
            [(body, _)] = requests_of("seen", (), [Series((), [noon], [1.0])])
            sender.send(body)
        yield server


@pytest.mark.parametrize(
    ("receiver", "oldest", "words"),
    [(None, "", "out of bounds"), ("30d", "2024-02-19", "too old sample")],
    indirect=["receiver"],
)
def test_days_that_a_real_prometheus_refuses_are_told_with_what_to_raise_and_the_others_are_there(
    databases: tuple[House, dict[str, Server]], receiver: Server, oldest: str, words: str
) -> None:
    house, _ = databases
    url = f"{receiver.url}/api/v1/write"
    done = said(house.folder, "history", "--remote-write", url, now=READ_AGAIN)
    assert done.returncode == 1
    assert f"{url} answered {'500' if oldest else '400'}: {words}" in done.stderr
    assert "raise storage.tsdb.out_of_order_time_window" in done.stderr
    at = datetime(2024, 3, 20, tzinfo=UTC).timestamp()
    found = query(receiver, "min(min_over_time(timestamp(cloudspend_usage_cost)[60d:1m]))", at)
    assert [f"{datetime.fromtimestamp(float(each['value'][1]), UTC):%Y-%m-%d}" for each in found] == [oldest][
        : bool(oldest)
    ]


@pytest.mark.matrix
@pytest.mark.parametrize("suite", RELEASES)
def test_newer_releases_of_prometheus_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: str) -> None:
    monkeypatch.setenv("PATH", f"{programs(suite)}{os.pathsep}{os.environ['PATH']}")
    version = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True).stdout
    assert "version 2.42" not in version
    for house, servers in filled(tmp_path, with_victoria=False):
        midnight = datetime(2024, 3, 15, tzinfo=UTC).timestamp()
        [points] = query(servers["file"], "count_over_time(vector(1)[7d:1d])", midnight)
        assert float(points["value"][1]) == (8 if "version 2." in version else 7), "why the page has `offset -1s`"
        for server in servers.values():
            for example in comparable():
                same(house, server, example, PRECISION["write"])
