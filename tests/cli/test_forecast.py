"""`cloudspend forecast`: month ends of the demo, from what is stored."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.analysis.forecasts.models import MODELS
from exporter.cli.forecast import MODELS as NAMED
from tests.cli.test_commands import cloudspend

NOW = "2026-11-18T12:00:00Z,frozen"
LATER = "2026-12-12T12:00:00Z,frozen"
HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,ServiceName\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 13 months of the demo collected."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: demo, provider: demo}]\n")
    collected = cloudspend("collect", folder=folder, CLOUDSPEND_NOW=NOW)
    assert collected.returncode == 0, collected.stderr
    return folder


def forecast(folder: Path, *words: str, now: str = NOW) -> list[Mapping[str, Any]]:
    done = cloudspend("forecast", *words, "--format", "json", folder=folder, CLOUDSPEND_NOW=now)
    assert done.returncode == 0, done.stderr
    lines: list[Mapping[str, Any]] = json.loads(done.stdout)
    return lines


def bill(folder: Path, days: Mapping[str, int]) -> None:
    """A folder with a bill of services, each a dollar a day up to and with 16 September 2024, so many days."""
    last = date(2024, 9, 16)
    path = folder / "bill.csv"
    lines = [
        f"1,USD,{last - timedelta(back):%Y-%m}-01,Usage,{last - timedelta(back)},AWS,{service}\n"
        for service, count in days.items()
        for back in range(count)
    ]
    path.write_text(HEADER + "".join(lines))
    (folder / "cloudspend.yml").write_text(
        f"store: {{path: data}}\nsources: [{{name: b, provider: focus, path: {path}, settles_after: 24h}}]\n"
    )
    assert cloudspend("collect", folder=folder, CLOUDSPEND_NOW="2024-09-18T12:00:00Z,frozen").returncode == 0


def test_the_month_end_is_what_has_settled_and_the_rest_with_an_interval(folder: Path) -> None:
    lines = forecast(folder)
    assert [(line["provider"], line["currency"]) for line in lines] == [
        ("aws", "USD"),
        ("azure", "EUR"),
        ("gcp", "USD"),
    ]
    for line in lines:
        assert (line["from"], line["to"], line["settled_until"]) == ("2026-11-01", "2026-11-30", "2026-11-15")
        assert line["total"] == pytest.approx(line["settled"] + line["rest"])
        assert 0 < line["settled"] < line["low"] < line["total"] < line["high"]
        assert line["past_error"] < 0.05


def test_what_is_settled_is_what_the_bill_says_of_usage(folder: Path) -> None:
    words = (
        "--start",
        "2026-11-01",
        "--end",
        "2026-11-16",
        "--by",
        "provider",
        "--cost",
        "effective",
        "--format",
        "json",
    )
    left_out = "purchase,tax,credit,adjustment,refund"
    shown = cloudspend("costs", *words, "--exclude", left_out, folder=folder, CLOUDSPEND_NOW=NOW)
    billed = {line["provider"]: float(line["cost"]) for line in json.loads(shown.stdout)}
    assert {line["provider"]: line["settled"] for line in forecast(folder)} == pytest.approx(billed, abs=0.01)


def test_what_came_lies_near_what_was_forecast(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text((folder / "cloudspend.yml").read_text())
    assert cloudspend("collect", folder=tmp_path, CLOUDSPEND_NOW=LATER).returncode == 0
    words = ("--start", "2026-11-01", "--end", "2026-12-01", "--cost", "effective", "--format", "json")
    left_out = "purchase,tax,credit,adjustment,refund"
    shown = cloudspend("costs", *words, "--exclude", left_out, folder=tmp_path, CLOUDSPEND_NOW=LATER)
    came = {line["provider"]: float(line["cost"]) for line in json.loads(shown.stdout)}
    assert {line["provider"]: line["total"] for line in forecast(folder)} == pytest.approx(came, rel=0.03)


def test_groups_add_up_on_settled_days_and_a_wider_level_is_a_wider_interval(folder: Path) -> None:
    whole, wide = forecast(folder), forecast(folder, "--level", "95")
    services = forecast(folder, "--by", "provider,service")
    assert len(services) > 10
    for one, other in zip(whole, wide, strict=True):
        parts = [line["settled"] for line in services if line["provider"] == one["provider"]]
        assert sum(parts) == pytest.approx(one["settled"], abs=0.01)
        assert (other["low"], other["high"]) != (one["low"], one["high"])
        assert other["low"] <= one["low"] < one["high"] <= other["high"]


def test_days_ahead_begin_today_and_more_of_them_cost_more(folder: Path) -> None:
    week, month = forecast(folder, "--days", "7"), forecast(folder, "--days", "30")
    assert {(line["from"], line["to"], line["settled"]) for line in week} == {("2026-11-18", "2026-11-24", 0.0)}
    for few, many in zip(week, month, strict=True):
        assert 3 * few["total"] < many["total"] < 6 * few["total"]


def test_a_straight_line_is_another_forecast(folder: Path) -> None:
    assert [line["total"] for line in forecast(folder, "--model", "linear")] != [
        line["total"] for line in forecast(folder)
    ]


def test_csv_and_the_table_say_the_same_in_cents(folder: Path) -> None:
    printed = cloudspend("forecast", "--format", "csv", folder=folder, CLOUDSPEND_NOW=NOW).stdout
    lines = list(csv.DictReader(io.StringIO(printed)))
    assert [line["total"] for line in lines] == [f"{line['total']:.2f}" for line in forecast(folder)]
    table = cloudspend("forecast", folder=folder, CLOUDSPEND_NOW=NOW).stdout.splitlines()
    assert table[0] == "usage from 2026-11-01 to 2026-11-30 (UTC days), 80 % interval"
    assert [line.split() for line in table[4:]] == [" ".join(line.values()).split() for line in lines]


def test_less_than_14_days_are_an_error_that_names_the_group(tmp_path: Path) -> None:
    bill(tmp_path, {"EC2": 13})
    done = cloudspend("forecast", folder=tmp_path, CLOUDSPEND_NOW="2024-09-18T12:00:00Z,frozen")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: no forecast for aws USD: fewer than 14 days of history. hint: cloudspend collect --start DAY\n"
    )


def test_a_young_group_among_old_ones_is_named_and_has_what_has_settled(tmp_path: Path) -> None:
    bill(tmp_path, {"EC2": 14, "S3": 3})
    words = ("forecast", "--by", "service")
    done = cloudspend(*words, "--format", "json", folder=tmp_path, CLOUDSPEND_NOW="2024-09-18T12:00:00Z,frozen")
    assert done.returncode == 0
    old, young = json.loads(done.stdout)
    assert (old["service"], old["settled"]) == ("EC2", 14.0)
    assert old["total"] == pytest.approx(28, abs=1)  # 16 days of September before the 17th, of which 14 are billed
    assert (young["service"], young["settled"], young["rest"], young["total"]) == ("S3", 3.0, None, None)
    assert "no forecast for S3 USD: fewer than 14 days of history" in done.stderr


def test_an_empty_store_says_what_costs_says(tmp_path: Path) -> None:
    said = cloudspend("costs", "--demo", folder=tmp_path).stderr
    done = cloudspend("forecast", "--demo", "--format", "json", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--by", "servce"), "'servce' is nothing to forecast by. hint: one of source, provider"),
        (("--by", "service,service"), "each dimension once"),
        (("--days", "7", "--month-end"), "--days goes without --month-end"),
        (("--level", "100"), "--level"),
        (("--model", "best"), "--model"),
    ],
)
def test_used_wrongly_it_says_how_and_ends_with_2(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = cloudspend("forecast", "--demo", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_every_model_can_be_named() -> None:
    assert set(NAMED) == set(MODELS)
