"""A disk without room: the old totals stay, the reason is told, and room alone heals."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from exporter import snapshot
from exporter.periods import ALWAYS
from exporter.polling.sources import Paths
from exporter.store.lake import Lake
from tests.e2e.daemon import Daemon, Trouble
from tests.e2e.disk import SmallDisk

pytestmark = pytest.mark.e2e

ROOMS = (0, 6, 7, 9, 40)
"""Quarters of a megabyte that are left: five of them are the state file's, a bill takes about two."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "data", "64m") as disk:
        yield disk


def configured(folder: Path, *sources: Trouble, **more: int) -> Path:
    config = folder / "cloudspend.yml"
    settings = {"store": {"path": "data"}, "sources": [source.config | more for source in sources]}
    config.write_text(yaml.safe_dump(settings))
    return config


def totals(disk: SmallDisk, config: Path) -> set[Decimal]:
    """The amounts per day that the store holds; whatever is stored must be whole, the state file too."""
    checked = disk.cloudspend("store", "check", "--config", str(config))
    assert checked.stderr == "ok\n"
    return {line.billed for line in Lake(Paths(disk.root).lake).read(ALWAYS).by("day").rows()}


def leftovers(root: Path) -> list[str]:
    """Files that somebody began and nobody will end: drafts, and months that were never committed."""
    committed = Lake(Paths(root).lake).generation
    uncommitted = [path for path in (root / "lake" / "versions").iterdir() if int(path.name[:8]) > committed]
    return [str(path.relative_to(root)) for path in (*root.rglob("*.tmp"), *uncommitted)]


def test_a_full_disk_keeps_the_old_totals_says_so_and_heals_by_room_alone(tmp_path: Path, disk: SmallDisk) -> None:
    source = Trouble(tmp_path, "a", "ok 1")
    config = configured(tmp_path, source)
    with Daemon(config, before=disk.before, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
        disk.fill(leave=256 << 10)  # room to let it be due
        source.set("ok 2")
        disk.make_due("a")
        disk.fill()
        daemon.wait_for("cloudspend_source_failed", 1, source="a", reason="store_error")
        assert daemon.value("cloudspend_up", source="a") == 0
        assert daemon.value("cloudspend_daily_cost", source="a") == 1
        assert totals(disk, config) == {Decimal(1)}
        assert leftovers(disk.root) == []
        told = next(line for line in daemon.log.read_text().splitlines() if "store_error" in line)
        assert str(tmp_path / "data" / "lake") in told
        assert "No space left on device" in told
        assert "make room" in told
        disk.empty()
        disk.make_due("a")
        daemon.wait_for("cloudspend_daily_cost", 2, source="a")
        daemon.wait_for("cloudspend_up", 1, source="a")
    assert leftovers(disk.root) == []


def test_a_daemon_that_starts_on_a_full_disk_serves_what_was_there(tmp_path: Path, disk: SmallDisk) -> None:
    source = Trouble(tmp_path, "a", "ok 1")
    config = configured(tmp_path, source)
    assert disk.cloudspend("collect", "--config", str(config)).returncode == 0
    source.set("ok 2")
    disk.make_due("a")
    disk.fill()
    with Daemon(config, before=disk.before, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_source_failed", 1, source="a", reason="store_error")
        assert daemon.value("cloudspend_daily_cost", source="a") == 1


@pytest.mark.matrix
def test_wherever_the_disk_fills_up_totals_are_old_or_new_and_nothing_piles_up(tmp_path: Path, disk: SmallDisk) -> None:
    source = Trouble(tmp_path, "a", "ok 1")
    config = configured(tmp_path, source, services=400)
    collect = ("collect", "--config", str(config))
    assert disk.cloudspend(*collect).returncode == 0
    outcomes = set()
    old = {Decimal(1)}
    for amount, room in enumerate(ROOMS, start=2):
        served = snapshot.load(Paths(disk.root).snapshots)
        new = {Decimal(1), Decimal(amount)}  # days that no longer move, and those read again
        assert served is not None
        source.set(f"ok {amount}")
        disk.fill(leave=room << 18)
        ran = disk.cloudspend(*collect)
        stored, shown = totals(disk, config), snapshot.load(Paths(disk.root).snapshots)
        assert shown is not None
        assert stored in (old, new)
        assert leftovers(disk.root) == []
        if ran.returncode:
            assert "make room on its disk" in ran.stderr
            assert "Traceback" not in ran.stderr
            assert shown.id == served.id, "the last snapshot is the one that is served"
        outcomes.add((stored == new, shown.id != served.id))
        disk.empty()
        assert disk.cloudspend(*collect).returncode == 0
        old = new
    assert totals(disk, config) == new
    assert outcomes == {(False, False), (True, False), (True, True)}, "no room, room for the bill, room for all"
