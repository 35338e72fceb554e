"""The matrix of usage that is judged."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np

from exporter.analysis.series import ALL, Scope, usage
from exporter.costs import ChargeCategory, CostTable
from exporter.periods import Window
from tests.costs.rows import row

WEEK = Window.of_days(date(2026, 3, 1), date(2026, 3, 8))


def test_days_before_the_first_charge_are_unknown_and_later_ones_without_one_are_zero() -> None:
    series = usage(CostTable.of([row("2026-03-03", "10"), row("2026-03-05", "4")]), WEEK)
    assert series.days[0] == date(2026, 3, 1)
    assert len(series.days) == 7
    np.testing.assert_array_equal(series.values, [[np.nan, np.nan, 10, 0, 4, 0, 0]])
    assert series.scopes == (Scope("", "aws", "a", "s", "r", "USD"),)


def test_only_usage_counts_and_no_money_that_came_back() -> None:
    fees = [row("2026-03-02", "500", category=kind) for kind in ChargeCategory if kind is not ChargeCategory.USAGE]
    back = row("2026-03-02", "-3", charge_class="Correction")
    series = usage(CostTable.of([row("2026-03-02", "10"), back, *fees]), WEEK)
    assert series.values[0, 1] == 10
    assert len(series.scopes) == 1


def test_effective_cost_is_used_where_the_bill_knows_it_and_billed_where_not() -> None:
    known = row("2026-03-02", "0", effective=Decimal(8), service="EC2")
    unknown = row("2026-03-02", "5", effective=Decimal(0), service="COMPUTE", provider="oci")
    series = usage(CostTable.of([known, row("2026-03-02", "1", service="S3"), unknown]), WEEK)
    found = {scope.service: value for scope, value in zip(series.scopes, series.values[:, 1], strict=True)}
    assert found == {"EC2": 8, "S3": 1, "COMPUTE": 5}


def test_two_currencies_are_two_series() -> None:
    series = usage(CostTable.of([row("2026-03-02", "1"), row("2026-03-02", "2", "EUR")]), WEEK)
    assert [scope.currency for scope in series.scopes] == ["EUR", "USD"]


def test_a_window_without_charges_has_its_days_and_no_series() -> None:
    series = usage(CostTable.nothing(), WEEK)
    assert series.values.shape == (0, 7)


def test_a_series_cut_in_time_keeps_what_was_known() -> None:
    series = usage(CostTable.of([row("2026-03-03", "10"), row("2026-03-05", "4")]), WEEK)
    assert series.until(date(2026, 3, 4)).values.shape == (1, 4)
    np.testing.assert_array_equal(series.since(date(2026, 3, 4)).values, [[0, 4, 0, 0]])


def test_a_scope_holds_what_it_leaves_open() -> None:
    line = Scope("bill", "aws", "prod", "EC2", "east", "USD")
    assert line.holds(line)
    assert line._replace(account=ALL).holds(line)
    assert not line.holds(line._replace(account=ALL))
    assert not line._replace(account=ALL).holds(line._replace(region="west"))
