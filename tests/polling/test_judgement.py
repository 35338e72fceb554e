"""Judgement in the worker: what is published of a stored bill, remembered, counted once, and never in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import CostRow
from exporter.periods import DAY, Window, day_of, midnight
from exporter.polling import judgement
from exporter.polling.allowances import remembered
from tests.costs.rows import row
from tests.polling.house import House, full

NOW = datetime(2024, 9, 20, 12, tzinfo=UTC)
FIRST = midnight(day_of(NOW)) - 60 * DAY


def days(until: datetime, cost: str = "10", **labels: str) -> list[CostRow]:
    """So much a day from the first day until a day, without it."""
    return [row(day.isoformat(), cost, **labels) for day in Window(FIRST, midnight(day_of(until))).days()]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, now=NOW)


def look(house: House, *rows: CostRow) -> None:
    """Poll these charges, and be judged."""
    if "a" not in house.sources:
        house.add("a", full(*rows))
    house.poll("a", full(*rows))


def spiked(house: House) -> list[CostRow]:
    return [*days(house.now), row("2024-09-17", "200", service="s")]


def test_a_finding_is_published_with_its_explanation(house: House) -> None:
    look(house, *spiked(house))
    house.judge()
    shown = house.shown("cloudspend_anomaly_info", "service", "kind", "severity")
    [(service, kind, severity)] = shown
    assert (service, kind) == ("s", "spike")
    assert house.shown("cloudspend_anomalies", "severity")[severity,] == 1
    assert house.shown("cloudspend_anomaly_actual_cost", "currency") == {("USD",): 210}
    [told] = house.publish().check()["findings"]
    assert told["first_day"] == "2024-09-17"
    assert "cost 210.00 USD" in told["sentence"]


def test_a_finding_is_counted_once_over_polls_renders_and_restarts(house: House) -> None:
    look(house, *spiked(house))
    house.judge()
    for hour in range(3):
        house.now = NOW + timedelta(hours=8 * hour)
        house.poll("a")
        house.publish()
    with house.state() as state:
        counts = [c.value for c in state.counters() if c.name == "cloudspend_anomalies_found_total"]
    assert counts == [Decimal(1)]


def test_a_source_whose_data_is_too_old_takes_its_findings_with_it_and_keeps_them_in_mind(house: House) -> None:
    look(house, *spiked(house))
    house.judge()
    house.publish()
    house.now += timedelta(hours=40)
    assert house.publish().check()["findings"] == []
    house.poll("a")
    assert len(house.publish().check()["findings"]) == 1


def test_the_expected_cost_of_the_latest_settled_day_stands_beside_the_cost(house: House) -> None:
    look(house, *days(house.now))
    house.judge()
    [expected] = house.shown("cloudspend_daily_cost_expected", "service").values()
    [upper] = house.shown("cloudspend_daily_cost_expected_upper", "service").values()
    [score] = house.shown("cloudspend_daily_cost_anomaly_score", "service").values()
    assert expected == pytest.approx(10, rel=0.01)
    assert upper > expected
    assert score < 1


def test_a_first_spend_is_told_for_a_week_and_the_first_look_is_silent(house: House) -> None:
    look(house, *days(house.now))
    house.judge()
    assert house.shown("cloudspend_first_spend_cost", "kind", "name") == {}
    look(house, *days(house.now), row("2024-09-20", "3", region="ap-east-1"))
    told = {("region", "ap-east-1"): 3.0}
    assert house.shown("cloudspend_first_spend_cost", "kind", "name") == told
    house.now += timedelta(hours=8)
    assert house.shown("cloudspend_first_spend_cost", "kind", "name") == told
    house.now += timedelta(days=8)
    house.poll("a")
    assert house.shown("cloudspend_first_spend_cost", "kind", "name") == {}


def test_older_months_that_are_read_later_are_no_first_spends(house: House) -> None:
    look(house, *days(house.now))
    house.judge()
    house.publish()
    old = row((NOW - timedelta(days=300)).date().isoformat(), "5", region="ap-east-1")
    window = Window(NOW - timedelta(days=310), NOW - timedelta(days=290))
    house.poll("a", full(old), window=window)
    look(house, *days(house.now), row("2024-09-20", "3", region="ap-east-1"))
    assert house.shown("cloudspend_first_spend_cost", "kind", "name") == {}


BUDGETS = """
budgets:
  - {name: over, amount: 150, currency: USD, period: monthly}
  - {name: fine, amount: 5000, currency: USD, period: monthly, owner: platform}
