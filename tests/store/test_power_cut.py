"""A power cut at any step: what is read afterwards is the old or the new, whole, and what was committed is the new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from exporter import snapshot
from exporter.costs import Bill, CostTable, Scope
from exporter.periods import Month, Window
from exporter.store import files
from exporter.store.lake import Lake
from tests.costs.rows import row
from tests.store.power import Disk, recording

AUTUMN = Window(Month(2024, 9).window().start, Month(2024, 10).window().end)
DAYS = ("2024-09-01", "2024-10-01")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    root = tmp_path / "disk"
    root.mkdir()
    yield recording(root, monkeypatch)
    monkeypatch.undo()


def bill(amount: int) -> Bill:
    """Two months with one charge each; what they cost tells which bill it was."""
    return Bill(CostTable.of([row(day, str(amount)) for day in DAYS]), (Scope(AUTUMN),))


def amounts(lake: Lake) -> set[Decimal]:
    return {line.billed for line in lake.read(AUTUMN).by("day").rows()}


def test_a_bill_that_was_stored_is_there_and_one_that_was_not_is_whole_or_not_at_all(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(disk.root / "data" / "lake")
    stored = []  # how many steps had been made when each bill was stored
    for amount in (1, 2):
        lake.replace("a", bill(amount))
        stored.append(len(disk.steps))
    monkeypatch.undo()
    cuts = tmp_path / "cuts"
    cuts.mkdir()
    seen = set()
    for steps, root in disk.cuts(cuts):
        found = Lake(root / "data" / "lake")
        committed = sum(1 for end in stored if end <= steps)
        allowed = [{Decimal(amount)} if amount else set() for amount in (committed, committed + 1)]
        assert amounts(found) in allowed, f"{root.name}, after {steps} steps"
        assert found.check() == []
        before = amounts(found)
        assert found.repair() == (), "nothing is lost, so nothing is read again"
        assert amounts(found) == before
        for shown in found.folder.glob("grain=*/source=*/month=*/bill.parquet"):
            assert shown.read_bytes() in [path.read_bytes() for path in found.folder.glob("versions/*.parquet")]
        seen.add((committed, min(before, default=Decimal(0))))
    assert seen >= {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)}, "both sides of each commit were seen"


def test_a_snapshot_that_was_published_is_there_and_one_that_was_not_is_passed_over(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = disk.root / "data" / "snapshots"
    published = []
    for number in (1, 2, 3, 4):
        cube = disk.root / "data" / "cube.tmp"
        files.make_folder(cube.parent)
        cube.write_bytes(b"cube %d" % number)
        manifest = snapshot.Manifest(made=datetime(2024, 9, number, tzinfo=UTC), generation=number)
        snapshot.publish(folder, manifest, b"total %d\n" % number, {"number": number}, cube)
        published.append(len(disk.steps))
    monkeypatch.undo()
    cuts = tmp_path / "cuts"
    cuts.mkdir()
    for steps, root in disk.cuts(cuts):
        found = snapshot.load(root / "data" / "snapshots")
        committed = sum(1 for end in published if end <= steps)
        number = found.manifest.generation if found else 0
        assert number in (committed, committed + 1), f"{root.name}, after {steps} steps"
        if found:
            assert found.plain == b"total %d\n" % number
            assert found.check() == {"number": number}
            assert (found.folder / "cube.parquet").read_bytes() == b"cube %d" % number


@pytest.mark.parametrize("careless", ["sync_file", "sync_folder"])
def test_without_its_syncs_the_lake_would_lose_what_it_stored(
    careless: str, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above are worth: leave one kind of sync out, and some cut is wrong."""
    monkeypatch.setattr(f"exporter.store.lake.{careless}", lambda _path: None)
    if careless == "sync_folder":
        monkeypatch.setattr(files, "sync_folder", lambda _path: None)
    Lake(disk.root / "data" / "lake").replace("a", bill(1))
    done = len(disk.steps)
    monkeypatch.undo()
    cuts = tmp_path / "cuts"
    cuts.mkdir()
    states = [_state(root) for steps, root in disk.cuts(cuts) if steps == done]
    assert any(state != {Decimal(1)} for state in states)


def _state(root: Path) -> set[Decimal] | None:
    try:
        return amounts(Lake(root / "data" / "lake"))
    except Exception:
        return None
