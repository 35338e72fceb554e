"""What the money families show of a stored bill."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import ChargeCategory, Cost
from exporter.periods import DAY
from tests.costs.rows import row
from tests.polling.house import HOUR, House, at, full


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def polled(house: House, name: str = "a", *rows: object, **more: object) -> None:
    house.add(name, full(*rows, **more))  # type: ignore[arg-type]
    house.poll(name)


def test_daily_cost_is_that_of_the_latest_settled_day(house: House) -> None:
    polled(house, "a", row("2024-09-16", "1"), row("2024-09-17", "2"), row("2024-09-18", "4"), row("2024-09-20", "8"))
    assert house.shown("cloudspend_daily_cost", "source") == {("a",): 2}
    assert house.shown("cloudspend_data_end_timestamp_seconds") == {(): at("2024-09-18T00:00:00").timestamp()}
    assert house.shown("cloudspend_newest_charge_timestamp_seconds") == {(): at("2024-09-21T00:00:00").timestamp()}


def test_month_to_date_holds_days_that_still_move_and_nothing_of_the_month_before(house: House) -> None:
    polled(house, "a", row("2024-08-31", "1"), row("2024-09-01", "2"), row("2024-09-20", "4"))
    assert house.shown("cloudspend_month_to_date_cost", "source") == {("a",): 6}
    assert house.shown("cloudspend_previous_month_cost", "source") == {("a",): 1}
    assert house.shown("cloudspend_month_start_timestamp_seconds") == {(): at("2024-09-01T00:00:00").timestamp()}


def test_the_month_rolls_over_by_the_clock(house: House) -> None:
    polled(house, "a", row("2024-09-29", "2"), row("2024-09-30", "4"))
    house.now = at("2024-10-01T00:05:00")
    house.poll("a")
    assert house.shown("cloudspend_month_to_date_cost", "source") == {}
    assert house.shown("cloudspend_previous_month_cost", "source") == {("a",): 6}
    assert house.shown("cloudspend_previous_month_closed", "source") == {("a",): 0}
    house.now = at("2024-10-09T23:00:00")
    house.poll("a")
    house.now = at("2024-10-10T00:00:00")
    assert house.shown("cloudspend_previous_month_closed", "source") == {("a",): 0}, "it was not read since"
    house.poll("a")
    assert house.shown("cloudspend_previous_month_closed", "source") == {("a",): 1}


def test_every_charge_category_is_a_line_and_their_sum_is_the_invoice(house: House) -> None:
    polled(
        house,
        "a",
        row("2024-09-01", "10"),
        row("2024-09-01", "-15", category=ChargeCategory.CREDIT),
        row("2024-09-01", "2", category=ChargeCategory.TAX),
    )
    shown = house.shown("cloudspend_month_to_date_cost", "charge_category")
    assert shown == {("usage",): 10, ("credit",): -15, ("tax",): 2}
    assert sum(shown.values()) == -3


def test_currencies_are_never_added(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1"), row("2024-09-17", "2", "EUR"), row("2024-09-17", "4", "CAD"))
    for metric in ("cloudspend_daily_cost", "cloudspend_common_day_cost", "cloudspend_billed_month_to_date_cost"):
        assert house.shown(metric, "currency") == {("USD",): 1, ("EUR",): 2, ("CAD",): 4}


def test_the_common_day_is_the_newest_that_is_settled_everywhere(house: House) -> None:
    polled(house, "fast", row("2024-09-15", "1"), row("2024-09-17", "2"))
    slow = [row("2024-09-15", "16", account="b"), row("2024-09-17", "32", account="b")]
    house.add("slow", full(*slow), settles_after=96 * HOUR)
    house.poll("slow")
    polled(house, "history", row("2022-01-01", "64"))
    assert house.shown("cloudspend_common_day_cost", "provider") == {("aws",): 17}


def test_a_bill_that_does_not_know_the_basis_shows_billed_and_says_so(house: House) -> None:
    house.basis = Cost.EFFECTIVE
    polled(
        house,
        "a",
        row("2024-09-17", "10", effective=Decimal(8)),
        row("2024-09-17", "5", provider="oci", effective=Decimal(0)),
    )
    polled(house, "b", row("2024-09-17", "3", provider="gcp", effective=Decimal(0)))
    assert house.shown("cloudspend_daily_cost", "provider") == {("aws",): 8, ("oci",): 5, ("gcp",): 3}
    assert house.shown("cloudspend_billed_month_to_date_cost", "provider") == {("aws",): 10, ("oci",): 5, ("gcp",): 3}
    assert set(house.shown("cloudspend_source_info", "source", "cost_basis")) == {("a", "mixed"), ("b", "billed")}


def test_amounts_are_written_to_the_last_digit(house: House) -> None:
    polled(house, "a", row("2024-09-17", "0.000000000000000000000001"))
    line = next(
        line for line in house.publish().plain.decode().splitlines() if line.startswith("cloudspend_daily_cost{")
    )
    assert line.endswith(" 0.000000000000000000000001")


def test_a_source_never_polled_shows_nothing(house: House) -> None:
    house.add("a", full(row("2024-09-17", "1")))
    snapshot = house.publish()
    assert snapshot.plain == b""
    assert snapshot.manifest.sources == {}


def test_data_past_its_age_disappears_rather_than_lies(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1"))
    polled(house, "b", row("2024-09-17", "2", provider="gcp"))
    manifest = house.publish().manifest
    assert manifest.expires_at == house.now + 37 * HOUR
    house.now += 36 * HOUR - timedelta(seconds=1)
    assert set(house.shown("cloudspend_month_to_date_cost", "source")) == {("a",), ("b",)}
    house.poll("b")
    house.now += timedelta(seconds=1)
    assert set(house.shown("cloudspend_month_to_date_cost", "source")) == {("b",)}


def test_the_next_change_by_the_clock_is_the_earlier_of_rollover_and_age(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1"))
    assert house.publish().manifest.next_change_at == house.now + 36 * HOUR
    house.now = at("2024-09-30T23:00:00")
    house.poll("a")
    assert house.publish().manifest.next_change_at == at("2024-10-01T00:00:00")


def test_the_account_names_shown_are_those_of_accounts_with_costs(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1", account="1"), accounts={"1": "One", "2": "Two"})
    assert set(house.shown("cloudspend_account_info", "provider", "account", "name")) == {("aws", "1", "One")}


def test_past_its_limit_a_source_shows_its_largest_lines_and_the_exact_rest(house: House) -> None:
    rows = [row("2024-09-17", f"{amount}.25", service=f"s{amount}") for amount in range(1, 8)]
    credit = row("2024-09-17", "-100", service="s1", category=ChargeCategory.CREDIT)
    house.add("a", full(*rows, credit), series_limit=4)
    house.poll("a")
    shown = house.shown("cloudspend_daily_cost", "service", "charge_category")
    assert shown == {
        ("s1", "usage"): 1.25,
        ("s1", "credit"): -100,
        ("s7", "usage"): 7.25,
        ("s6", "usage"): 6.25,
        ("other", "usage"): 2.25 + 3.25 + 4.25 + 5.25,
    }
    assert house.shown("cloudspend_daily_cost", "account", "region", "service", "charge_category").keys() >= {
        ("other", "other", "other", "usage")
    }
    with house.state() as state:
        assert state.source("a").folded == 4
        assert len(state.shown("a")) == 3
    house.sources["a"] = replace(house.sources["a"], series_limit=100)
    assert ("s2", "usage") in house.shown("cloudspend_daily_cost", "service", "charge_category")


def test_check_json_has_the_totals_of_the_metrics(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1.5"), row("2024-08-17", "0.5"), row("2024-09-19", "0.25"))
    check = house.publish().check()
    assert check["totals"] == {
        "month_to_date": [["aws", "a", "s", "USD", "1.75"]],
        "previous_month": [["aws", "a", "s", "USD", "0.5"]],
        "latest_day": [["aws", "a", "s", "USD", "1.5"]],
    }
    assert check["moving"] == {"2024-09-19": [["aws", "a", "s", "USD", "0.25"]]}
    assert check["sources"]["a"]["settled"] == (at("2024-09-17T00:00:00") + DAY).isoformat()
