#!/usr/bin/env python3
"""Write the dashboards: grafana/dashboards/*.json, and the page about them.

python -m grafana.build            write them
python -m grafana.build --check    write nothing; name those that are stale, exit 1 where there is one
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import anomalies, budgets, exporter, overview, page, service

ROOT = Path(__file__).resolve().parents[1]

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = MappingProxyType(
    {
        "overview": overview.dashboard,
        "service": service.dashboard,
        "budgets": budgets.dashboard,
        "anomalies": anomalies.dashboard,
        "exporter": exporter.dashboard,
    }
)
"""File name → what builds it."""


def built(name: str) -> dict[str, Any]:
    """One dashboard, as Grafana reads it; panels are numbered in their order."""
    made: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(DASHBOARDS[name]().build()))
    for number, panel in enumerate(made["panels"], 1):
        panel["id"] = number
    return made


def files() -> dict[Path, str]:
    """Every file that is written → its content."""
    boards = {name: built(name) for name in DASHBOARDS}
    folder = ROOT / "grafana" / "dashboards"
    written = {
        folder / f"{name}.json": json.dumps(made, indent=2, sort_keys=True) + "\n" for name, made in boards.items()
    }
    return {**written, ROOT / "docs" / "reference" / "dashboards.md": page.page(boards)}


def stale() -> list[Path]:
    """The files that differ from what the code says, and those that no code makes."""
    made = files()
    left_over = [path for path in (ROOT / "grafana" / "dashboards").glob("*.json") if path not in made]
    return [path for path, text in made.items() if not path.exists() or path.read_text() != text] + left_over


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description="Write the dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    check = parser.parse_args().check
    found, made = stale(), files()
    for path in found:
        name = path.relative_to(ROOT)
        print(f"{name}: stale; run make dashboards" if check else f"wrote {name}", file=sys.stderr)
        if check:
            continue
        if path in made:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path])
        else:
            path.unlink()
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
