"""Amounts keep every digit."""

from __future__ import annotations

import re
from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.costs.money import LIMIT, MONEY, RATIO, add, stored, text

amounts = st.decimals(-LIMIT + 1, LIMIT - 1, places=24)
any_length = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=90),
    st.integers(-60, 30),
)
"""More digits than either context has, zeros before and behind, minus zero."""


@given(amounts)
def test_the_text_of_an_amount_reads_back_as_the_amount(amount: Decimal) -> None:
    written = text(amount)
    assert Decimal(written) == amount
    assert "e" not in written.lower()
    assert written == "0" or not written.startswith("-0") or "." in written
    if "." in written:
        assert not written.endswith(("0", "."))


@given(any_length)
def test_an_amount_of_any_length_is_written_whole_and_in_one_way(amount: Decimal) -> None:
    written = text(amount)
    assert Decimal(written) == amount
    assert re.fullmatch(r"0|-?(0|[1-9]\d*)\.\d*[1-9]|-?[1-9]\d*", written)


@given(any_length)
def test_equal_amounts_are_written_alike(amount: Decimal) -> None:
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    assert text(Decimal((sign, (*digits, 0, 0, 0), exponent - 3))) == text(amount)


@given(st.lists(amounts, max_size=20))
def test_a_sum_does_not_depend_on_the_order(values: list[Decimal]) -> None:
    assert add(*values) == add(*reversed(values))
    assert add(*values, *(value.copy_negate() for value in values)) == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("1.50", "1.5"),
        ("1E-7", "0.0000001"),
        ("-1.230E-9", "-0.00000000123"),
        ("1E+3", "1000"),
        ("1500.00", "1500"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("0E-24", "0"),
        ("-0E+5", "0"),
        ("-2.6137", "-2.6137"),
        ("9" * 61 + "0." + "0" * 30, "9" * 61 + "0"),
        ("0." + "1" * 70 + "0", "0." + "1" * 70),
    ],
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
