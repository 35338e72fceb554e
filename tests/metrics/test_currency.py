"""The families in one currency: beside the originals, from exact sums, with the rate and what has none."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import CurrencySettings
from exporter.config.rates import Quote
from exporter.costs.money import add
from exporter.metrics.catalog import CATALOG, CONVERTED
from exporter.metrics.converted import converted
from exporter.metrics.exposition import Family
from exporter.normalise.currency import Rates
from exporter.periods import day_of
from tests.costs.rows import row
from tests.neighbours import require
from tests.polling.house import House, at, full

NOW = at("2024-09-20T12:00:00")
TODAY = day_of(NOW)
ORIGINALS = tuple(CONVERTED)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, NOW, rates=table(EUR="1.0834", HUF="0.0028"))


def table(reporting: str = "USD", **rates: str) -> Rates:
    return Rates(CurrencySettings(reporting=reporting, rates={name: Decimal(rate) for name, rate in rates.items()}))


def polled(house: House, name: str, *rows: object) -> None:
    house.add(name, full(*rows))  # type: ignore[arg-type]
    house.poll(name)


def text(house: House) -> str:
    return house.publish().plain.decode()


def lines(house: House, metric: str) -> list[str]:
    return [line for line in text(house).splitlines() if line.startswith(f"{metric}{{")]


def test_without_the_section_nothing_is_converted_and_nothing_says_so(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1"), row("2024-09-17", "2", "EUR"))
    on = text(house)
    house.rates = None
    off = text(house)
    added = {name for name, spec in CATALOG.items() if spec.section == "currency"}
    assert [
        line for line in on.splitlines() if line.replace("{", " ").split()[2 if line[0] == "#" else 0] not in added
    ] == (off.splitlines())
    assert not [name for name in added if name in off]
    assert "currency" not in house.publish().manifest.sources["a"]


def test_every_converted_family_has_the_labels_of_its_original() -> None:
    assert {CATALOG[name].labels for name in CONVERTED} == {CATALOG[name].labels for name in CONVERTED.values()}
    assert all(CATALOG[name].labels == CATALOG[into].labels for name, into in CONVERTED.items())


def test_amounts_in_several_currencies_become_one_line_computed_by_hand(house: House) -> None:
    polled(
        house,
        "a",
        row("2024-09-17", "100"),
        row("2024-09-17", "10.05", "EUR"),
        row("2024-09-17", "12345", "HUF"),
        row("2024-09-05", "1", "EUR"),
        row("2024-08-31", "2", "EUR"),
    )
    # 100 + 10.05 × 1.0834 + 12345 × 0.0028 = 100 + 10.88817 + 34.566
    labels = 'source="a",provider="aws",account="a",service="s",region="r",charge_category="usage",currency="USD"'
    assert lines(house, "cloudspend_converted_daily_cost") == [f"cloudspend_converted_daily_cost{{{labels}}} 145.45417"]
    assert lines(house, "cloudspend_converted_common_day_cost") == [
        'cloudspend_converted_common_day_cost{provider="aws",currency="USD"} 145.45417'
    ]
    assert lines(house, "cloudspend_converted_month_to_date_cost") == [
        f"cloudspend_converted_month_to_date_cost{{{labels}}} 146.53757"
    ]
    assert lines(house, "cloudspend_converted_previous_month_cost") == [
        f"cloudspend_converted_previous_month_cost{{{labels}}} 2.1668"
    ]


def test_the_originals_stay_in_their_currencies(house: House) -> None:
    polled(house, "a", row("2024-09-17", "100"), row("2024-09-17", "10", "EUR"))
    assert house.shown("cloudspend_daily_cost", "currency") == {("USD",): 100, ("EUR",): 10}


def test_the_rates_used_are_published_the_one_of_the_reporting_currency_too(house: House) -> None:
    polled(house, "a", row("2024-09-17", "1"), row("2024-09-17", "2", "EUR"))
    assert lines(house, "cloudspend_exchange_rate") == [
        'cloudspend_exchange_rate{from_currency="EUR",to_currency="USD"} 1.0834',
        'cloudspend_exchange_rate{from_currency="USD",to_currency="USD"} 1',
    ]


def test_what_is_in_the_reporting_currency_already_is_not_touched(house: House) -> None:
    house.rates = table("EUR")
    polled(house, "a", row("2024-09-17", "0.000000000000000000000001", "EUR"))
    [line] = lines(house, "cloudspend_converted_daily_cost")
    assert line.endswith('currency="EUR"} 0.000000000000000000000001')


def test_a_credit_makes_the_converted_sum_fall(house: House) -> None:
    polled(house, "a", row("2024-09-17", "10", "EUR"), row("2024-09-17", "-12.5", "EUR", service="t"))
    shown = house.shown("cloudspend_converted_daily_cost", "service")
    assert shown == {("s",): 10.834, ("t",): -13.5425}


def test_money_without_a_rate_is_seen_and_in_no_converted_family(house: House) -> None:
    house.rates = table(EUR="1.0834")
    polled(house, "a", row("2024-09-17", "1"), row("2024-09-17", "1000", "HUF"), row("2024-09-03", "24", "HUF"))
    polled(house, "b", row("2024-09-17", "5", "CAD", provider="gcp"), row("2024-08-17", "3", "CHF", provider="gcp"))
    assert house.shown("cloudspend_converted_month_to_date_cost", "source") == {("a",): 1}
    assert house.shown("cloudspend_unconverted_cost", "source", "currency") == {
        ("a", "HUF"): 1024,
        ("b", "CAD"): 5,
        ("b", "CHF"): 0,  # only the month before has some
    }
    assert house.shown("cloudspend_exchange_rate", "from_currency") == {("USD",): 1}


def test_converted_and_unconverted_together_are_all_there_is(house: House) -> None:
    house.rates = table(EUR="2")
    polled(house, "a", *(row("2024-09-17", "1", currency) for currency in ("USD", "EUR", "HUF", "CAD")))
    assert house.shown("cloudspend_converted_month_to_date_cost", "source") == {("a",): 3}
    assert sum(house.shown("cloudspend_unconverted_cost", "currency").values()) == 2


def test_a_missing_rate_is_logged_when_it_is_missed_first_and_when_it_is_there(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[tuple[str, str, str]]:
        found = [
            (record.levelname, record.fields["source"], record.fields["from"])  # type: ignore[attr-defined]
            for record in caplog.records
            if record.name == "exporter.polling.publish"
        ]
        caplog.clear()
        return found

    caplog.set_level("INFO")
    house.rates = table(EUR="1.0834")
    polled(house, "a", row("2024-09-17", "1000", "HUF"))
    house.publish()
    assert said() == [("WARNING", "a", "HUF")]
    house.publish()
    assert said() == []
    polled(house, "b", row("2024-09-17", "1000", "HUF", account="b"), row("2024-09-17", "1", "CAD", account="b"))
    house.publish()
    assert said() == [("WARNING", "b", "CAD"), ("WARNING", "b", "HUF")]
    house.rates = table(HUF="0.0028")
    house.publish()
    assert said() == [("INFO", "a", "HUF"), ("INFO", "b", "HUF")]


def test_all_days_are_converted_at_the_newest_rate_of_today(house: House) -> None:
    by_day = [
        Quote(at(day).date(), "EUR", Decimal(rate)) for day, rate in (("2024-09-17", "1.1"), ("2024-09-19", "1.2"))
    ]
    house.rates = Rates(CurrencySettings(), {"EUR": [*by_day, Quote(at("2024-09-21").date(), "EUR", Decimal("1.3"))]})
    polled(house, "a", row("2024-09-17", "10", "EUR"))
    assert house.shown("cloudspend_converted_daily_cost") == {(): 12}
    assert house.publish().manifest.next_change_at == at("2024-09-21")
    house.now = at("2024-09-21T00:00:00")
    assert house.shown("cloudspend_converted_daily_cost") == {(): 13}
    assert house.publish().manifest.next_change_at == NOW + timedelta(hours=36)


def test_what_is_folded_is_converted_as_the_sum_it_is_shown_as(house: House) -> None:
    house.add("a", full(*(row("2024-09-17", f"{n}.25", "EUR", service=f"s{n}") for n in range(1, 8))), series_limit=4)
    house.poll("a")
    shown = house.shown("cloudspend_converted_daily_cost", "service")
    assert shown == {("s7",): 7.85465, ("s6",): 6.77125, ("s5",): 5.68785, ("other",): 11.9174}


def test_the_snapshot_says_how_it_was_converted(house: House) -> None:
    assert house.rates is not None
    polled(house, "a", row("2024-09-17", "1", "CAD"))
    said = house.publish().manifest.sources["a"]
    rates = {"EUR": "1.0834", "HUF": "0.0028"}
    assert said["currency"] == {"reporting": "USD", "rates": rates, "rates_file": None, "rates_from": None}
    assert said["currency"] == house.rates.settings.model_dump(mode="json")
    assert said["without_rate"] == ["CAD"]


def test_a_converted_scrape_is_clean_by_the_rules_of_prometheus(house: House) -> None:
    polled(
        house,
        "a",
        row("2024-09-17", "1"),
        row("2024-09-17", "2", "EUR"),
        row("2024-08-17", "3", "CAD"),
        row("2024-08-17", "3"),
    )
    scrape = text(house)
    assert {name for name, spec in CATALOG.items() if spec.section} <= {
        line.split()[2] for line in scrape.splitlines() if line[0] == "#"
    }
    order = [line.split()[2] for line in scrape.splitlines() if line.startswith("# TYPE")]
    assert order == [name for name in CATALOG if name in order]
    lint = subprocess.run(
        [require("promtool"), "check", "metrics"], input=scrape, capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


amounts = st.decimals(-(10**13), 10**13, allow_nan=False, allow_infinity=False, places=24)
groups = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from(["USD", "EUR", "HUF", "CAD"])), amounts)


@given(groups)
def test_sums_over_a_converted_family_are_the_converted_sums_of_the_original(
    groups: dict[tuple[str, str], Decimal],
) -> None:
    rates = table(EUR="1.083456789012345678", HUF="0.00281234567891")
    samples = [((name, "", "", "", "", "", currency), amount) for (name, currency), amount in groups.items()]
    families = [Family(CATALOG[name], samples if "common" not in name else []) for name in ORIGINALS]
    made = {family.spec.name: dict(family.samples) for family in converted(families, rates, TODAY)}
    daily = made["cloudspend_converted_daily_cost"].values()
    total = add(*(amount for amount in daily if isinstance(amount, Decimal)))
    by_currency = {
        currency: add(*(amount for (_, each), amount in groups.items() if each == currency))
        for currency in ("USD", "EUR", "HUF")
    }
    whole = add(*(rates.convert(amount, currency, TODAY) for currency, amount in by_currency.items()))
    assert abs(total - whole) <= Decimal("1E-20")
    assert made["cloudspend_unconverted_cost"] == {(n, c): amount for (n, c), amount in groups.items() if c == "CAD"}
