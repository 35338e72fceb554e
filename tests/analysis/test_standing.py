"""The published forecast of the month: exact where it is settled, all charges but credits, taxes with the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.forecasts import MonthForecast, charges, standing
from exporter.analysis.forecasts.replay import replay, whole_months
from exporter.costs import ChargeCategory, Cost, CostRow, CostTable
from exporter.periods import DAY, Month, Window

FIRST = date(2024, 1, 1)
NOW = datetime(2024, 5, 12, 12, tzinfo=UTC)
SETTLED = date(2024, 5, 10)


def row(day: date, billed: str | Decimal, **changes: object) -> CostRow:
    plain = CostRow(
        start=day,
        account="111122223333",
        service="Compute",
        region="eu",
        billed=Decimal(billed),
        currency="USD",
        provider="aws",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def usage(daily: str, until: date = SETTLED, first: date = FIRST, **changes: object) -> Iterator[CostRow]:
    return (row(first + timedelta(n), daily, **changes) for n in range((until - first).days + 1))


def foretold(*bills: list[CostRow], now: datetime = NOW, settled: date = SETTLED) -> list[MonthForecast]:
    window = Window.of_days(FIRST, now.date() + DAY)
    return standing([charges(CostTable.of(bill), window, settled) for bill in bills], now)


def test_the_month_is_its_settled_money_to_the_last_digit_and_a_forecast_of_the_rest() -> None:
    [found] = foretold(list(usage("10.000000000000000000000001")))
    assert (found.provider, found.currency, found.month, found.settled_until) == ("aws", "USD", Month(2024, 5), SETTLED)
    assert found.settled == Decimal("100.000000000000000000000010")
    assert float(found.total) == pytest.approx(310, abs=0.5)
    assert float(found.nowcast) == pytest.approx(115, abs=0.1)
    assert found.lower95 <= found.lower <= found.total <= found.upper <= found.upper95
    assert found.nowcast_lower <= found.nowcast <= found.nowcast_upper <= found.total


def test_fees_and_taxes_are_in_it_and_credits_are_not() -> None:
    bill = list(usage("10"))
    for month in (Month(2024, number) for number in range(1, 6)):
        bill.append(row(month.first, "100", category=ChargeCategory.PURCHASE, service="Support"))
        bill.append(row(month.first + 4 * DAY, "-55", category=ChargeCategory.CREDIT))
    [found] = foretold(bill)
    assert found.settled == 200
    assert float(found.total) == pytest.approx(410, abs=1)
    bill.append(row(SETTLED, "-7", category=ChargeCategory.PURCHASE))
    assert foretold(bill)[0].settled == 193  # a refund is a purchase that came back


@pytest.mark.parametrize(("billed", "whole"), [("60", 62), ("20", 62), (None, 62)])
def test_taxes_that_grow_beside_what_is_taxed_or_come_at_the_end_are_expected_of_the_rest(
    billed: str | None, whole: float
) -> None:
    bill = list(usage("10"))
    for number, days in ((1, 31), (2, 29), (3, 31), (4, 30)):
        bill.append(row(date(2024, number, 1), Decimal(2 * days), category=ChargeCategory.TAX))
    if billed:
        bill.append(row(date(2024, 5, 1), billed, category=ChargeCategory.TAX))
    [found] = foretold(bill)
    assert found.settled == 100 + Decimal(billed or 0)
    assert float(found.total) == pytest.approx(310 + (60 if billed == "60" else whole), abs=1)


def test_the_last_day_knows_the_month() -> None:
    bill = [*usage("10", date(2024, 5, 31)), row(date(2024, 5, 1), "62", category=ChargeCategory.TAX)]
    [found] = foretold(bill, now=datetime(2024, 5, 31, 23, 59, tzinfo=UTC), settled=date(2024, 5, 31))
    assert {found.settled, found.total, found.lower, found.upper95, found.nowcast_upper} == {Decimal(372)}


def test_currencies_and_providers_stay_apart_and_a_provider_waits_for_its_slowest_source() -> None:
    one = [*usage("10"), *usage("3", currency="EUR"), *usage("7", provider="gcp")]
    other = [*usage("1", date(2024, 5, 8))]
    window = Window.of_days(FIRST, NOW.date() + DAY)
    bills = [
        charges(CostTable.of(one), window, SETTLED),
        charges(CostTable.of(other), window, date(2024, 5, 8)),
    ]
    found = {(each.provider, each.currency): each for each in standing(bills, NOW)}
    assert list(found) == [("aws", "EUR"), ("aws", "USD"), ("gcp", "USD")]
    assert [each.settled for each in found.values()] == [30, 88, 70]
    assert [each.settled_until.day for each in found.values()] == [10, 8, 10]
    assert float(found["aws", "USD"].total) == pytest.approx(341, abs=1)


def test_a_provider_with_under_14_days_is_left_out() -> None:
    young = list(usage("5", first=SETTLED - 12 * DAY, provider="oci"))
    assert [each.provider for each in foretold(list(usage("10")), young)] == ["aws"]
    assert [each.provider for each in foretold([row(SETTLED - 13 * DAY, "5", provider="oci"), *young])] == ["oci"]
    assert foretold([]) == []


def test_a_day_on_which_the_source_was_silent_is_no_saving() -> None:
    silent = [date(2024, 5, number) for number in (6, 7, 8)]
    bill = [each for each in usage("10") if each.start not in silent]
    window = Window.of_days(FIRST, NOW.date() + DAY)
    [found] = standing([charges(CostTable.of(bill), window, SETTLED, silent=silent)], NOW)
    assert found.settled == 70
    assert float(found.total - found.settled) == pytest.approx(210, rel=0.01)


def test_the_basis_is_the_one_that_is_shown() -> None:
    bill = [replace(each, effective=Decimal(4)) for each in usage("10")]
    window, costs = Window.of_days(FIRST, NOW.date() + DAY), CostTable.of(bill)
    [found] = standing([charges(costs, window, SETTLED, Cost.EFFECTIVE)], NOW)
    assert found.settled == 40
    unknown = frozenset({("", "aws", "USD")})
    [found] = standing([charges(costs, window, SETTLED, Cost.EFFECTIVE, unknown)], NOW)
    assert found.settled == 100


def test_past_month_ends_say_how_good_it_is() -> None:
    [calm] = foretold(list(usage("10")))
    assert calm.error == pytest.approx(0, abs=0.001)
    assert calm.coverage == 1
    random = np.random.default_rng(3)
    wild = [row(FIRST + timedelta(n), str(round(amount, 2))) for n, amount in enumerate(random.lognormal(2, 1, 131))]
    [found] = foretold(wild)
    assert found.error is not None
    assert 0.02 < found.error < 0.6
    [young] = foretold(list(usage("10", first=date(2024, 4, 18))))
    assert (young.error, young.coverage) == (None, None)


def test_a_replay_knows_nothing_of_what_came_later() -> None:
    random = np.random.default_rng(1)
    days = [FIRST + timedelta(n) for n in range(152)]
    matrix = random.normal(100, 5, (3, 152))
    before = replay(matrix, days)
    assert [str(month) for month in before.months] == ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05"]
    assert np.isnan(before.said[:, 0, :2]).all()  # under 14 days
    changed = matrix.copy()
    changed[:, 116:] = 9999  # from 26 April on
    after = replay(changed, days)
    assert after.said[:, :3] == pytest.approx(before.said[:, :3], nan_ok=True)
    assert after.said[:, 3] == pytest.approx(before.said[:, 3])
    assert (after.errors[:, 3] > before.errors[:, 3]).all()
    assert before.came[:, 1] == pytest.approx(matrix[:, 31:60].sum(axis=1))


def test_only_months_that_lie_within_the_days_are_whole() -> None:
    assert whole_months([date(2024, 1, 2) + timedelta(n) for n in range(59)]) == [Month(2024, 2)]
    assert whole_months([date(2024, 1, 2) + timedelta(n) for n in range(58)]) == []
    assert whole_months([]) == []


@given(st.integers(0, 1000), st.integers(-3, 3))
@settings(deadline=None, max_examples=10)
def test_a_bill_ten_times_as_high_has_a_forecast_ten_times_as_high(seed: int, power: int) -> None:
    random = np.random.default_rng(seed)
    amounts = [Decimal(str(round(amount, 2))) for amount in random.lognormal(4, 0.3, 131)]
    taxes = [row(date(2024, number, 1), "31.5", category=ChargeCategory.TAX) for number in range(1, 5)]

    def times(factor: Decimal) -> MonthForecast:
        bill = [row(FIRST + timedelta(n), amount) for n, amount in enumerate(amounts)]
        return foretold([replace(each, billed=each.billed * factor) for each in (*bill, *taxes)])[0]

    one, many = times(Decimal(1)), times(Decimal(10) ** power)
    for name in ("total", "lower", "upper", "lower95", "upper95", "nowcast", "nowcast_lower", "nowcast_upper"):
        assert float(getattr(many, name)) == pytest.approx(float(getattr(one, name)) * 10**power, rel=1e-6, abs=2e-6)
