"""`cloudspend backtest`: a bill with one dear day, what would have been told of it, and how good forecasts were."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import cloudspend
from tests.cli.test_forecast import HEADER

NOW = "2024-09-03T12:00:00Z,frozen"
FIRST, LAST = date(2024, 1, 15), date(2024, 9, 1)
DEAR = date(2024, 7, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven months of three services; EC2 cost 80 instead of about 20 on 10 July."""
    folder = tmp_path_factory.mktemp("bill")
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    rows = [
        f"{(80 if service == 'EC2' and day == DEAR else cost + day.toordinal() % 5 / 10)},USD,{day:%Y-%m}-01,Usage,"
        f"{day},AWS,{service}\n"
        for service, cost in {"EC2": 20, "S3": 8, "RDS": 13}.items()
        for day in days
    ]
    (folder / "bill.csv").write_text(HEADER + "".join(rows))
    (folder / "cloudspend.yml").write_text(
        "store: {path: data}\nsources: [{name: b, provider: focus, path: bill.csv, settles_after: 24h}]\n"
    )
    assert cloudspend("collect", folder=folder, CLOUDSPEND_NOW=NOW).returncode == 0
    return folder


def backtest(folder: Path, *words: str) -> Mapping[str, Any]:
    done = cloudspend("backtest", *words, "--format", "json", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_the_dear_day_would_have_fired_and_a_quieter_detector_would_have_kept_quiet(folder: Path) -> None:
    found = backtest(folder, "--months", "3")
    assert (found["from"], found["to"], found["detector"]) == ("2024-07-01", "2024-09-01", "default")
    [alert] = found["alerts"]
    assert (alert["day"], alert["service"], alert["actual"], alert["labelled"]) == ("2024-07-10", "EC2", 80.0, None)
    assert alert["expected"] == pytest.approx(20.2, abs=0.3)
    assert found["lowest_quiet_sensitivity"] == pytest.approx(alert["silent_at"], rel=0.2)
    quiet = backtest(folder, "--months", "3", "--sensitivity", str(found["lowest_quiet_sensitivity"]))
    assert quiet["alerts"] == []
    assert backtest(folder, "--months", "3", "--minimum-cost", "70")["alerts"] == []
    assert backtest(folder, "--from", "2024-07-11", "--to", "2024-07-31")["alerts"] == []


def test_labels_say_what_was_right_and_what_was_missed(folder: Path, tmp_path: Path) -> None:
    csv_file, yaml_file = tmp_path / "known.csv", tmp_path / "known.yml"
    csv_file.write_text("day,first,last,service\n2024-07-10,,,EC2\n,2024-08-01,2024-08-03,S3\n2020-01-01,,,\n")
    yaml_file.write_text(
        "- {day: 2024-07-10, service: EC2}\n- {first: 2024-08-01, last: 2024-08-03, service: S3}\n- day: 2020-01-01\n"
    )
    found = backtest(folder, "--months", "3", "--labels", str(csv_file))
    assert found == backtest(folder, "--months", "3", "--labels", str(yaml_file))
    assert (found["precision"], found["recall"], found["false_alarms"]) == (1.0, 0.5, 0)
    assert (found["labels"], found["labels_outside"]) == (2, 1)
    assert found["missed"] == ["2024-08-01 to 2024-08-03 S3"]
    assert found["lowest_quiet_sensitivity"] == 1.0
    assert found["alerts"][0]["labelled"] is True


def test_another_detector_tells_other_things(folder: Path) -> None:
    found = backtest(folder, "--months", "3", "--detector", "percent", "--minimum-cost", "30")
    assert [alert["day"] for alert in found["alerts"]] == ["2024-07-10"]
    assert found["detector"] == "percent"


def test_the_table_ends_with_what_it_comes_to_and_csv_has_alerts_alone(folder: Path) -> None:
    words = ("backtest", "--months", "3")
    table = cloudspend(*words, folder=folder, CLOUDSPEND_NOW=NOW).stdout.splitlines()
    assert table[0] == "alerts of 2024-07-01 to 2024-09-01 (UTC days, usage charges), default detector"
    assert table[-2] == "1 alert in 6.3 series-months at sensitivity 1"
    assert table[-1].startswith("lowest sensitivity at which nothing would have fired: ")
    printed = cloudspend(*words, "--format", "csv", folder=folder, CLOUDSPEND_NOW=NOW)
    assert printed.returncode == 0, printed.stderr
    [line] = csv.DictReader(io.StringIO(printed.stdout))
    assert (line["day"], line["service"], line["actual"], line["labelled"]) == ("2024-07-10", "EC2", "80.00", "")


def test_month_ends_are_forecast_again_beside_two_simple_forecasters(folder: Path) -> None:
    found = backtest(folder, "--model", "auto", "--months", "4", "--confidence", "0.95")
    assert [each["forecaster"] for each in found] == ["auto", "linear", "last month"]
    for each in found:
        assert (each["provider"], each["currency"], each["confidence"]) == ("aws", "USD", 0.95)
        assert [month["month"] for month in each["months"]] == ["2024-06", "2024-07", "2024-08"]
        assert list(each["months"][0]["errors"]) == ["5", "10", "15", "20", "25"]
    auto, linear, naive = found
    assert auto["median_error"] < 0.005
    assert auto["error_by_money"] <= linear["error_by_money"]
    assert 0.01 < naive["median_error"] < 0.05  # July is a day longer than June, and had a dear one
    assert auto["coverage"] > 0.5
    assert naive["coverage"] is None
    table = cloudspend("backtest", "--model", "linear", folder=folder, CLOUDSPEND_NOW=NOW).stdout
    assert table.startswith("errors of month ends forecast after so many settled days (usage, 80 % interval)\n")
    assert table.splitlines()[-1].split()[:4] == ["aws", "USD", "last", "month"]


def test_without_a_whole_month_there_is_nothing_to_forecast_again(folder: Path) -> None:
    done = cloudspend("backtest", "--model", "auto", "--from", "2024-08-02", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0
    assert "no month end can be forecast again" in done.stderr


def test_an_empty_store_says_what_costs_says(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: estate, provider: demo}]\n")
    said = cloudspend("costs", folder=tmp_path).stderr
    done = cloudspend("backtest", "--format", "json", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["alerts"], done.stderr) == (0, [], said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--model", "auto", "--detector", "zscore"), "--model goes without --detector"),
        (("--months", "3", "--from", "2024-01-01"), "--months goes without --from"),
        (("--from", "2024-02-01", "--to", "2024-01-01"), "the end lies before the start"),
        (("--model", "auto", "--by", "servce"), "'servce' is nothing to forecast by"),
        (("--detector", "best"), "--detector"),
    ],
)
def test_used_wrongly_it_says_how_and_ends_with_2(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = cloudspend("backtest", "--demo", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("text", "suffix", "sentence"),
    [
        ("day,servce\n2024-01-01,EC2\n", "csv", "label 1: 'servce' says nothing here. hint: day, first, last"),
        ("day\n2024-13-01\n", "csv", "label 1: '2024-13-01' is not a UTC day"),
        ("service\nEC2\n", "csv", "label 1: None is not a UTC day"),
        ("first,last\n2024-02-02,2024-02-01\n", "csv", "it ends on 2024-02-01, before it begins on 2024-02-02"),
        ("day,last\n2024-02-02,2024-02-03\n", "csv", "day goes without first and last"),
        ("day: 2024-01-01\n", "yml", "is not a list of labels"),
        ("- {day: \n", "yml", "is no YAML"),
    ],
)
def test_a_mistake_in_the_labels_is_told_with_its_place(tmp_path: Path, text: str, suffix: str, sentence: str) -> None:
    path = tmp_path / f"l.{suffix}"
    path.write_text(text)
    done = cloudspend("backtest", "--demo", "--labels", path.name, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.split())
