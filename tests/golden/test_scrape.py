"""The whole scrape of the demo as a golden file. `make golden` rewrites it; read the diff."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exporter import snapshot
from exporter.metrics.catalog import CATALOG
from tests.neighbours import require

GOLDEN = Path(__file__).parent / "metrics.prom"
NOW = "2024-03-15T12:00:00Z"


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a demo that was collected at noon on 15 March 2024 shows."""
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run(
        [sys.executable, "-m", "exporter", "collect", "--demo"],
        cwd=folder,
        env={"CLOUDSPEND_NOW": f"{NOW},frozen", "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        capture_output=True,
    )
    published = snapshot.load(folder / "cloudspend-demo" / "snapshots")
    assert published is not None
    return published.plain.decode()


def test_the_scrape_of_the_demo_is_the_golden_one(scrape: str, update_golden: bool) -> None:
    if update_golden:
        GOLDEN.write_text(scrape)
    assert scrape == GOLDEN.read_text()


@pytest.mark.usefixtures("release")
def test_it_is_clean_by_the_rules_of_prometheus(scrape: str) -> None:
    lint = subprocess.run(
        [require("promtool"), "check", "metrics"], input=scrape, capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


def test_no_series_stands_twice_and_no_label_is_empty(scrape: str) -> None:
    series = [line.rpartition(" ")[0] for line in scrape.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert '=""' not in scrape


def test_every_stored_family_is_there_and_no_live_one(scrape: str) -> None:
    shown = [line.split()[2] for line in scrape.splitlines() if line.startswith("# TYPE")]
    elsewhere = {
        "cloudspend_account_month_to_date_cost",  # of sources that cannot join account with service
        "cloudspend_first_spend_cost",  # nothing is new in the demo at that noon
    }
    stored = [name for name, spec in CATALOG.items() if not (spec.live or spec.section or spec.history)]
    assert shown == [name for name in stored if name not in elsewhere]
