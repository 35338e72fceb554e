"""Conversion: exact by hand, within its stated bounds for any amount, and never by a rate that nobody gave."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import CurrencySettings
from exporter.config.rates import Quote
from exporter.costs.money import LIMIT, PLACES, RATIO, ZERO, add, text
from exporter.errors import ConfigError, UnknownRate
from exporter.normalise.currency import Rates, load

DAY = date(2024, 9, 20)


def table(reporting: str = "USD", **rates: str) -> Rates:
    return load(CurrencySettings(reporting=reporting, rates={name: Decimal(rate) for name, rate in rates.items()}))


def by_date(tmp_path: Path, *rows: str, **rates: str) -> Rates:
    (tmp_path / "rates.csv").write_text("\n".join(["date,currency,rate", *rows]))
    fixed = {name: Decimal(rate) for name, rate in rates.items()}
    return load(CurrencySettings(rates=fixed, rates_file=tmp_path / "rates.csv"))


@pytest.mark.parametrize(
    ("amount", "currency", "dollars"),
    [
        ("100", "EUR", "108.34"),
        ("0.01", "EUR", "0.010834"),
        ("-12.50", "EUR", "-13.5425"),  # a credit stays one
        ("0", "EUR", "0"),
        ("123456.789", "HUF", "345.6790092"),
        ("0.000000000000000000000001", "EUR", "0.000000000000000000000001"),
        ("0.000000000000000000000001", "HUF", "0"),
        ("99999999999999.999999999999999999999999", "EUR", "108339999999999.999999999999999999999999"),
        ("99999999999999.999999999999999999999999", "HUF", "280000000000"),
    ],
)
def test_a_converted_amount_is_the_one_computed_by_hand(amount: str, currency: str, dollars: str) -> None:
    assert text(table(EUR="1.0834", HUF="0.0028").convert(Decimal(amount), currency, DAY)) == dollars


@pytest.mark.parametrize(
    ("amount", "converted"),
    [
        ("0.000000000000000000000001", "0"),  # …0005, to the even digit
        ("0.000000000000000000000003", "0.000000000000000000000002"),  # …0015
        ("-0.000000000000000000000003", "-0.000000000000000000000002"),
    ],
)
def test_what_lies_half_way_between_two_amounts_becomes_the_even_one(amount: str, converted: str) -> None:
    assert text(table(XTS="0.5").convert(Decimal(amount), "XTS", DAY)) == converted


@pytest.mark.parametrize("amount", ["0.1", "-0.000000000000000000000001", "99999999999999.999999999999999999999999"])
def test_what_is_in_the_reporting_currency_stays_as_it_is(amount: str) -> None:
    rates = table()
    assert rates.rate("USD", DAY) == 1
    assert rates.convert(Decimal(amount), "USD", DAY) == Decimal(amount)


def test_a_currency_without_a_rate_is_said_with_its_day() -> None:
    with pytest.raises(UnknownRate, match=r"^no exchange rate from HUF to USD on 2024-09-20$"):
        table(EUR="1.0834").convert(Decimal(1), "HUF", DAY)


@pytest.mark.parametrize("currency", ["", "eur", "EURO"])
def test_what_is_no_currency_has_no_rate(currency: str) -> None:
    with pytest.raises(UnknownRate):
        table(EUR="1.0834").rate(currency, DAY)


def test_there_is_no_way_around_by_the_rate_back() -> None:
    with pytest.raises(UnknownRate):
        table("EUR", USD="0.92").rate("GBP", DAY)


def test_the_newest_rate_up_to_the_day_counts_in_whatever_order_they_stand(tmp_path: Path) -> None:
    rates = by_date(tmp_path, "2024-09-20,EUR,1.3", "2024-09-02,EUR,1.1", "2024-09-10,EUR,1.2", "2024-09-04,GBP,1.5")
    found = [rates.rate("EUR", date(2024, 9, day)) for day in (2, 3, 9, 10, 19, 20, 30)]
    assert [text(rate) for rate in found] == ["1.1", "1.1", "1.1", "1.2", "1.2", "1.3", "1.3"]
    with pytest.raises(UnknownRate, match="from EUR to USD on 2024-09-01"):
        rates.rate("EUR", date(2024, 9, 1))


def test_the_table_wins_over_the_file_for_its_currencies_alone(tmp_path: Path) -> None:
    rates = by_date(tmp_path, "2024-09-02,EUR,1.1", "2024-09-02,GBP,1.3", EUR="1.0834")
    assert rates.rate("EUR", DAY) == Decimal("1.0834")
    assert rates.rate("EUR", date(2000, 1, 1)) == Decimal("1.0834")
    assert rates.rate("GBP", DAY) == Decimal("1.3")


def test_the_next_change_is_that_of_a_rate_which_counts(tmp_path: Path) -> None:
    rates = by_date(tmp_path, "2024-09-20,GBP,1", "2024-09-21,EUR,1", "2024-09-25,GBP,2", "2024-09-23,HUF,2", EUR="1.1")
    assert rates.next_change(DAY) == date(2024, 9, 23)
    assert rates.next_change(date(2024, 9, 25)) is None
    assert table(EUR="1").next_change(DAY) is None


def test_a_bad_file_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        by_date(tmp_path, "2024-09-02,EUR,0")
    assert str(caught.value) == f"{tmp_path}/rates.csv: row 2: an exchange rate must be more than 0, not '0'"


amounts = st.decimals(-LIMIT + 1, LIMIT - 1, allow_nan=False, allow_infinity=False, places=PLACES)
quotes = st.decimals(Decimal("1E-6"), Decimal("1E6"), allow_nan=False, allow_infinity=False, places=12)


def dated(rate: Decimal) -> Rates:
    """Rates of any length, such as an inverse has."""
    return Rates(CurrencySettings(), {"XTS": [Quote(date.min, "XTS", rate)]})


@given(amounts, quotes)
def test_a_round_trip_stays_within_a_cent(amount: Decimal, rate: Decimal) -> None:
    there = dated(rate).convert(amount, "XTS", DAY)
    back = dated(RATIO.divide(Decimal(1), rate)).convert(there, "XTS", DAY)
    assert RATIO.abs(RATIO.subtract(back, amount)) <= Decimal("0.01")


@given(amounts, quotes)
def test_a_conversion_is_off_by_half_of_the_last_place_at_most(amount: Decimal, rate: Decimal) -> None:
    exact = RATIO.multiply(amount, rate)
    found = dated(rate).convert(amount, "XTS", DAY)
    assert RATIO.abs(RATIO.subtract(found, exact)) * 2 <= Decimal(1).scaleb(-PLACES)
    assert found == 0 or found.is_signed() == amount.is_signed()


@given(st.lists(amounts, max_size=200), quotes)
def test_converted_parts_add_up_to_the_converted_total(parts: list[Decimal], rate: Decimal) -> None:
    rates = dated(rate)
    total = rates.convert(add(*parts), "XTS", DAY)
    difference = RATIO.abs(RATIO.subtract(add(*(rates.convert(part, "XTS", DAY) for part in parts)), total))
    assert difference * 2 <= (len(parts) + 1) * Decimal(1).scaleb(-PLACES)
    assert difference <= Decimal("1E-20")


@given(st.lists(amounts, min_size=1, max_size=20), quotes, st.randoms())
def test_the_order_in_which_converted_amounts_are_added_changes_nothing(
    parts: list[Decimal], rate: Decimal, random: object
) -> None:
    made = [dated(rate).convert(part, "XTS", DAY) for part in parts]
    shuffled = list(made)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert add(*made) == add(*shuffled)
    assert add(*made, *(part.copy_negate() for part in shuffled)) == ZERO
