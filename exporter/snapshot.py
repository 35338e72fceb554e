"""The snapshot: what the worker publishes and everything else reads. Standard library only.

    snapshots/00000042/
      manifest.json     when it was made, from what, when it changes by the clock, when it is too old
      metrics.txt       the money families, Prometheus text format; metrics.txt.gz is the same, compressed
      check.json        totals, freshness: what checks and the landing page read
      cube.parquet      recent days by label, for range queries

A snapshot is written under another name and renamed into place, so it is there whole or not at all. The newest whole
one counts; two older ones stay for those who still read them.
"""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from exporter.gzipped import compressed

SCHEMA = 1
CHECK_SCHEMA = 2
"""Of check.json."""
_KEPT = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself. Instants are UTC on the business clock."""

    made: datetime
    next_change_at: datetime | None = None
    """When its content changes by the clock alone: a month begins, data becomes too old."""
    expires_at: datetime | None = None
    """From then on it would lie: serve the live part alone."""
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Source → provider module, basis, how far its data reaches."""
    generation: int = 0
    """State of the lake it was made from."""
    rendered_as: str = ""
    """Fingerprint of the part of the configuration that decides what is shown."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published snapshot, open. Its bytes stay readable after it has been superseded and deleted."""

    id: int
    folder: Path
    manifest: Manifest
    compressed: bytes = field(repr=False)
    """metrics.txt.gz: one gzip member, to be extended (`gzipped`)."""
    _plain: mmap.mmap | bytes = field(repr=False)

    @property
    def plain(self) -> bytes:
        """metrics.txt."""
        return bytes(self._plain)

    def check(self) -> dict[str, Any]:
        """check.json, decoded."""
        found: dict[str, Any] = json.loads((self.folder / "check.json").read_text())
        return found


def publish(
    folder: Path, manifest: Manifest, metrics: bytes, check: Mapping[str, Any], cube: Path | None = None
) -> Path:
    """Write a snapshot into `folder` and rename it into place; the place is returned. `cube` is moved, not copied."""
    from exporter.store.files import make_folder, need_room, storing, sync_file, sync_folder, write_durably

    with storing(folder):
        make_folder(folder)
        for leftover in folder.glob("*.tmp"):
            shutil.rmtree(leftover)
        need_room(folder)
        taken = _numbers(folder)
        number = (taken[-1] if taken else 0) + 1
        draft = folder / f"{number:08d}.tmp"
        draft.mkdir()
        try:
            write_durably(draft / "metrics.txt", metrics)
            write_durably(draft / "metrics.txt.gz", compressed(metrics))
            write_durably(draft / "check.json", json.dumps(check, separators=(",", ":")).encode())
            if cube is not None:
                sync_file(cube)
                cube.rename(draft / "cube.parquet")
            sizes = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
            body = {
                "schema": SCHEMA,
                "id": number,
                "made": manifest.made.isoformat(),
                "next_change_at": manifest.next_change_at and manifest.next_change_at.isoformat(),
                "expires_at": manifest.expires_at and manifest.expires_at.isoformat(),
                "generation": manifest.generation,
                "rendered_as": manifest.rendered_as,
                "sources": manifest.sources,
                "files": sizes,
            }
            write_durably(draft / "manifest.json", json.dumps(body, indent=1).encode())
            place = draft.rename(folder / f"{number:08d}")
        except BaseException:  # the disk may be full
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(folder)
        for old in taken[: -(_KEPT - 1)]:
            shutil.rmtree(folder / f"{old:08d}", ignore_errors=True)
        return place


def load(folder: Path) -> Snapshot | None:
    """The newest whole snapshot in `folder`; None where there is none. One that is cut off is passed over."""
    for number in reversed(_numbers(folder)):
        try:
            return _open(folder / f"{number:08d}", number)
        except (OSError, ValueError, KeyError):
            continue  # superseded while it was being opened, or damaged
    return None


def newest(folder: Path) -> int:
    """The number of the newest snapshot, 0 where there is none."""
    taken = _numbers(folder)
    return taken[-1] if taken else 0


def _open(place: Path, number: int) -> Snapshot:
    body = json.loads((place / "manifest.json").read_text())
    if body["schema"] != SCHEMA:
        raise ValueError(f"schema {body['schema']}")
    for name, size in body["files"].items():
        if (place / name).stat().st_size != size:
            raise ValueError(f"{name} is cut off")
    manifest = Manifest(
        made=datetime.fromisoformat(body["made"]),
        next_change_at=_instant(body["next_change_at"]),
        expires_at=_instant(body["expires_at"]),
        sources=body["sources"],
        generation=body["generation"],
        rendered_as=body["rendered_as"],
    )
    with (place / "metrics.txt").open("rb") as file:
        empty = body["files"]["metrics.txt"] == 0
        plain = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Snapshot(number, place, manifest, (place / "metrics.txt.gz").read_bytes(), plain)


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