"""


def test_budgets_are_published_with_their_thresholds_as_data(house: House) -> None:
    look(house, *days(house.now))
    house.judge(BUDGETS)
    assert house.shown("cloudspend_budget_limit", "budget") == {("over",): 150, ("fine",): 5000}
    assert house.shown("cloudspend_budget_spent", "budget")["over",] == 190
    assert house.shown("cloudspend_budget_spent_settled", "budget")["over",] == 170
    thresholds = house.shown("cloudspend_budget_threshold_ratio", "budget", "threshold", "severity")
    assert thresholds["over", "80%", "warning"] == 0.8
    status = house.shown("cloudspend_budget_status", "budget", "status")
    assert (status["over", "over"], status["fine", "over"], status["fine", "on_track"]) == (1, 0, 1)
    assert ("fine", "monthly", "platform") in house.shown("cloudspend_budget_info", "budget", "period", "owner")
    over, fine = house.publish().check()["budgets"]
    assert [each["reached"] for each in over["thresholds"]] == [True, True]
    assert [each["reached"] for each in fine["thresholds"]] == [False, False]


def test_a_month_that_ends_is_closed_into_the_memory_of_the_budget(house: House) -> None:
    look(house, *days(house.now))
    house.judge(BUDGETS)
    house.publish()
    house.now = datetime(2024, 10, 2, 12, tzinfo=UTC)
    look(house, *days(house.now))
    assert house.shown("cloudspend_budget_spent", "budget")["over",] == 10
    with house.state() as state:
        closed = remembered(state)["over"].closed
    assert [(each.period_id, each.spent) for each in closed][-1] == ("monthly/2024-09-01", Decimal(300))


def test_a_snapshot_that_was_judged_changes_at_midnight(house: House) -> None:
    look(house, *days(house.now))
    assert house.publish().manifest.next_change_at == NOW + timedelta(hours=36)
    house.judge()
    assert house.publish().manifest.next_change_at == datetime(2024, 9, 21, tzinfo=UTC)


def test_the_forecast_of_the_month_stands_beside_the_month_to_date(house: House) -> None:
    look(house, *days(house.now))
    house.judge()
    [total] = house.shown("cloudspend_month_forecast_cost", "provider").values()
    [low] = house.shown("cloudspend_month_forecast_cost_lower", "provider").values()
    [high] = house.shown("cloudspend_month_forecast_cost_upper", "provider").values()
    [until_now] = house.shown("cloudspend_month_to_date_nowcast_cost", "provider").values()
    assert total == pytest.approx(300, rel=0.02)
    assert low <= total <= high
    assert 185 <= until_now <= 200


def test_a_judgement_that_fails_is_shown_as_failed_and_hides_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(house, *days(house.now))
    house.judge(BUDGETS)

    def broken(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(judgement, "evaluate", broken)
    failed = house.shown("cloudspend_judgement_failed", "judgement")
    assert failed == {("anomalies",): 1, ("tripwire",): 0, ("budgets",): 0, ("forecasts",): 0}
    assert house.shown("cloudspend_daily_cost", "service") == {("s",): 10}
    assert house.shown("cloudspend_budget_limit", "budget")["over",] == 150


def test_what_is_switched_off_is_not_there(house: House) -> None:
    look(house, *spiked(house))
    house.judge("anomalies: {enabled: false}\nforecasts: {enabled: false}")
    assert house.shown("cloudspend_anomalies", "severity") == {}
    assert house.shown("cloudspend_month_forecast_cost", "provider") == {}
    assert set(house.shown("cloudspend_judgement_failed", "judgement")) == {("tripwire",), ("budgets",)}
