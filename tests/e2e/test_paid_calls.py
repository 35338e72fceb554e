"""A daemon that is started again and again pays for one poll, whatever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from exporter.clock import Clock
from exporter.config.load import read
from exporter.config.reload import Running
from exporter.polling.outlook import Outlook, View
from exporter.polling.sources import Paths, Registry, resolve
from exporter.polling.supervisor import Supervisor
from exporter.store.state import State
from tests.e2e.daemon import Daemon, make_due
from tests.neighbours import until

pytestmark = pytest.mark.e2e

PLUGIN = Path(__file__).parents[1] / "cli" / "plugin"


def configure(folder: Path, **options: object) -> Path:
    config = folder / "cloudspend.yml"
    source = {"name": "paid", "provider": "pricey", "calls": str(folder / "calls"), **options}
    document = {"store": {"path": "data"}, "api_budget": {"monthly_usd": 5}, "sources": [source]}
    config.write_text(yaml.safe_dump(document))
    return config


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines())


class Started(Supervisor):
    """The part of the daemon that starts workers. It ends where the daemon would lie down to wait."""

    async def _nap(self, view: View, now: datetime) -> None:
        raise asyncio.CancelledError

    @classmethod
    def once(cls, config: Path) -> None:
        """Start it over a configuration, with real workers for whatever is due."""
        settings = read(config, Registry(), os.environ)
        paths, clock = Paths(settings.store.path), Clock.from_environment()
        with State(paths.state) as writing, State(paths.state) as reading, contextlib.suppress(asyncio.CancelledError):
            asyncio.run(cls(Running(settings, resolve, clock), Outlook(paths, reading), writing, clock).run())


def test_fifty_starts_within_one_poll_interval_pay_for_one_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    with Daemon(config, ready="/-/ready", PYTHONPATH=str(PLUGIN)) as daemon:
        daemon.wait_for("cloudspend_up", 1, source="paid")
        assert daemon.value("cloudspend_api_budget_limit", currency="USD") == 5
        assert daemon.value("cloudspend_api_budget_spent", currency="USD") == 0.03
        assert daemon.value("cloudspend_source_api_units_total", source="paid", unit="qpu") == 6
        daemon.process.kill()
    assert calls(tmp_path) == 3
    for _ in range(2):
        with Daemon(config, ready="/-/ready", PYTHONPATH=str(PLUGIN)) as daemon:
            daemon.process.kill()
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    for _ in range(48):
        Started.once(config)
    assert calls(tmp_path) == 3
    # What would show a paid call: the interval has passed, and no page is kept.
    make_due(tmp_path / "data", "paid")
    with State(tmp_path / "data" / "state.sqlite") as state:
        state.drop_pages()
    Started.once(config)
    assert calls(tmp_path) == 6


def test_workers_that_die_on_the_way_pay_for_each_page_once(tmp_path: Path) -> None:
    config = configure(tmp_path, dies_at=2)
    with Daemon(config, PYTHONPATH=str(PLUGIN)) as daemon:
        daemon.wait_for("cloudspend_source_failed", 1, source="paid", reason="worker_died")
        make_due(tmp_path / "data", "paid")
        until(lambda: daemon.value("cloudspend_up", source="paid") == 1, "the second try succeeds")
    # The page that it died on was asked for and not kept: it is paid for twice, and nothing else is.
    assert (tmp_path / "calls").read_text().split() == ["by-service", "by-account", "by-account", "forecast"]
    with State(tmp_path / "data" / "state.sqlite") as state:
        assert sum(each.requests for each in state.spending()) == 4
        assert state.source("paid").next_due - state.source("paid").last_success > timedelta(hours=7)  # type: ignore[operator]
