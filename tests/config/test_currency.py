"""What the configuration says of currencies: every digit of a rate, from the table and from a file."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.config import Config, CurrencySettings, dump, load, restore
from exporter.config.document import parse
from exporter.config.rates import Quote, read
from exporter.config.values import exchange_rate
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS

SOURCES = "sources:\n  - {name: history, provider: focus, path: bills}\n"


def loaded(currency: str, folder: Path = HERE, **environment: str) -> Config:
    return load(f"currency: {currency}\n{SOURCES}", STUBS, folder=folder, environment=environment)


def rates(written: str, **environment: str) -> dict[str, Decimal]:
    settings = loaded(f"{{rates: {written}}}", **environment).currency
    assert settings is not None
    return dict(settings.rates)


def rows(tmp_path: Path, text: str) -> tuple[Quote, ...]:
    (tmp_path / "rates.csv").write_bytes(text.encode())
    return read(tmp_path / "rates.csv", "USD")


def test_one_line_turns_conversion_on_and_none_or_an_empty_one_leaves_it_off() -> None:
    on = loaded("{reporting: CHF}").currency
    assert on == CurrencySettings(reporting="CHF")
    assert loaded("{}").currency == CurrencySettings(reporting="USD")
    assert loaded("").currency is None


@pytest.mark.parametrize(
    "written", ["1.0834", '"1.0834"', "1.08340", "1.0834e0", '"10834e-4"', "${EUR}", "${NONE:-1.0834}"]
)
def test_a_rate_is_a_number_or_a_text_or_comes_from_the_environment(written: str) -> None:
    assert rates(f"{{EUR: '{written}'}}" if "$" in written else f"{{EUR: {written}}}", EUR="1.0834") == {
        "EUR": Decimal("1.0834")
    }


@pytest.mark.parametrize("written", ["0.10000000000000000555111512312578270212", "123456789.123456789123456789", "7"])
def test_no_digit_of_a_rate_is_lost_in_a_float(written: str) -> None:
    assert rates(f"{{EUR: {written}}}") == {"EUR": Decimal(written)}
    assert rates(f"{{EUR: '{written}'}}") == {"EUR": Decimal(written)}


def test_a_number_with_a_point_is_still_a_float_to_all_others() -> None:
    value = parse("share: 1.50", "x").value["share"]
    assert (value, isinstance(value, float), value.text) == (1.5, True, "1.50")


def test_a_float_from_code_is_refused_for_its_digits_are_not_those_that_were_meant() -> None:
    with pytest.raises(ValidationError, match="must be an exchange rate such as"):
        CurrencySettings(rates={"EUR": 1.0834})  # type: ignore[dict-item]
    assert CurrencySettings(rates={"EUR": Decimal("1E-7")}).rates == {"EUR": Decimal("0.0000001")}


@pytest.mark.parametrize(
    "text",
    ["", " ", "NaN", "Infinity", "1_000", "1.", ".5", "+1.5", "0x1", "１", "1e999", "1e99999999999999999999", "1" * 61],
)
def test_what_only_python_takes_for_a_number_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is not an exchange rate such as"):
        exchange_rate(text)


@pytest.mark.parametrize(("text", "good"), [("1e-12", True), ("0.9e-12", False), ("1e12", True), ("1.1e12", False)])
def test_a_rate_far_from_one_is_a_slip(text: str, good: bool) -> None:
    if good:
        assert exchange_rate(text) == Decimal(text)
    else:
        with pytest.raises(ValueError, match="is not an exchange rate between"):
            exchange_rate(text)


def test_the_rate_of_the_reporting_currency_may_stand_as_what_it_is() -> None:
    assert rates("{USD: 1.000, EUR: 2}") == {"USD": 1, "EUR": 2}


def test_a_file_is_read_with_the_mark_and_line_ends_of_a_spreadsheet(tmp_path: Path) -> None:
    text = "\ufeffDate, Currency ,Rate\r\n2024-09-02,EUR,1.1062\r\n\r\n2024-09-02,USD,1\r\n"
    quote = Quote(date(2024, 9, 2), "EUR", Decimal("1.1062"))
    assert rows(tmp_path, text) == (quote, Quote(quote.day, "USD", Decimal(1)))
    assert rows(tmp_path, "date,currency,rate\n") == ()


@pytest.mark.parametrize("text", ["", "\n", "2024-09-02,EUR,1.1062\n", "currency,date,rate\n"])
def test_a_file_without_its_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"row 1: must be date,currency,rate$"):
        rows(tmp_path, text)


@pytest.mark.parametrize("day", ["2024-02-30", "20240902", "2024-W36-1", "2024-9-2", "٢٠٢٤-09-02"])
def test_a_day_that_is_none_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(ConfigError, match=f"row 2: '{day}' is not a date such as 2024-09-01$"):
        rows(tmp_path, f"date,currency,rate\n{day},EUR,1.1\n")


def test_a_file_that_goes_bad_later_does_not_stop_the_worker(tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("date,currency,rate\n")
    config = loaded("{rates_file: rates.csv}", tmp_path)
    file.write_text("nonsense")
    assert restore(dump(config), STUBS) == config
    with pytest.raises(ConfigError, match="row 1: must be"):
        loaded("{rates_file: rates.csv}", tmp_path)
