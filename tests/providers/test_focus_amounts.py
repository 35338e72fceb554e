"""The amounts of a FOCUS file: what a double means."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.costs import engine
from exporter.costs.money import LIMIT, PLACES, stored
from exporter.providers.focus_amounts import Amount

below_limit = st.floats(-float(LIMIT), float(LIMIT), exclude_min=True, exclude_max=True)
short = st.decimals(-(10**6), 10**6, places=12).map(float)
neighbours = st.builds(
    lambda cents, places, towards: math.nextafter(cents / 10**places, towards),
    st.integers(-(10**15), 10**15),
    st.integers(1, 15),
    st.sampled_from([-math.inf, math.inf]),
).filter(lambda double: abs(double) < LIMIT)
"""One off an amount that can be written shortly."""


def read(double: float | None, type_: str = "DOUBLE") -> tuple[Decimal | None, bool, bool]:
    """The amount, whether it is too fine, and whether it cannot be."""
    amount = Amount("cell", type_)
    wrong = amount.wrong(needed=True, rounding=True)
    [found] = engine.run(
        f"SELECT {amount.sql(rounding=True)}, {amount.too_fine}, {wrong} FROM (SELECT $double::{type_} AS cell)",
        {"double": double},
    )
    return found


@given(below_limit | short | neighbours)
@example(0.0)
@example(-0.0)
@example(5e-324)
@example(-1e-10)
@example(5e-11)
@example(1.5e-10)
@example(1e-24)
@example(1.5e-24)
@example(0.1 + 0.2)
@example(99999.9999999999)
@example(math.nextafter(1e5, 0))
@example(-1e5)
@example(math.nextafter(1e14, 0))
@settings(deadline=None)
def test_a_double_means_its_shortest_decimal_whichever_way_it_is_read(double: float) -> None:
    meant = Decimal(repr(double))
    places = -min(0, int(meant.normalize().as_tuple().exponent))
    assert read(double) == (stored(meant), places > PLACES, False)


@pytest.mark.parametrize("double", [math.nan, math.inf, -math.inf, 1e14, -1e14, None])
def test_a_double_that_is_no_amount_is_wrong(double: float | None) -> None:
    assert read(double)[2]


@pytest.mark.parametrize(
    ("single", "meant"), [(0.1, "0.1"), (1e-7, "0.0000001"), (0.0, "0"), (99999.9921875, "99999.99")]
)
def test_a_single_means_its_own_shortest_decimal_and_not_that_of_the_double(single: float, meant: str) -> None:
    assert read(single, "FLOAT") == (Decimal(meant), False, False)
