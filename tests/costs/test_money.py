"""Amounts keep every digit."""

from __future__ import annotations

from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.costs.money import LIMIT, MONEY, RATIO, add, stored, text

amounts = st.decimals(-LIMIT + 1, LIMIT - 1, places=24)


@given(amounts)
def test_the_text_of_an_amount_reads_back_as_the_amount(amount: Decimal) -> None:
    written = text(amount)
    assert Decimal(written) == amount
    assert "e" not in written.lower()
    assert written == "0" or not written.startswith("-0") or "." in written
    if "." in written:
        assert not written.endswith(("0", "."))


@given(st.lists(amounts, max_size=20))
def test_a_sum_does_not_depend_on_the_order(values: list[Decimal]) -> None:
    assert add(*values) == add(*reversed(values))
    assert add(*values, *(value.copy_negate() for value in values)) == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [("1.50", "1.5"), ("1E-7", "0.0000001"), ("-0.00", "0"), ("1E+3", "1000"), ("0E-24", "0"), ("-2.6137", "-2.6137")],
)
def test_amounts_are_written_in_one_way(given: str, written: str) -> None:
    assert text(Decimal(given)) == written


def test_more_than_24_places_are_rounded_half_even() -> None:
    assert stored(Decimal("0.0000000000000000000000005")) == 0
    assert stored(Decimal("0.0000000000000000000000015")) == Decimal("0.000000000000000000000002")
    assert stored(Decimal("0.123456789012345678901234")) == Decimal("0.123456789012345678901234")


@pytest.mark.parametrize("given", ["1E14", "-1E14", "NaN", "Infinity"])
def test_what_no_stored_amount_can_hold_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        stored(Decimal(given))


def test_money_refuses_to_round_and_a_ratio_does() -> None:
    with pytest.raises(Inexact):
        MONEY.divide(Decimal(1), Decimal(3))
    assert RATIO.divide(Decimal(1), Decimal(3)) == Decimal("0." + "3" * 60)
