"""Hourly files from the command line, and from a CSV configuration."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.cli.test_commands import cloudspend
from tests.providers.test_focus import REAL, path_of


def test_a_table_is_collected_hour_by_hour_into_a_folder(tmp_path: Path) -> None:
    sample = path_of(REAL, tmp_path)
    (tmp_path / "accounts.csv").write_text(
        f"name,provider,config,display_name,webhook_url\nsample,focus,path={sample}|max_age=7d,The sample,\n"
    )
    words = ("collect", "--config", "accounts.csv", "--data-dir", "data")
    for hour in ("10", "11"):
        done = cloudspend(*words, folder=tmp_path, CLOUDSPEND_NOW=f"2024-09-20T{hour}:30:00Z,frozen")
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert names == ["sample_2024-09-20-10.json", "sample_2024-09-20-11.json"]
    first, second = (json.loads((tmp_path / "data" / name).read_text()) for name in names)
    [charges] = second["charges"]
    assert (first["change"], second["display_name"], charges["currency"]) == (None, "The sample", "USD")
    [change] = second["change"]
    assert (change["hours"], change["charged"], change["services"]) == (1, "0", [])
    costs = cloudspend(
        *("costs", "--config", "accounts.csv", "--start", "2024-09-01", "--end", "2024-10-01", "--format", "json"),
        folder=tmp_path,
    )
    providers = [line["cost"] for line in json.loads(costs.stdout)]
    assert len(providers) > 1
    assert charges["month_to_date"] == str(sum(map(Decimal, providers)))


def test_what_is_back_filled_has_no_hour(tmp_path: Path) -> None:
    done = cloudspend("collect", "--demo", "--start", "2024-01-01", "--data-dir", "data", folder=tmp_path)
    assert done.returncode == 2
    assert "--data-dir goes without --start" in done.stderr
