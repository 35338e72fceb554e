"""`cloudspend anomalies`: the stories of the demo, by name, from what is stored."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.analysis.anomalies import DETECTORS
from exporter.cli.anomalies import COLUMNS
from exporter.cli.anomalies import DETECTORS as NAMED
from exporter.costs import CostRow, CostTable
from exporter.periods import ALWAYS
from exporter.polling.estate import silent
from exporter.providers import demo as story
from exporter.providers import demo_estate as cast
from tests.cli.test_commands import cloudspend

NOW = "2026-11-21T12:00:00Z,frozen"
GATEWAY = date(2026, 11, 14)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which nobody has read anything yet: the first command reads 13 months of the demo."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Mapping[str, Any]]:
    """What the last 30 days have to tell."""
    done = cloudspend("anomalies", "--demo", "--format", "json", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    again = cloudspend("anomalies", "--demo", "--format", "json", folder=folder, CLOUDSPEND_NOW=NOW)
    assert (done.stderr.count("reading the demo into"), again.stderr) == (1, "")
    assert done.stdout == again.stdout
    told: list[Mapping[str, Any]] = json.loads(done.stdout)
    return told


def place(finding: Mapping[str, Any]) -> tuple[str, str, str]:
    return finding["account"], finding["service"], finding["region"]


def test_the_runaway_gateway_is_told_by_name_with_what_it_cost(found: list[Mapping[str, Any]]) -> None:
    gateway = story.runaway_gateway(GATEWAY)
    assert gateway
    [finding] = [each for each in found if each["first_day"] == GATEWAY.isoformat()]
    assert place(finding) == (gateway[0].id, cast.EC2_OTHER, gateway[1])
    assert (finding["kind"], finding["status"], finding["currency"]) == ("spike", "resolved", "USD")
    # Twelve times itself, on its second and last day.
    assert finding["day"] == "2026-11-15"
    assert finding["actual"] == pytest.approx(12 * finding["expected"], rel=0.1)
    assert finding["impact"] == pytest.approx(2 * finding["excess"], rel=0.1)
    assert finding["sentence"].startswith(f"EC2 - Other in {gateway[1]}, account {gateway[0].name} (aws) cost ")


def test_the_forgotten_cluster_is_open_with_its_account_and_region(found: list[Mapping[str, Any]]) -> None:
    [finding] = [each for each in found if each["first_day"] == story.FORGOTTEN.isoformat()]
    assert place(finding) == (cast.CLUSTER_ACCOUNT.id, "all", story.forgotten_region(story.FORGOTTEN))
    assert (finding["kind"], finding["ended"], finding["settled"]) == ("new", None, True)
    assert finding["parts"][0]["service"] == cast.EC2
    assert finding["severity"] == "high"


def test_nothing_else_is_told_than_stories_that_lasted_into_the_days(found: list[Mapping[str, Any]]) -> None:
    since = date(2026, 11, 21) - timedelta(days=29)
    assert {each["source"] for each in found} == {"demo"}
    starts = {GATEWAY, story.FORGOTTEN, story.FORGOTTEN - story.FORGOTTEN_EVERY, story.DEPLOYMENT}
    assert {date.fromisoformat(each["first_day"]) for each in found} == starts
    assert all(date.fromisoformat(each["day"]) >= since for each in found if each["ended"])


def test_fewer_days_leave_out_what_had_ended_before(folder: Path) -> None:
    done = cloudspend("anomalies", "--demo", "--days", "2", "--format", "json", folder=folder, CLOUDSPEND_NOW=NOW)
    [finding] = json.loads(done.stdout)
    assert finding["first_day"] == story.FORGOTTEN.isoformat()


def test_csv_and_the_table_say_the_same_in_cents(folder: Path) -> None:
    words = ("anomalies", "--demo", "--days", "2")
    printed = cloudspend(*words, "--format", "csv", folder=folder, CLOUDSPEND_NOW=NOW).stdout
    [line] = csv.DictReader(io.StringIO(printed))
    assert tuple(line) == COLUMNS
    table = cloudspend(*words, folder=folder, CLOUDSPEND_NOW=NOW).stdout.splitlines()
    assert table[0] == "findings of 2026-11-20 to 2026-11-21 (UTC days, usage charges)"
    assert table[-1].split()[:4] == ["high", "new", "open", "2026-11-02"]
    assert table[-1].endswith(line["sentence"])
    assert line["expected"] == "0.00"
    assert f" {line['impact']} " in table[-1]


def test_a_minimum_that_nothing_reaches_is_silent(folder: Path) -> None:
    words = ("--days", "2", "--minimum-cost", "100000", "--format", "json")
    done = cloudspend("anomalies", "--demo", *words, folder=folder, CLOUDSPEND_NOW=NOW)
    told = json.loads(done.stdout)
    # What is new needs no past to be compared with: it has a minimum of its own.
    assert {each["kind"] for each in told} <= {"new"}


@pytest.mark.matrix
def test_another_detector_can_judge(folder: Path) -> None:
    words = ("--days", "2", "--detector", "percent", "--format", "json")
    done = cloudspend("anomalies", "--demo", *words, folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 1  # the common rule has false alarms


def test_an_empty_store_says_what_costs_says(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: estate, provider: demo}]\n")
    said = cloudspend("costs", folder=tmp_path).stderr
    assert "no charges stored" in said
    for form, printed in (("json", "[]\n"), ("table", None)):
        done = cloudspend("anomalies", "--format", form, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, said)
        assert printed is None or done.stdout == printed
    assert not (tmp_path / "data").exists()


def test_a_source_too_young_to_judge_is_named(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    header = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"
    bill.write_text(header + "".join(f"1,USD,2024-09-01,Usage,2024-09-0{day},AWS\n" for day in range(1, 8)))
    (tmp_path / "cloudspend.yml").write_text(
        f"store: {{path: data}}\nsources: [{{name: b, provider: focus, path: {bill}}}]\n"
    )
    now = "2024-09-20T12:00:00Z,frozen"
    assert cloudspend("collect", folder=tmp_path, CLOUDSPEND_NOW=now).returncode == 0
    done = cloudspend("anomalies", folder=tmp_path, CLOUDSPEND_NOW=now)
    assert done.returncode == 0
    assert "b: 7 settled days are stored, and a judgement needs 15" in done.stderr


@pytest.mark.parametrize(
    "words", [("--days", "0"), ("--sensitivity", "0"), ("--minimum-cost", "-1"), ("--detector", "x")]
)
def test_used_wrongly_it_ends_with_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = cloudspend("anomalies", "--demo", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words[0] in done.stderr


def test_every_detector_can_be_named() -> None:
    assert set(NAMED) == set(DETECTORS)


def test_the_command_line_and_its_help_need_no_numpy() -> None:
    program = (
        "import sys, exporter.cli\n"
        "for word in ('anomalies', 'forecast'):\n"
        "    exporter.cli.cli([word, '--help'], standalone_mode=False)\n"
        "sys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "numpy" not in done.stderr


def charged(*days: int) -> CostTable:
    return CostTable.of(
        CostRow(
            start=date(2026, 3, day), account="prod", service="EC2", region="east", billed=Decimal(1), currency="USD"
        )
        for day in days
    )


def test_a_day_that_a_daily_source_did_not_answer_is_silent() -> None:
    assert list(silent(charged(*range(1, 12), *range(13, 31)), ALWAYS)) == [date(2026, 3, 12)]


def test_a_source_that_seldom_costs_anything_is_never_silent() -> None:
    assert list(silent(charged(3, 10, 17, 24), ALWAYS)) == []
