"""What asking costs: what a plan says is what a month comes to, and starting again and again costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.cli.plan import planned
from exporter.clock import Clock
from exporter.costs.money import add
from exporter.periods import DAY
from exporter.polling.poll import poll
from exporter.polling.schedule import next_due
from exporter.polling.sources import resolve
from exporter.simulator.aws import Aws, estate
from exporter.simulator.gcp import GoogleCloud
from exporter.simulator.ledger import Charge, Ledger
from exporter.store.lake import Lake
from exporter.store.state import State
from tests.acceptance.world import World, opened
from tests.e2e.daemon import make_due
from tests.e2e.test_paid_calls import Started
from tests.providers.aws import alone

START = datetime(2024, 2, 20, 7, 13, tzinfo=UTC)
PRICE = {"aws": Decimal("0.01"), "gcp": Decimal("0.000059604644775390625")}
"""USD: a page of Cost Explorer, and ten mebibytes at 6.25 USD a TiB."""

# A small bill, since more than two hundred polls read it: a charge a day.
_SMALL = {"aws": ("111122223333", "Usage", "USD"), "gcp": ("shop-prod", "regular", "EUR")}


def small(name: str, until: datetime) -> list[Charge]:
    account, kind, currency = _SMALL[name]
    first = datetime(2024, 1, 1, 3, tzinfo=UTC)
    days = (until - first).days + 1
    return [
        Charge(
            start=first + n * DAY,
            account=account,
            service="Compute",
            region="eu-west-1",
            billed=Decimal("1.25"),
            currency=currency,
            kind=kind,
            details={"line": str(n), "sku": "x"},
        )
        for n in range(days)
    ]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """AWS and Google Cloud with small bills, asked as by default, kept pages and all."""
    until = START + 31 * DAY
    makers = {
        "aws": lambda seed, now, months: Ledger(small("aws", until), {}),
        "gcp": lambda seed, now, months: Ledger(small("gcp", until), {}),
    }
    for name, make in makers.items():
        monkeypatch.setattr(f"exporter.simulator.{name}.estate", make)
    with opened(tmp_path, monkeypatch, START, until, only=makers, cache=None) as world:
        yield world


def spent(world: World) -> dict[str, Decimal]:
    found = dict.fromkeys(world.clouds, Decimal(0))
    with State(world.paths.state) as state:
        for each in state.spending():
            found[each.source] = add(found[each.source], each.charge)
    return found


def run(world: World, until: datetime) -> int:
    """Poll what is due when it is due, as the daemon does, without publishing; how many polls that were."""
    lake, polls = Lake(world.paths.lake), 0
    with State(world.paths.state) as state:
        sources = resolve(world.config)
        while True:
            states = state.sources()
            at, source = min(
                ((max(next_due(s, states.get(s.name), world.now), world.now), s) for s in sources),
                key=lambda one: one[0],
            )
            if at >= until:
                world.move(until)
                return polls
            world.move(at)
            outcome = poll(source, lake, state, Clock(frozen=at), [s.name for s in sources if s is not source])
            assert not hasattr(outcome, "reason"), outcome
            polls += 1


@pytest.mark.matrix
def test_a_plan_is_the_ledger_and_what_the_clouds_count_a_month_later_to_the_cent(world: World) -> None:
    plan = {each.source.name: each for each in planned(world.config, world.now)}
    assert run(world, START + 30 * DAY) == sum(each.polls for each in plan.values()) > 200
    told = {name: each.total.usd for name, each in plan.items()}
    assert told == spent(world)
    assert told == {name: PRICE[name] * count for name, count in world.requests().items()}
    assert told["aws"] <= 2
    assert told["gcp"] <= Decimal("0.10")
    for name in world.clouds:
        assert world.stored(name) == world.charged(name)


# Google Cloud's 1 GB: fourteen months of an export, two of which each poll reads.


def test_an_export_of_a_gigabyte_is_asked_for_ten_cents_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2024, 3, 28, 12, tzinfo=UTC)  # two months, nearly: the most that is read
    with opened(tmp_path, monkeypatch, now, only=["gcp"], months=14, cache=None) as world:
        server = world.clouds["gcp"].server
        assert isinstance(server, GoogleCloud)
        table = server.warehouse.tables[server.standard]
        size = sum(sum(fields.values()) for fields in table.sizes.values())
        server.warehouse.scale = -(-(2**30) // size)
        assert world.poll() == {"gcp": ""}  # the first poll reads all of it, once
        world.move(now + timedelta(hours=6))
        assert world.poll() == {"gcp": ""}
        world.heal()
        [plan] = planned(world.config, world.now)
        assert plan.total.usd <= Decimal("0.10")
        assert plan.pages == "from the ledger"
        jobs: list[Any] = list(server.jobs.values())
        assert jobs[-1].result.billed < jobs[0].result.billed / 3


def configured(folder: Path, aws: Aws) -> Path:
    path = folder / "cloudspend.yml"
    source = {"name": "aws", "provider": "aws_cost_explorer", **aws.options()}
    path.write_text(yaml.safe_dump({"store": {"path": str(folder / "data")}, "sources": [source]}))
    return path


def pages(aws: Aws) -> int:
    return len(aws.asked("GetCostAndUsage"))


@pytest.mark.e2e
def test_fifty_starts_within_one_interval_pay_aws_for_one_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    monkeypatch.delenv("CLOUDSPEND_NOW")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Aws(estate(7, datetime.now(UTC), 2), page_size=500) as aws:
        config = configured(tmp_path, aws)
        Started.once(config)
        first = pages(aws)
        assert first > 2
        for _ in range(49):
            Started.once(config)
        assert pages(aws) == first
        # What would show a paid call: the interval has passed, and no page is kept.
        make_due(tmp_path / "data", "aws")
        with State(tmp_path / "data" / "state.sqlite") as state:
            state.drop_pages()
        Started.once(config)
        assert pages(aws) > first


_KILLER = """
import os, signal, sqlite3

