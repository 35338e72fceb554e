"""The rate that a bill in files has itself: exact sums in both currencies, and never a reason to refuse the bill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import Bill, BilledRate
from exporter.periods import Month
from tests.providers import test_azure_export as azure
from tests.providers.test_focus import fetch

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,x_BilledCostInUsd"


def bill(tmp_path: Path, *rows: str, header: str = HEADER) -> Bill:
    (tmp_path / "bill.csv").write_text("\n".join([header, *rows, ""]))
    return fetch(tmp_path / "bill.csv")


def charge(billed: str, dollars: str, currency: str = "EUR", month: str = "2024-09", kind: str = "Usage") -> str:
    return f"{billed},{currency},{month}-01,{kind},{month}-02,Microsoft,{dollars}"


def test_it_is_the_quotient_of_the_exact_sums_of_the_newest_month(tmp_path: Path) -> None:
    rows = [
        charge("100", "200", month="2024-08"),
        charge("0.000000000000000000000001", "0.000000000000000000000002"),
        charge("3", "3.3"),
        charge("4", "1", "HUF", month="2024-08"),
        charge("7", "7", "USD"),
    ]
    found = bill(tmp_path, *rows)
    # (3.3 + 2e-24) / (3 + 1e-24), by hand: 1.1 + (2 - 1.1) / 3 × 1e-24 = 1.1 + 0.3e-24
    assert found.rates == {
        "EUR": BilledRate(Month(2024, 9), Decimal("1.100000000000000000000000")),
        "HUF": BilledRate(Month(2024, 8), Decimal("0.25")),
    }
    assert bill(tmp_path, charge("3", "1")).rates["EUR"].rate == Decimal("0.333333333333333333333333")


def test_money_that_comes_back_does_not_bend_it(tmp_path: Path) -> None:
    rows = [charge("10", "11"), charge("-9.99", "-10.5", kind="Credit"), charge("0", "0.4")]
    assert bill(tmp_path, *rows).rates["EUR"].rate == Decimal("1.1")


@pytest.mark.parametrize("dollars", ["", "NULL", "n/a", "-1", "0", "1e99"])
def test_a_cell_that_is_no_amount_is_left_out_and_the_bill_stands(dollars: str, tmp_path: Path) -> None:
    found = bill(tmp_path, charge("10", "11"), charge("5", dollars))
    assert (found.costs.sum(), found.rates["EUR"].rate) == (15, Decimal("1.1"))
    alone = bill(tmp_path, charge("5", dollars))
    assert (alone.costs.sum(), alone.rates) == (5, {})


def test_finer_amounts_than_are_kept_are_rounded_and_not_counted_as_the_bills(tmp_path: Path) -> None:
    found = bill(tmp_path, charge("1", "1.12345678901234567890123456"))
    assert (found.rates["EUR"].rate, found.rounded) == (Decimal("1.123456789012345678901235"), 0)


def test_a_row_without_it_is_whole(tmp_path: Path) -> None:
    found = bill(tmp_path, charge("10", "11"), "5,EUR,2024-09-01,Usage,2024-09-03,Microsoft")
    assert (found.costs.sum(), found.rates["EUR"].rate) == (15, Decimal("1.1"))


def test_a_bill_in_one_currency_alone_has_none(tmp_path: Path) -> None:
    header = HEADER.removesuffix(",x_BilledCostInUsd")
    assert bill(tmp_path, "5,EUR,2024-09-01,Usage,2024-09-03,Microsoft", header=header).rates == {}


def test_the_rate_is_that_of_the_actual_costs_where_azures_native_export_has_dollars(tmp_path: Path) -> None:
    names = [*azure.EA, "CostInUsd"]
    for kind, dollars in (("ActualCost", "1.1"), ("AmortizedCost", "2")):
        path = tmp_path / kind / "bill.csv"
        path.parent.mkdir()
        path.write_bytes(azure.table([azure.row("1", CostInUsd=dollars)], names, names))
    found = azure.fetch(actual=tmp_path / "ActualCost", amortized=tmp_path / "AmortizedCost")
    assert found.rates == {"EUR": BilledRate(Month(2024, 9), Decimal("1.1"))}
