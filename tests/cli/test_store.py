"""`cloudspend store`: checked, copied, pruned."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.test_commands import cloudspend

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sources with a row each, collected."""
    for name, amount, vendor in (("a", 1, "AWS"), ("b", 2, "Oracle")):
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}{amount},USD,2024-09-01,Usage,2024-09-01,{vendor}\n")
    (tmp_path / "cloudspend.yml").write_text(
        "store: {path: data}\nsources:\n  - {name: a, provider: focus, path: a.csv}\n"
        "  - {name: b, provider: focus, path: b.csv}\n"
    )
    assert cloudspend("collect", folder=tmp_path).returncode == 0
    return tmp_path


def costs(folder: Path) -> dict[str, str]:
    words = ("costs", "--start", "2024-09-01", "--end", "2024-10-01", "--by", "source", "--format", "json")
    return {line["source"]: line["cost"] for line in json.loads(cloudspend(*words, folder=folder).stdout)}


def test_a_whole_store_is_ok(folder: Path) -> None:
    done = cloudspend("store", "check", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a: 1 rows\nb: 1 rows\n", "ok\n")


def test_a_changed_file_is_named_and_the_next_collect_mends_it(folder: Path) -> None:
    [version] = (folder / "data/lake/versions").glob("*-a-*")
    shown = folder / "data/lake/grain=day/source=a/month=2024-09/bill.parquet"
    content = version.read_bytes()
    shown.unlink()
    shown.write_bytes(content)
    os.truncate(version, 50)
    done = cloudspend("store", "check", folder=folder)
    assert done.returncode == 1
    assert f"grain=day/source=a/month=2024-09: {version.name} is not the file that was written" in done.stderr
    assert cloudspend("collect", folder=folder).returncode == 0
    assert cloudspend("store", "check", folder=folder).returncode == 0
    assert costs(folder) == {"a": "1", "b": "2"}


def test_a_backup_is_a_store_of_its_own(folder: Path) -> None:
    assert cloudspend("store", "backup", "copy", folder=folder).returncode == 0
    again = cloudspend("store", "backup", "copy", folder=folder)
    assert again.returncode == 1
    assert "copy: cannot be made: File exists" in again.stderr
    config = folder / "cloudspend.yml"
    config.write_text(config.read_text().replace("path: data", "path: copy"))
    assert costs(folder) == {"a": "1", "b": "2"}
    assert cloudspend("store", "check", folder=folder).returncode == 0


def test_a_source_can_be_forgotten(folder: Path) -> None:
    refused = cloudspend("store", "forget", "a", folder=folder)
    assert refused.returncode == 1
    assert "Drop 1 rows of a?" in refused.stderr
    done = cloudspend("store", "forget", "a", "--yes", folder=folder)
    assert (done.returncode, done.stderr) == (0, "1 rows of a dropped\n")
    assert costs(folder) == {"b": "2"}
    unknown = cloudspend("store", "forget", "a", "--yes", folder=folder)
    assert unknown.returncode == 2
    assert "nothing is stored of 'a'. hint: one of b" in unknown.stderr
