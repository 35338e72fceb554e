"""A file of rates between two polls: read again, and never worse than it last was."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from exporter import snapshot
from exporter.clock import Clock
from exporter.config import CurrencySettings, load
from exporter.costs import Bill, BilledRate, CostTable
from exporter.errors import UnknownRate
from exporter.normalise.currency import Rates
from exporter.periods import Month
from exporter.polling import worker
from exporter.polling.rates import current, with_bills
from exporter.polling.sources import Paths, Registry
from exporter.store.state import SourceState
from tests.costs.rows import row
from tests.polling.house import House, full

DAY = date(2024, 9, 20)
AUGUST, SEPTEMBER = Month(2024, 8), Month(2024, 9)


def told(name: str, **rates: tuple[Month, str]) -> SourceState:
    return SourceState(name, rates={key: BilledRate(month, Decimal(rate)) for key, (month, rate) in rates.items()})


def test_the_bills_own_rates_are_for_those_without_another_and_only_where_asked(paths: Paths) -> None:
    bills = [told("a", EUR=(SEPTEMBER, "1.5"), HUF=(SEPTEMBER, "0.003"))]
    asked = CurrencySettings(rates={"EUR": Decimal("1.1")}, rates_from="bill")
    rates = with_bills(Rates(asked), bills)
    assert (rates.rate("EUR", DAY), rates.rate("HUF", DAY)) == (Decimal("1.1"), Decimal("0.003"))
    silent = with_bills(Rates(CurrencySettings()), bills)
    with pytest.raises(UnknownRate):
        silent.rate("HUF", DAY)


def test_a_quote_of_the_file_goes_first_from_its_day_on(file: Path, paths: Paths) -> None:
    write(file, "2024-09-02,EUR,1.1062")
    rates = current(CurrencySettings(rates_file=file, rates_from="bill"), paths)
    assert rates is not None
    rates = with_bills(rates, [told("a", EUR=(AUGUST, "1.5"))])
    assert (rates.rate("EUR", date(2024, 9, 1)), rates.rate("EUR", DAY)) == (Decimal("1.5"), Decimal("1.1062"))


def test_the_newest_month_of_any_bill_counts_and_of_two_alike_the_first() -> None:
    bills = [told("a", EUR=(AUGUST, "1")), told("b", EUR=(SEPTEMBER, "2")), told("c", EUR=(SEPTEMBER, "3"))]
    assert with_bills(Rates(CurrencySettings(rates_from="bill")), bills).rate("EUR", DAY) == 2


def test_a_bills_rate_is_remembered_said_and_published(tmp_path: Path) -> None:
    house = House(tmp_path, rates=Rates(CurrencySettings(rates_from="bill")))
    rates = {"EUR": BilledRate(SEPTEMBER, Decimal("1.25"))}
    house.add("a", full(row("2024-09-17", "2", "EUR"), row("2024-09-17", "1", "HUF"), rates=rates, made_of="monday"))
    house.poll("a")
    assert house.shown("cloudspend_exchange_rate", "from_currency", "to_currency") == {("EUR", "USD"): 1.25}
    assert house.shown("cloudspend_converted_daily_cost") == {(): 2.5}
    assert house.shown("cloudspend_unconverted_cost", "currency") == {("HUF",): 1}
    # Files that have not changed are not read, and what they said still counts.
    house.poll("a", lambda _ask: Bill(CostTable.nothing(), (), made_of="monday", unchanged=True))
    with house.state() as state:
        said = state.source("a").notes
    assert house.shown("cloudspend_exchange_rate") == {(): 1.25}
    assert said == {"exchange_rate": "the bill is told in US dollars too: 1 EUR = 1.25 USD in 2024-09"}
    house.poll("a", full(row("2024-09-17", "2", "EUR")))
    assert house.shown("cloudspend_exchange_rate") == {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "daily.csv"
    write(path, "2024-09-02,EUR,1.1062", "2024-09-02,GBP,1.3140")
    return path


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "data").mkdir()
    return Paths(tmp_path / "data")


def write(path: Path, *rows: str) -> None:
    path.write_text("\n".join(["date,currency,rate", *rows]))


def rate(settings: CurrencySettings, paths: Paths, currency: str = "EUR") -> Decimal:
    rates = current(settings, paths)
    assert rates is not None
    assert rates.settings == settings
    return rates.rate(currency, DAY)


def test_where_nothing_is_configured_there_are_no_rates_and_no_files(paths: Paths) -> None:
    assert current(None, paths) is None
    assert rate(CurrencySettings(rates={"EUR": Decimal(2)}), paths) == 2
    assert list(paths.root.iterdir()) == []


def test_a_new_row_counts_from_the_next_run_on(file: Path, paths: Paths) -> None:
    settings = CurrencySettings(rates_file=file)
    assert rate(settings, paths) == Decimal("1.1062")
    write(file, "2024-09-02,EUR,1.1062", "2024-09-20,EUR,1.1151")
    assert rate(settings, paths) == Decimal("1.1151")


@pytest.mark.parametrize("harm", ["cut", "gone", "zero"])
def test_a_file_that_goes_bad_changes_nothing_and_is_logged_once(
    file: Path, paths: Paths, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    caplog.set_level("INFO")
    settings = CurrencySettings(rates_file=file, rates={"GBP": Decimal("1.25")})
    assert rate(settings, paths) == Decimal("1.1062")
    if harm == "gone":
        file.unlink()
    else:
        write(file, "2024-09-02,EUR,0" if harm == "zero" else "2024-09-02,EU")
    assert [rate(settings, paths), rate(settings, paths)] == [Decimal("1.1062")] * 2
    assert rate(settings, paths, "GBP") == Decimal("1.25")
    assert [record.message for record in caplog.records] == ["the exchange rates cannot be read"]
    assert str(file) in str(caplog.records[0].fields["error"])  # type: ignore[attr-defined]
    write(file, "2024-09-19,EUR,1.2")
    assert [rate(settings, paths), rate(settings, paths)] == [Decimal("1.2")] * 2
    assert [record.message for record in caplog.records][1:] == ["the exchange rates can be read again"]


def test_a_file_that_was_never_good_leaves_the_table(file: Path, paths: Paths) -> None:
    file.write_text("nonsense")
    settings = CurrencySettings(rates_file=file, rates={"GBP": Decimal("1.25")})
    assert rate(settings, paths, "GBP") == Decimal("1.25")
    with pytest.raises(UnknownRate):
        rate(settings, paths, "EUR")


def test_what_is_remembered_is_exact_and_damage_to_it_is_survived(file: Path, paths: Paths) -> None:
    settings = CurrencySettings(rates_file=file)
    write(file, "2024-09-02,EUR,0.0000001000000000000000000000000001")
    exact = rate(settings, paths)
    file.unlink()
    assert rate(settings, paths) == exact
    (paths.root / "rates.csv").write_text("nonsense")
    with pytest.raises(UnknownRate):
        rate(settings, paths)


def test_the_worker_converts_as_the_configuration_says(
    file: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"""
