"""Budgets from the configuration to what is judged, and what is said when a limit moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.analysis.budgets import Adjustment, Budget, BudgetReport, Remembered, Scope, Status, Threshold, evaluate
from exporter.clock import Clock
from exporter.config import Config, load
from exporter.costs import Cost, CostTable
from exporter.periods import Cycle, Recurrence
from exporter.polling import worker
from exporter.polling.allowances import BUDGET, adjustments, budgets_of, remembered, stood
from exporter.polling.sources import Paths, Registry
from exporter.store.state import State
from tests.costs.rows import row

D = Decimal
HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,ServiceName\n"
NOW = datetime(2024, 4, 10, 12, tzinfo=UTC)


def configured(budgets: str, folder: Path, more: str = "") -> Config:
    text = f"store: {{path: data}}\nsources: [{{name: b, provider: focus, path: bill.csv, tags: [team]}}]\n{more}"
    return load(f"{text}budgets: {budgets}\n", Registry(), folder=folder, environment={})


def test_every_key_of_a_budget_reaches_what_is_judged(tmp_path: Path) -> None:
    config = configured(
        "[{name: web, amount: 9000.50, currency: EUR, period: weekly, starts: friday, provider: [AWS, gcp],"
        ' account: "1", service: s, region: [r, q], charge_category: Usage, tags: {team: [a, b]}, net: true,'
        ' cost: list, thresholds: [50%, {at: 90%, severity: info}], channels: [log, "slack:https://hooks.example/x"],'
        " cool_down: 5m, adjust: {periods: 2, headroom: 5%, most_change: 12.5%, least: 1, most: 2}}]",
        tmp_path,
    )
    (budget,) = budgets_of(config)
    assert budget.channels[0] == "log"
    assert "hooks.example" not in budget.channels[1]
    assert budget == Budget(
        name="web",
        amount=D("9000.50"),
        currency="EUR",
        recurrence=Recurrence(Cycle.WEEKLY, date(2024, 1, 5)),
        scope=Scope(
            provider=frozenset({"aws", "gcp"}),
            account=frozenset({"1"}),
            service=frozenset({"s"}),
            region=frozenset({"r", "q"}),
            charge_category=frozenset({"usage"}),
            tags={"team": frozenset({"a", "b"})},
        ),
        net=True,
        cost=Cost.LIST,
        thresholds=(Threshold(D("0.5")), Threshold(D("0.9"), "info")),
        channels=budget.channels,
        cool_down=timedelta(minutes=5),
        adjustment=Adjustment(2, D("0.05"), D("0.125"), D(1), D(2)),
    )


def test_the_basis_of_the_metrics_is_the_one_of_budgets_that_name_none(tmp_path: Path) -> None:
    budgets = "[{name: a, amount: 1}, {name: b, amount: 1, cost: billed}]"
    found = budgets_of(configured(budgets, tmp_path, "cost: {basis: effective}\n"))
    assert [budget.cost for budget in found] == [Cost.EFFECTIVE, Cost.BILLED]


def moved(amount: str, today: str, before: dict[str, Remembered] | None = None) -> BudgetReport:
    budget = Budget("b", D(amount), "USD", adjustment=Adjustment())
    first = date(2023, 12, 1)
    costs = CostTable.of([row((first + timedelta(days)).isoformat(), "10") for days in range(150)])
    return evaluate([budget], costs, date.fromisoformat(today), {"": date.fromisoformat(today)}, before)


def test_a_limit_that_moves_is_told_once_with_its_reason() -> None:
    march = moved("300", "2024-03-16")
    [said] = adjustments({}, march)
    assert said == {
        "budget": "b",
        "period": "monthly/2024-03-01",
        "from": "300",
        "to": "333.67",
        "currency": "USD",
        "why": march.of("b").adjusted,
    }
    again = moved("300", "2024-03-17", dict(march.remembered))
    assert adjustments(march.remembered, again) == []
    # The mean of January to March is that of December to February.
    april = moved("300", "2024-04-10", dict(again.remembered))
    assert (april.of("b").limit, adjustments(again.remembered, april)) == (D("333.67"), [])
    may = moved("300", "2024-05-05", dict(april.remembered))
    [told] = adjustments(april.remembered, may)
    assert (told["from"], told["to"], told["period"]) == ("333.67", "322.67", "monthly/2024-05-01")
    assert adjustments(may.remembered, moved("300", "2024-05-06", dict(may.remembered))) == []


def test_an_amount_that_somebody_changed_is_where_its_limit_moves_from() -> None:
    before = moved("300", "2024-03-16").remembered
    [said] = adjustments(before, moved("320", "2024-03-17", dict(before)))
    assert said["from"] == "320"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bill of 10 USD and 1 EUR a day up to 8 April 2024."""
    folder = tmp_path_factory.mktemp("bill")
    days = [date(2024, 1, 1) + timedelta(number) for number in range(99)]
    lines = [
        f"{cost},{currency},{day:%Y-%m}-01,Usage,{day},AWS,compute\n"
        for day in days
        for cost, currency in ((10, "USD"), (1, "EUR"))
    ]
    (folder / "bill.csv").write_text(HEADER + "".join(lines))
    return folder


def polled(folder: Path, budgets: str) -> Config:
    config = configured(budgets, folder).model_copy()
    worker.run(config, Clock(frozen=NOW))
    return config


def test_budgets_stand_as_the_worker_says_and_looking_changes_nothing(folder: Path) -> None:
    config = polled(folder, "[{name: usd, amount: 300}, {name: eur, amount: 5, currency: EUR}]")
    with State(Paths(config.store.path).state) as state:
        before = state.remembered(BUDGET)
    report = stood(config, NOW)
    usd, eur = report.standings
    assert (usd.spent, usd.elsewhere, usd.status) == (D(80), {"EUR": D(8)}, Status.ON_TRACK)
    assert (eur.spent, eur.status) == (D(8), Status.OVER)
    assert [each.spent for each in usd.history] == [D(310), D(290), D(310)]
    with State(Paths(config.store.path).state) as state:
        assert state.remembered(BUDGET) == before
        assert {name: each.written() for name, each in remembered(state).items()} == before


def test_limits_of_ended_periods_are_those_that_were_remembered(folder: Path) -> None:
    polled(folder, "[{name: usd, amount: 300}]")
    config = configured("[{name: usd, amount: 900}]", folder)
    [usd] = stood(config, NOW).standings
    assert usd.limit == D(900)
    assert {each.limit for each in usd.history} == {D(300)}


def test_what_another_version_remembered_is_as_if_unknown(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = polled(folder, "[{name: usd, amount: 300}]")
    with State(Paths(config.store.path).state) as state:
        state.remember(BUDGET, {"usd": "{}", "b": "["})
        assert remembered(state) == {}
    assert {record.getMessage() for record in caplog.records} >= {
        "the past of a budget cannot be read and is taken as unknown"
    }
    assert stood(config, NOW).standings[0].spent == D(80)


def test_nothing_stored_is_nothing_spent(tmp_path: Path) -> None:
    [standing] = stood(configured("[{name: usd, amount: 300}]", tmp_path), NOW).standings
    assert (standing.spent, standing.history, standing.settled_until) == (D(0), (), None)
    assert not (tmp_path / "data").exists()
