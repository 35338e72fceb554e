"""The command line, as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from exporter import __version__
from tests.providers.test_focus import HERE, REAL, path_of


def cloudspend(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def started(*words: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The same without waiting for its end."""
    command, pipe = [sys.executable, "-m", "exporter", *words], subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and the FOCUS sample collected."""
    folder = tmp_path_factory.mktemp("sample")
    sample = path_of(REAL, folder)
    (folder / "cloudspend.yml").write_text(
        f"store: {{path: ./data}}\nsources:\n  - {{name: sample, provider: focus, path: {sample}}}\n"
    )
    collected = cloudspend("collect", folder=folder)
    assert collected.returncode == 0, collected.stderr
    return folder


def as_json(folder: Path, *words: str) -> list[Mapping[str, str]]:
    done = cloudspend(
        "costs", "--start", "2024-09-01", "--end", "2024-10-02", "--format", "json", *words, folder=folder
    )
    assert done.returncode == 0, done.stderr
    found: list[Mapping[str, str]] = json.loads(done.stdout)
    return found


def test_the_sample_costs_what_its_publisher_says(folder: Path) -> None:
    assert as_json(folder, "--by", "provider", "--cost", "billed") == [
        {"provider": "aws", "currency": "USD", "cost": "18.0066386184", "rows": 942},
        {"provider": "azure", "currency": "USD", "cost": "1.97651418586", "rows": 51},
        {"provider": "oci", "currency": "USD", "cost": "0.53707392473", "rows": 7},
    ]


@pytest.mark.parametrize("cost", ["billed", "effective", "list", "contracted"])
def test_every_amount_is_the_expected_one(folder: Path, cost: str) -> None:
    expected = json.loads((HERE / "expected" / f"{REAL}.json").read_text())["totals"]["_provider+_bm+BillingCurrency"]
    found = as_json(folder, "--by", "provider,billing_month", "--cost", cost)
    slugs = {"aws": "AWS", "azure": "Microsoft", "oci": "Oracle"}
    column = f"{cost.capitalize()}Cost"
    assert {f"{slugs[line['provider']]}|{line['billing_month']}|USD": line["cost"] or "0" for line in found} == {
        key: group[column] for key, group in expected.items()
    }


def test_a_second_collect_changes_nothing(folder: Path) -> None:
    manifest = folder / "data" / "lake" / "manifest.json"
    before = manifest.read_bytes()
    again = cloudspend("collect", folder=folder)
    assert again.returncode == 0
    assert "days_changed=0" in again.stderr
    assert manifest.read_bytes() == before


def test_csv_and_json_and_table_say_the_same(folder: Path) -> None:
    words = ("costs", "--start", "2024-09-01", "--end", "2024-10-02", "--by", "provider,service")
    from_json = as_json(folder, "--by", "provider,service")
    printed = cloudspend(*words, "--format", "csv", folder=folder).stdout
    from_csv = list(csv.DictReader(io.StringIO(printed)))
    assert from_csv == [{key: str(value) for key, value in line.items()} for line in from_json]
    table = cloudspend(*words, folder=folder).stdout.splitlines()
    assert table[0] == "billed cost, 2024-09-01 to 2024-10-01 (UTC days, by charge period)"
    assert [line.split()[-2] for line in table[4:-2]] == [line["cost"] for line in from_json]
    assert table[-1].split() == ["total", "USD", "20.52022672899", "1000"]


def test_credits_can_be_left_out(folder: Path) -> None:
    [aws] = as_json(folder, "--provider", "aws", "--exclude", "credit,refund,tax")
    assert aws["cost"] == "20.6203386184"


def test_days_count_back_from_today(folder: Path) -> None:
    done = cloudspend(
        "costs",
        "--days",
        "30",
        "--by",
        "day",
        "--format",
        "json",
        folder=folder,
        CLOUDSPEND_NOW="2024-09-30T23:00:00Z,frozen",
    )
    found = json.loads(done.stdout)
    assert (found[0]["day"], found[-1]["day"]) == ("2024-09-01", "2024-09-30")
    assert sum(Decimal(line["cost"]) for line in found) == Decimal("20.52022672899")


def test_the_default_is_this_month(folder: Path) -> None:
    done = cloudspend("costs", folder=folder, CLOUDSPEND_NOW="2024-09-02T12:00:00Z,frozen")
    assert done.stdout.startswith("billed cost, 2024-09-01 to 2024-09-02 (UTC days")


def test_nothing_stored_is_said_on_stderr_and_is_no_error(folder: Path) -> None:
    done = cloudspend("costs", "--start", "2020-01-01", "--end", "2020-02-01", "--format", "json", folder=folder)
    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert "no charges stored for this question" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--by", "servce"), "'servce' is not a dimension. hint: one of source, provider"),
        (("--by", "service,service"), "each dimension once"),
        (("--cost", "net"), "'net' is not one of 'billed', 'effective', 'list', 'contracted'"),
        (("--exclude", "credits"), "'credits' cannot be left out"),
        (("--days", "7", "--start", "2024-09-01"), "--days goes without --start and --end"),
        (("--start", "2024-09-02", "--end", "2024-09-01"), "the end lies before the start"),
        (("--start", "yesterday"), "'yesterday' does not match the format '%Y-%m-%d'"),
    ],
)
def test_a_command_used_wrongly_says_how_and_ends_with_2(folder: Path, words: tuple[str, ...], sentence: str) -> None:
    done = cloudspend("costs", *words, folder=folder)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_a_missing_configuration_is_a_sentence_and_ends_with_2(tmp_path: Path) -> None:
    done = cloudspend("costs", folder=tmp_path)
    assert done.returncode == 2
    assert "cloudspend.yml" in done.stderr
    assert "Traceback" not in done.stderr


def test_config_check_says_every_mistake_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("sources:\n  - {name: a, provider: focsu}\n  - {name: B B, provider: focus}\n")
    done = cloudspend("config", "check", "--config", "bad.yml", folder=tmp_path)
    assert done.returncode == 1
    assert "sources[0].provider" in done.stderr
    assert "sources[1].name" in done.stderr
    assert "sources[1].path" in done.stderr


def test_config_check_of_a_good_file_ends_with_0(folder: Path) -> None:
    done = cloudspend("config", "check", folder=folder)
    assert (done.returncode, done.stderr) == (0, "ok\n")
    assert done.stdout.startswith("sample: focus,")


def test_a_failed_source_ends_collect_with_1_and_keeps_what_was_stored(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    header = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"
    bill.write_text(header + "1,USD,2024-09-01,Usage,2024-09-01,AWS\n")
    (tmp_path / "cloudspend.yml").write_text(
        f"store: {{path: data}}\nsources: [{{name: b, provider: focus, path: {bill}}}]\n"
    )
    assert cloudspend("collect", folder=tmp_path).returncode == 0
    bill.write_text(header + "1,USD,2024-09-01,Usage,2024-09-01,AWS\nx,USD,2024-09-01,Usage,2024-09-01,AWS\n")
    failed = cloudspend("collect", folder=tmp_path)
    assert failed.returncode == 1
    assert f"b: bad_data: {bill}: row 3, column BilledCost: 'x' is not an amount" in failed.stderr
    done = cloudspend("costs", "--start", "2024-09-01", "--end", "2024-10-01", "--format", "json", folder=tmp_path)
    assert [line["cost"] for line in json.loads(done.stdout)] == ["1"]


def test_a_back_fill_goes_month_by_month_the_newest_first(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: demo, provider: demo}]\n")
    done = cloudspend(
        "collect",
        "--start",
        "2024-07-15",
        "--end",
        "2024-09-10",
        folder=tmp_path,
        CLOUDSPEND_NOW="2024-09-20T12:00:00Z,frozen",
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines() if ": ok" in line] == [
        "demo 2024-09",
        "demo 2024-08",
        "demo 2024-07",
    ]
    shown = cloudspend(
        "costs", "--start", "2024-01-01", "--end", "2025-01-01", "--by", "day", "--format", "json", folder=tmp_path
    )
    days = sorted({line["day"] for line in json.loads(shown.stdout)})
    assert (days[0], days[-1]) == ("2024-07-15", "2024-09-09")


def test_only_the_named_sources_are_collected(tmp_path: Path) -> None:
    done = cloudspend("collect", "--demo", "--providers", "demo_focus", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = cloudspend("costs", "--demo", "--days", "40", "--by", "source", "--format", "json", folder=tmp_path)
    assert [line["source"] for line in json.loads(shown.stdout)] == ["focus-sample"]
    unknown = cloudspend("collect", "--demo", "--providers", "aws-prod", folder=tmp_path)
    assert unknown.returncode == 2
    assert "'aws-prod' is no source here. hint: one of demo, focus-sample" in unknown.stderr


def test_the_cache_can_be_cleared(folder: Path) -> None:
    done = cloudspend("cache", "clear", folder=folder)
    assert (done.returncode, done.stderr) == (0, "0 pages dropped\n")
    unknown = cloudspend("cache", "clear", "--source", "b", folder=folder)
    assert unknown.returncode == 2
    assert "'b' is no source here. hint: one of sample" in unknown.stderr


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = cloudspend("--version", folder=tmp_path)
    assert done.stdout == f"cloudspend, version {__version__}\n"


@pytest.mark.parametrize("words", [(), ("serve",), ("collect",), ("costs",), ("config",), ("config", "check")])
def test_every_command_has_help(words: tuple[str, ...], tmp_path: Path) -> None:
    done = cloudspend(*words, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")


def test_without_a_cost_the_answer_is_on_the_primary_basis_as_in_the_metrics(folder: Path) -> None:
    config = (folder / "cloudspend.yml").read_text()
    (folder / "effective.yml").write_text(f"cost: {{basis: effective}}\n{config}")
    words = ("costs", "--config", "effective.yml", "--start", "2024-09-01", "--end", "2024-10-02", "--format", "json")
    shown = json.loads(cloudspend(*words, folder=folder).stdout)
    # Oracle's bill has no EffectiveCost worth the name, so its billed cost stands in.
    assert {line["provider"]: line["cost"] for line in shown} == {
        "aws": "13",
        "azure": "1.97651418586",
        "oci": "0.53707392473",
    }
    asked = json.loads(cloudspend(*words, "--cost", "effective", folder=folder).stdout)
    assert {line["provider"]: line["cost"] for line in asked}["oci"] == "0"
