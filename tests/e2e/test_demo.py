"""`make demo`, as a newcomer runs it: within a minute every panel has data, and graphs of days reach back a year."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.dashboards import boards
from tests.e2e.stack import ROOT
from tests.neighbours import Server, free_port, require

pytestmark = [pytest.mark.e2e, pytest.mark.matrix]

YEAR = 400 * 86400.0


def demo(folder: Path, address: str, word: str) -> str:
    environment = os.environ | {"DEMO_FOLDER": str(folder), "DEMO_ADDRESS": address}
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), word]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[float, str]]:
    """When it was started, and what it printed."""
    for name in ("prometheus", "promtool"):
        require(name)
    require("prometheus-alertmanager", "alertmanager")
    folder, address = tmp_path_factory.mktemp("demo"), f"127.0.0.1:{free_port()}"
    began = time.time()
    try:
        yield began, demo(folder, address, "start")
    finally:
        ended = demo(folder, address, "stop")
    assert sorted(ended.splitlines()) == ["alertmanager ended", "cloudspend ended", "prometheus ended"]


def test_within_a_minute_every_panel_has_data_and_days_reach_back_thirteen_months(said: tuple[float, str]) -> None:
    began, printed = said
    address = re.search(r"^Prometheus +(http://[^/]+)/", printed, re.MULTILINE)
    assert address
    server = cast("Server", SimpleNamespace(url=address[1]))
    waiting = list(boards.targets())
    assert len(waiting) > 120
    while time.time() < began + 60 and waiting:
        waiting = [target for target in waiting if not shown(server, target)]
    assert [target.id for target in waiting] == []
    for target in boards.targets():
        if "cloudspend_usage_cost" in target.expr:
            days = {int(at // 86400) for one in asked(server, target, YEAR) for at, _ in one["values"]}
            assert len(days) > 390, target.id


def shown(server: Server, target: boards.Target) -> bool:
    return any(one["values"] for one in asked(server, target, boards.span(target.board)))


def asked(server: Server, target: boards.Target, seconds: float) -> list[dict[str, Any]]:
    """What a query answers as the dashboard is opened."""
    now = time.time()
    try:
        chosen: dict[str, Any] = boards.defaults(server, target.board, now, boards.span(target.board))
    except IndexError:  # a variable has nothing to offer yet
        return []
    if repeated := target.panel.get("repeat"):
        chosen[repeated] = chosen[repeated][0]
    return boards.asked(server, target, chosen, now, seconds)
