"""`cloudspend forecast`: month ends of the demo, from what is stored."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.analysis.forecasts.models import MODELS
from exporter.cli import chart
from exporter.cli.forecast import MODELS as NAMED
from exporter.errors import CloudspendError
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
    whole, wide = forecast(folder), forecast(folder, "--confidence", "0.95")
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


def test_only_the_providers_asked_for(folder: Path) -> None:
    assert [line["provider"] for line in forecast(folder, "--provider", "gcp, aws")] == ["aws", "gcp"]
    whole = {line["provider"]: line for line in forecast(folder)}
    for line in forecast(folder, "--provider", "azure"):
        assert line["total"] == pytest.approx(whole["azure"]["total"])
    done = cloudspend("forecast", "--provider", "oci", folder=folder, CLOUDSPEND_NOW=NOW)
    assert (done.returncode, "no charges stored for this question" in done.stderr) == (0, True)


def test_json_has_the_history_the_growth_the_seasons_and_every_day_ahead(folder: Path) -> None:
    for line in forecast(folder):
        assert (line["history"]["from"], line["history"]["to"]) == ("2026-05-02", "2026-11-15")
        assert line["history"]["total"] > 5 * line["settled"]
        assert -0.05 < line["growth"] < 0.05
        weekdays = line["seasons"]["weekdays"]
        assert next(iter(weekdays)) == "monday"
        assert sum(weekdays.values()) == pytest.approx(7)
        assert weekdays["sunday"] < 1 < weekdays["tuesday"]
        days = line["days"]
        assert (days[0]["day"], days[-1]["day"], len(days)) == ("2026-11-16", "2026-11-30", 15)
        for name, total in (("low", "low"), ("cost", "total"), ("high", "high")):
            assert sum(day[name] for day in days) + line["settled"] == pytest.approx(line[total], rel=0.001)
    [gateways] = [
        line for line in forecast(folder, "--by", "service", "--days", "35") if line["service"] == "EC2 - Other"
    ]
    assert "2026-12-14" in gateways["seasons"]["monthly"]


def test_a_picture_is_drawn_of_the_largest_groups(folder: Path, tmp_path: Path) -> None:
    for name, begin in (("f.png", b"\x89PNG"), ("f.svg", b"<?xml")):
        words = ("--by", "provider,service", "--output", str(tmp_path / name))
        done = cloudspend("forecast", *words, folder=folder, CLOUDSPEND_NOW=NOW)
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            0,
            f"drawn: {tmp_path / name}, the 6 largest of 47 groups",
        )
        assert (tmp_path / name).read_bytes().startswith(begin)
    drawn = (tmp_path / "f.svg").read_text()
    for words in (
        "Forecast of 2026-11-01 to 2026-11-30, by provider, service",
        "UTC days, usage charges, model auto, 80 % interval",
        "aws Amazon Elastic Compute Cloud - Compute: ",
        "USD a day",
    ):
        assert f"<!-- {words}" in drawn.replace("&#8722;", "-")


def test_a_picture_that_cannot_be_drawn_is_told_before_anything_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cloudspend("forecast", "--output", "f.doc", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: f.doc is no picture that can be drawn. hint: a name that ends in .png\n"
    done = cloudspend("forecast", "--output", "missing/f.png", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 1
    assert "error: cannot write missing/f.png: No such file or directory" in done.stderr
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CloudspendError, match=r"pip install 'cloudspend\[chart\]'"):
        chart.ready(tmp_path / "f.png")


def test_csv_and_the_table_say_the_same_in_cents(folder: Path) -> None:
    printed = cloudspend("forecast", "--format", "csv", folder=folder, CLOUDSPEND_NOW=NOW).stdout
    lines = list(csv.DictReader(io.StringIO(printed)))
    assert [line["total"] for line in lines] == [f"{line['total']:.2f}" for line in forecast(folder)]
    table = cloudspend("forecast", folder=folder, CLOUDSPEND_NOW=NOW).stdout.splitlines()
    assert table[0] == "usage from 2026-11-01 to 2026-11-30 (UTC days), 80 % interval"
    assert [line.split() for line in table[4:]] == [" ".join(line.values()).split() for line in lines]
    assert list(lines[0])[-3:] == ["past_error", "growth", "history"]


def test_less_than_14_days_are_an_error_that_names_the_group(tmp_path: Path) -> None:
    bill(tmp_path, {"EC2": 13})
    done = cloudspend("forecast", folder=tmp_path, CLOUDSPEND_NOW="2024-09-18T12:00:00Z,frozen")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: no forecast for aws USD: fewer than 14 days of history. hint: cloudspend collect --start DAY\n"
    )


def test_a_model_that_is_asked_for_by_its_seasons_needs_30_days(tmp_path: Path) -> None:
    bill(tmp_path, {"EC2": 30, "S3": 29})
    now = "2024-09-18T12:00:00Z,frozen"
    words = ("forecast", "--by", "service", "--model", "seasonal", "--format", "json")
    done = cloudspend(*words, folder=tmp_path, CLOUDSPEND_NOW=now)
    old, young = json.loads(done.stdout)
    assert (old["rest"] is not None, young["rest"]) == (True, None)
    assert "no forecast for S3 USD: fewer than 30 days of history" in done.stderr
    done = cloudspend("forecast", "--model", "linear", "--by", "service", folder=tmp_path, CLOUDSPEND_NOW=now)
    assert done.stderr == ""


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
    (tmp_path / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: estate, provider: demo}]\n")
    said = cloudspend("costs", folder=tmp_path).stderr
    done = cloudspend("forecast", "--format", "json", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--by", "servce"), "'servce' is nothing to forecast by. hint: one of source, provider"),
        (("--by", "service,service"), "each dimension once"),
        (("--days", "7", "--month-end"), "--days goes without --month-end"),
        (("--confidence", "80"), "--confidence"),
        (("--days", "0"), "--days"),
        (("--model", "best"), "--model"),
    ],
)
def test_used_wrongly_it_says_how_and_ends_with_2(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = cloudspend("forecast", "--demo", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_every_model_can_be_named() -> None:
    assert set(NAMED) == set(MODELS)
