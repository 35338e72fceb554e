"""The snapshot: there whole, or not at all."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter import snapshot
from exporter.snapshot import Manifest

MADE = datetime(2024, 9, 1, 12, 0, 0, 123456, tzinfo=UTC)
METRICS = b'cost{service="s"} 1\n'


def publish(folder: Path, metrics: bytes = METRICS, manifest: Manifest | None = None) -> Path:
    return snapshot.publish(folder, manifest or Manifest(made=MADE), metrics, {"totals": {}})


def test_a_published_snapshot_is_loaded_as_it_was(tmp_path: Path) -> None:
    manifest = Manifest(
        made=MADE, next_change_at=MADE, expires_at=None, sources={"a": {"basis": "billed"}}, generation=7
    )
    publish(tmp_path, manifest=manifest)
    found = snapshot.load(tmp_path)
    assert found is not None
    assert found.manifest == manifest
    assert found.plain == gzip.decompress(found.compressed) == METRICS
    assert found.check() == {"totals": {}}


def test_the_newest_counts_and_two_older_ones_stay(tmp_path: Path) -> None:
    assert snapshot.load(tmp_path / "missing") is None
    for number in range(5):
        publish(tmp_path, f"n {number}\n".encode())
    found = snapshot.load(tmp_path)
    assert found is not None
    assert (found.id, found.plain) == (5, b"n 4\n")
    assert snapshot.newest(tmp_path) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000003", "00000004", "00000005"]


def test_a_snapshot_that_is_cut_off_is_passed_over(tmp_path: Path) -> None:
    publish(tmp_path, b"old\n")
    os.truncate(publish(tmp_path, b"new\n") / "metrics.txt.gz", 3)
    found = snapshot.load(tmp_path)
    assert found is not None
    assert found.plain == b"old\n"


@pytest.mark.parametrize("content", ["", "{", "{}", '{"schema": 99}'])
def test_a_snapshot_with_a_foreign_manifest_is_passed_over(content: str, tmp_path: Path) -> None:
    publish(tmp_path, b"old\n")
    (publish(tmp_path, b"new\n") / "manifest.json").write_text(content)
    found = snapshot.load(tmp_path)
    assert found is not None
    assert found.plain == b"old\n"


def test_an_open_snapshot_outlives_its_folder(tmp_path: Path) -> None:
    publish(tmp_path, b"old\n")
    found = snapshot.load(tmp_path)
    for _ in range(4):
        publish(tmp_path)
    assert found is not None
    assert not found.folder.exists()
    assert found.plain == b"old\n"


def test_what_a_crash_left_unfinished_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "00000001.tmp").mkdir(parents=True)
    (tmp_path / "00000001.tmp" / "metrics.txt").write_text("half")
    publish(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001"]


def test_an_empty_snapshot_can_be_published_and_loaded(tmp_path: Path) -> None:
    publish(tmp_path, b"")
    found = snapshot.load(tmp_path)
    assert found is not None
    assert found.plain == gzip.decompress(found.compressed) == b""
