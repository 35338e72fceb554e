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
from exporter.errors import UnknownRate
from exporter.polling import worker
from exporter.polling.rates import current
from exporter.polling.sources import Paths, Registry

DAY = date(2024, 9, 20)


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
