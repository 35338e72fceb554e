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


EDGES = [0.0, -0.0, 5e-324, -1e-10, 5e-11, 1.5e-10, 1e-24, 1.5e-24, 0.1 + 0.2, 99999.9999999999, -1e5]
EDGES += [math.nextafter(1e5, 0), math.nextafter(1e14, 0)]


def read(*doubles: float | None, type_: str = "DOUBLE") -> list[tuple[Decimal | None, bool, bool]]:
    """Of each: the amount, whether it is too fine, and whether it cannot be."""
    amount = Amount("cell", type_)
    cells = f"SELECT unnest($doubles::{type_}[]) AS cell"
    return engine.run(
        f"SELECT {amount.sql(rounding=True)}, {amount.too_fine}, {amount.wrong(needed=True, rounding=True)}"
        f" FROM ({cells})",
        {"doubles": list(doubles)},
    )


@given(st.lists(below_limit | short | neighbours, min_size=1, max_size=60))
@example(EDGES)
@settings(deadline=None, max_examples=25)
def test_a_double_means_its_shortest_decimal_whichever_way_it_is_read(doubles: list[float]) -> None:
    meant = [Decimal(repr(double)) for double in doubles]
    places = [-min(0, int(amount.normalize().as_tuple().exponent)) for amount in meant]
    expected = [(stored(amount), digits > PLACES, False) for amount, digits in zip(meant, places, strict=True)]
    assert read(*doubles) == expected


@pytest.mark.parametrize("double", [math.nan, math.inf, -math.inf, 1e14, -1e14, None])
def test_a_double_that_is_no_amount_is_wrong(double: float | None) -> None:
    assert read(double)[0][2]


@pytest.mark.parametrize(
    ("single", "meant"), [(0.1, "0.1"), (1e-7, "0.0000001"), (0.0, "0"), (99999.9921875, "99999.99")]
)
def test_a_single_means_its_own_shortest_decimal_and_not_that_of_the_double(single: float, meant: str) -> None:
    assert read(single, type_="FLOAT") == [(Decimal(meant), False, False)]