word, left = os.environ["DIE_AT"], [int(os.environ["DIE_AFTER"])]
connect, inside = sqlite3.connect, [False]

def traced(*given, **more):
    connection = connect(*given, **more)
    def see(statement):
        inside[0] = statement.startswith("INSERT OR REPLACE INTO pages") or (inside[0] and statement == "COMMIT")
        if inside[0] and statement.startswith(word):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(see)
    return connection

sqlite3.connect = traced
"""


@pytest.mark.e2e
@pytest.mark.parametrize("statement", ["INSERT OR REPLACE INTO pages", "COMMIT"])
def test_a_kill_in_the_middle_of_keeping_a_page_costs_that_page_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """kill -9 while SQLite writes a page that was just paid for; all pages before it are used again."""
    alone(monkeypatch)
    monkeypatch.delenv("CLOUDSPEND_NOW")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "sitecustomize.py").write_text(_KILLER)
    with Aws(estate(7, datetime.now(UTC), 2), page_size=500) as aws:
        config = configured(tmp_path, aws)
        words = [sys.executable, "-m", "exporter", "collect", "--config", str(config)]

        def collect(**more: str) -> int:
            return subprocess.run(words, check=False, env={**os.environ, **more}, capture_output=True).returncode

        killed = {"PYTHONPATH": str(tmp_path / "plugin"), "DIE_AT": statement, "DIE_AFTER": "3"}
        assert collect(**killed) == -signal.SIGKILL
        assert pages(aws) == 3
        assert collect() == 0
        whole = pages(aws) - 1  # the third, which was not on the disk, is asked for again
        assert whole > 4
        assert len({json.dumps(call.detail, sort_keys=True) for call in aws.asked("GetCostAndUsage")}) <= whole
        for _ in range(3):
            Started.once(config)
        assert pages(aws) == whole + 1, "while pages are fresh nothing is paid for"
        with State(tmp_path / "data" / "state.sqlite") as state:
            assert add(*(each.charge for each in state.spending())) == PRICE["aws"] * (whole + 1)
