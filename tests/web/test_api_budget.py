"""What asking costs as the daemon shows it: counted from 0; the API budget per source, of all, anew in each month."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.clock import Clock
from exporter.config.load import load
from exporter.config.reload import Running
from exporter.metrics.exposition import Form
from exporter.polling.budget import Caps
from exporter.polling.ledger import Ledger
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths, Registry, Source
from exporter.providers import Call
from exporter.store.state import State
from exporter.web.board import Board
from tests.polling.house import House, at, full

FIVE, TWO = Decimal(5), Decimal(2)


class Moving:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = at("2024-09-30T23:59:59")

    def now(self) -> Any:
        return self.time


def shown(board: Board) -> dict[tuple[str, str], float]:
    board.refresh()
    return {
        (sample.name.removeprefix("cloudspend_"), sample.labels.get("source", "")): sample.value
        for family in parse(board.body(Form(openmetrics=False, gzip=False)).decode())
        for sample in family.samples
        if "api_budget" in sample.name
    }


def spent(board: Board) -> dict[tuple[str, str, str], float]:
    """(source, currency, unit) of what was paid since the exporter first ran."""
    board.refresh()
    return {
        (sample.labels["source"], sample.labels.get("currency", ""), sample.labels.get("unit", "")): sample.value
        for family in parse(board.body(Form(openmetrics=False, gzip=False)).decode())
        for sample in family.samples
        if sample.name in ("cloudspend_source_api_charges_total", "cloudspend_source_api_units_total")
    }


def board(house: House, clock: Moving, *sources: Source) -> tuple[Board, State]:
    config = load("sources: [{name: a, provider: demo}]", Registry(), folder=house.root, environment={})
    running = Running(config, lambda _: sources, cast("Clock", clock))
    reading = house.state()
    return Board(running, Outlook(Paths(house.root), reading), cast("Clock", clock)), reading


def test_limits_and_what_is_spent_are_shown_and_a_new_month_begins_from_nothing(tmp_path: Path) -> None:
    house, clock = House(tmp_path), Moving()
    house.add("a", full())
    house.add("b", full())
    a = replace(house.sources["a"], caps=Caps(TWO, FIVE))
    b = replace(house.sources["b"], caps=Caps(None, FIVE))
    gone = replace(b, name="gone")
    with house.state() as state:
        for source, charge in ((a, "0.1"), (b, "0.02"), (gone, "0.003")):
            Ledger(state, source, Clock(frozen=clock.time)).request("x", Decimal(charge))
        Ledger(state, b, Clock(frozen=clock.time)).request("x", Decimal(7), "CNY")
    served, reading = board(house, clock, a, b)
    with reading:
        assert shown(served) == {
            ("source_api_budget_limit", "a"): 2,
            ("source_api_budget_spent", "a"): 0.1,
            ("api_budget_limit", ""): 5,
            ("api_budget_spent", ""): 0.123,
        }
        clock.time += timedelta(seconds=1)
        assert shown(served)["api_budget_spent", ""] == 0
        assert shown(served)["source_api_budget_spent", "a"] == 0


def test_without_a_cap_there_is_no_series(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.add("a", full())
    with house.state() as state:
        Ledger(state, house.sources["a"], house.clock).request("x", FIVE)
    served, reading = board(house, Moving(), house.sources["a"])
    with reading:
        assert shown(served) == {}


def test_what_is_paid_is_counted_from_0_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    house, clock = House(tmp_path), Moving()
    house.add("free", full())
    house.add("dear", full())
    call = Call(operation="x", charge=Decimal("0.25"), currency="EUR", units={"bytes": Decimal(7)})
    dear = house.sources["dear"]
    dear = replace(dear, spec=replace(dear.spec, calls=lambda options, ask: (call, Call(operation="login"))))
    served, reading = board(house, clock, dear, house.sources["free"])
    with reading:
        nothing = {("dear", "EUR", ""): 0, ("dear", "", "bytes"): 0, ("free", "USD", ""): 0}
        assert spent(served) == nothing
        with house.state() as state:
            ledger = Ledger(state, dear, house.clock)
            ledger.request("x", call.charge, call.currency, call.units)
            ledger.request("undeclared", Decimal(1), "USD", {"qpu": Decimal(2)})
        paid = {("dear", "EUR", ""): 0.25, ("dear", "USD", ""): 1, ("dear", "", "bytes"): 7, ("dear", "", "qpu"): 2}
        assert spent(served) == nothing | paid
    again, reading = board(house, clock, dear, house.sources["free"])
    with reading:
        assert spent(again) == nothing | paid
    without, reading = board(house, clock, house.sources["free"])
    with reading:
        assert spent(without) == {("free", "USD", ""): 0}
