"""What the daemon sees of its store: all of it, cheaply, and never an exception."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from exporter import snapshot
from exporter.errors import StoreError
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths
from exporter.store.lake import Lake
from exporter.store.state import SourceState, State
from tests.costs.rows import row
from tests.polling.house import House, full


class Fragile(State):
    """A state file that can be out of reach, and counts how often it is read."""

    broken = False
    reads = 0

    def version(self) -> int:
        if self.broken:
            raise StoreError("state.sqlite: cannot be read: disk I/O error")
        return super().version()

    def sources(self) -> dict[str, SourceState]:
        self.reads += 1
        return super().sources()


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("a", full(row("2024-09-01", "1.5")))
    house.poll("a")
    house.publish()
    return house


@pytest.fixture
def state(house: House) -> Iterator[Fragile]:
    with Fragile(Paths(house.root).state) as state:
        yield state


@pytest.fixture
def outlook(house: House, state: Fragile) -> Outlook:
    return Outlook(Paths(house.root), state)


def test_everything_that_was_written_is_seen(house: House, outlook: Outlook) -> None:
    view = outlook.look()
    assert view.states["a"].up
    assert view.snapshot is not None
    assert view.generation == view.snapshot.manifest.generation == house.lake.generation
    assert view.store_bytes == house.lake.size > 0
    house.poll("a", full(row("2024-09-01", "2.5")))
    house.publish()
    later = outlook.look()
    assert later.snapshot is not None
    assert later.snapshot.id == view.snapshot.id + 1
    assert later.generation == view.generation + 1


def test_while_nothing_changes_nothing_is_read(
    outlook: Outlook, state: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = outlook.look()
    reads = state.reads

    def read(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(snapshot, "load", read)
    monkeypatch.setattr(Lake, "_manifest", read)
    assert outlook.look() is outlook.look() is view
    assert state.reads == reads


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


BROKEN = ["cannot read the store; going on with what is known", "the store can be read again"]


def test_a_state_file_out_of_reach_is_said_once_and_nobody_polls_by_what_was(
    outlook: Outlook, state: Fragile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    known = outlook.look().states
    state.broken = True
    assert [outlook.look().state_readable for _ in range(3)] == [False] * 3
    assert outlook.look().states == known
    state.broken = False
    assert outlook.look().state_readable
    assert messages(caplog) == BROKEN


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}'])
def test_a_manifest_that_cannot_be_read_leaves_the_rest_as_it_is(
    house: House, outlook: Outlook, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = outlook.look()
    manifest = house.root / "lake" / "manifest.json"
    good = manifest.read_text()
    manifest.write_text(content)
    view = outlook.look()
    assert (view.generation, view.state_readable, view.snapshot) == (None, True, before.snapshot)
    assert outlook.look() is view
    manifest.write_text(good)
    assert outlook.look().generation == before.generation
    assert messages(caplog) == BROKEN


def test_a_damaged_snapshot_is_not_taken_up_and_looked_at_once(
    house: House, outlook: Outlook, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outlook.look()
    house.now += timedelta(hours=1)
    newest = house.publish().folder
    (newest / "metrics.txt").write_text("")
    loads: list[Path] = []
    load = snapshot.load
    monkeypatch.setattr(snapshot, "load", lambda folder: loads.append(folder) or load(folder))
    view = outlook.look()
    assert view.snapshot is not None
    assert before.snapshot is not None
    assert view.snapshot.id == before.snapshot.id
    outlook.look()
    assert len(loads) == 1


def test_a_snapshot_folder_that_vanished_leaves_what_is_served(house: House, outlook: Outlook) -> None:
    before = outlook.look().snapshot
    folder = Paths(house.root).snapshots
    folder.rename(house.root / "moved")
    folder.write_text("not a folder")
    assert outlook.look().snapshot is before
    folder.unlink()
    house.now += timedelta(hours=1)
    assert house.publish().id == 1
    view = outlook.look()
    assert view.snapshot is not None
    assert view.snapshot is not before
