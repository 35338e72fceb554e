"""A new provider is one new module and one registry line: shown on a copy of the package, from outside."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import exporter
from exporter.providers import ENTRY_POINTS
from exporter.testing import BillingServer, Request

HERE = Path(__file__).parent
REGISTRY = Path("exporter/providers/__init__.py")
LINE = '        "acme": "exporter.providers.acme:SPEC",\n'
PAGE = 2
CONFIG = """\
store: {{path: ./data}}
sources:
  - {{name: acme-prod, provider: acme, url: "{url}", token: "t0ken-for-tests"}}
"""


class AcmeCloud(BillingServer):
    """Acme with the recorded charges, for any window, two on a page. Amounts travel as text, or json would round."""

    def page(self, request: Request) -> tuple[str, bytes] | None:
        charges = [
            charge
            for recording in self.recordings
            if recording.conversation == "whole"
            for charge in json.loads(recording.content, parse_float=str)["charges"]
            if request.query["from"] <= charge["day"] < request.query["until"]
        ]
        begin = int(request.query.get("cursor", 0))
        following = str(begin + PAGE) if begin + PAGE < len(charges) else None
        body = {"charges": charges[begin : begin + PAGE], "next": following}
        return f"from-{begin}", json.dumps(body).encode()


@pytest.fixture
def cloud() -> Iterator[AcmeCloud]:
    with AcmeCloud(HERE / "recorded") as cloud:
        yield cloud


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with the new module and the new line in it."""
    shutil.copytree(Path(exporter.__file__).parent, tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "acme.py", tmp_path / "exporter" / "providers")
    registry = (tmp_path / REGISTRY).read_text("utf-8")
    opening = registry.index('        "demo":')
    (tmp_path / REGISTRY).write_text(registry[:opening] + LINE + registry[opening:], "utf-8")
    return tmp_path


def cloudspend(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDSPEND")}
    environment |= {"PYTHONPATH": str(house), "CLOUDSPEND_NOW": "2024-09-20T12:00:00Z", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "exporter", *words, "--config", "cloudspend.yml"]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_one_module_and_one_registry_line_bring_a_new_cloud_into_the_house(house: Path, cloud: AcmeCloud) -> None:
    (house / "cloudspend.yml").write_text(CONFIG.format(url=cloud.url))

    collected = cloudspend(house, "collect")
    assert collected.returncode == 0, collected.stderr

    asked = cloudspend(house, "costs", "--start=2024-09-01", "--end=2024-09-08", "--by=provider", "--format=json")
    assert asked.returncode == 0, asked.stderr
    assert {(line["provider"], line["currency"]): Decimal(line["cost"]) for line in json.loads(asked.stdout)} == {
        ("acme", total["currency"]): Decimal(total["billed"]) for total in recorded_totals() if len(total) == 2
    }
    assert len(cloud.played) == 5, "nine charges, two on a page"


def test_what_it_cannot_reach_it_says_without_its_token(house: Path, cloud: AcmeCloud) -> None:
    (house / "cloudspend.yml").write_text(CONFIG.format(url=cloud.url))
    cloud.deny()

    collected = cloudspend(house, "--debug", "collect")

    assert collected.returncode == 1
    assert "access_denied" in collected.stderr
    assert "the credentials must allow billing.read" in collected.stderr
    assert "t0ken-for-tests" not in collected.stderr + collected.stdout


def test_without_them_the_house_does_not_know_the_name(house: Path, cloud: AcmeCloud) -> None:
    (house / "cloudspend.yml").write_text(CONFIG.format(url=cloud.url))
    original = Path(exporter.__file__).parent.parent / REGISTRY
    shutil.copy(original, house / REGISTRY)

    collected = cloudspend(house, "collect")

    assert collected.returncode == 2
    assert "'acme' is not a provider" in collected.stderr


def test_a_distribution_of_ones_own_needs_not_even_the_line(tmp_path: Path, cloud: AcmeCloud) -> None:
    (tmp_path / "cloudspend.yml").write_text(CONFIG.format(url=cloud.url))
    shutil.copy(HERE / "acme.py", tmp_path / "cloudspend_acme.py")
    installed = tmp_path / "cloudspend_acme-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudspend-acme\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nacme = cloudspend_acme:SPEC\n")

    collected = cloudspend(tmp_path, "collect")

    assert collected.returncode == 0, collected.stderr
    assert "acme-prod: ok" in collected.stderr


def test_the_provider_fits_into_sixty_lines() -> None:
    assert len((HERE / "acme.py").read_text("utf-8").splitlines()) <= 60


def recorded_totals() -> list[dict[str, Any]]:
    totals: list[dict[str, Any]] = json.loads((HERE / "recorded" / "expected.json").read_text("utf-8"))["totals"]
    return totals