store: {{path: {paths.root}}}
currency: {{reporting: GBP, rates: {{USD: 0.75}}, rates_file: {file}}}
sources: [{{name: demo, provider: demo}}]
"""
    write(file, "2024-03-01,EUR,0.85")
    config = load(text, Registry(), folder=paths.root, environment={})
    monkeypatch.setenv("CLOUDSPEND_NOW", "2024-03-15T12:00:00Z,frozen")  # the demo has a clock of its own
    worker.run(config, Clock.from_environment(may_freeze=True))
    published = snapshot.load(paths.snapshots)
    assert published is not None
    scrape = published.plain.decode()
    rates = {"USD": Decimal("0.75"), "EUR": Decimal("0.85")}
    for currency, rate in rates.items():
        assert f'cloudspend_exchange_rate{{from_currency="{currency}",to_currency="GBP"}} {rate}' in scrape
    billed, shown = common_day(scrape, ""), common_day(scrape, "converted_")
    assert {currency for _, currency in billed} == set(rates)
    assert shown == {(provider, "GBP"): amount * rates[currency] for (provider, currency), amount in billed.items()}


def common_day(scrape: str, which: str) -> dict[tuple[str, str], Decimal]:
    """(provider, currency) → amount."""
    line = rf'^cloudspend_{which}common_day_cost{{provider="(.*)",currency="(.*)"}} (.*)$'
    return {(provider, currency): Decimal(amount) for provider, currency, amount in re.findall(line, scrape, re.M)}
