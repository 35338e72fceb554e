"""The cap on what asking may cost, as arithmetic."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.budget import Caps, Purse, due, month_end
from tests.polling.house import HOUR, at

NOW = at("2024-09-20T12:00:00")
REGULAR = NOW + timedelta(hours=7, minutes=30)
BEGUN = at("2024-10-01T00:30:00")
"""The new month, and the share by which the regular poll comes early."""


def purse(limit: str, spent: str) -> Purse:
    return Purse(Decimal(limit), Decimal(spent))


def test_a_cap_of_nothing_is_a_cap_and_none_is_none() -> None:
    assert Caps(own=Decimal(0))
    assert Caps(overall=Decimal(5))
    assert not Caps()


@pytest.mark.parametrize(("spent", "near"), [("0", False), ("3.99", False), ("4", True), ("6", True)])
def test_a_purse_is_near_its_end_from_four_fifths_on(spent: str, near: bool) -> None:
    assert purse("5", spent).near is near


def test_what_fits_is_not_stretched_and_what_does_not_is_by_as_much_as_it_is_too_dear() -> None:
    assert purse("5", "4").stretch(Decimal("0.02"), Decimal(1)) == 1
    assert purse("5", "4").stretch(Decimal("0.02"), Decimal(3)) == 3
    assert purse("5", "4").stretch(Decimal(0), Decimal(0)) == 1


def test_where_not_even_the_next_poll_fits_nothing_is_asked_until_the_next_month() -> None:
    assert purse("5", "4.99").stretch(Decimal("0.02"), Decimal(3)) is None
    assert due(NOW, REGULAR, 8 * HOUR, None) == BEGUN
    assert purse("5", "7").stretch(Decimal(0), Decimal(0)) is None


def test_a_stretched_poll_comes_later_and_at_the_latest_when_the_new_month_has_begun() -> None:
    assert due(NOW, REGULAR, 8 * HOUR, Decimal(1)) == REGULAR
    assert due(NOW, REGULAR, 8 * HOUR, Decimal(2)) == NOW + timedelta(hours=15)
    assert due(NOW, REGULAR, 8 * HOUR, Decimal(10**6)) == BEGUN
    assert due(at("2024-09-30T23:00:00"), at("2024-10-01T07:00:00"), 8 * HOUR, Decimal(5)) == at("2024-10-01T07:00:00")


def test_a_month_ends_when_the_next_begins() -> None:
    assert month_end(at("2024-12-31T23:59:59")) == at("2025-01-01T00:00:00")
    assert month_end(at("2025-01-01T00:00:00")) == at("2025-02-01T00:00:00")


@given(st.decimals(1, 1000, places=2), st.integers(0, 100), st.decimals("0.01", 5, places=2), st.integers(1, 2000))
def test_stretched_by_that_the_rest_of_the_month_costs_what_is_left(
    limit: Decimal, percent: int, price: Decimal, polls: int
) -> None:
    purse = Purse(limit, limit * percent / 100)
    stretch = purse.stretch(price, price * polls)
    if stretch is None:
        assert price > purse.left
    else:
        assert price * polls / stretch <= purse.left * Decimal("1.000000001")
        assert stretch == 1 or price * polls > purse.left
