"""A disk that loses power: a program cut off after any of its steps, with all that it did not sync in doubt.

Between two syncs a file system may keep a step or lose it, in any order (POSIX promises no more; ext4, XFS and others
often do better). So a file has the content of its last sync, or else none; a folder has the names of its last sync, and
each later rename, link or removal may be there or not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Change = tuple[tuple[str, int | None], ...]
"""Names of one folder that change together, each to a file or to nothing."""


@dataclass
class Folder:
    """What the disk knows of a folder, and what it was told since."""

    synced: dict[str, int] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)


@dataclass
class Disk:
    """Everything below `root`, as the disk knows it. Made of what `recording` sees."""

    root: Path
    folders: dict[int, Folder] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    """Open files, so that no number is given to another file."""
    steps: list[Callable[[], None]] = field(default_factory=list)

    def node(self, path: str | Path) -> int:
        """The number of a file or folder."""
        number = os.stat(path).st_ino
        if number not in self.held:
            self.held[number] = os.open(path, os.O_RDONLY)
        return number

    def changed(self, folder: Path, *names: tuple[str, int | None]) -> None:
        """A step: these names of a folder changed."""
        place = self.node(folder)
        self.steps.append(lambda: self.folders.setdefault(place, Folder()).pending.append(names))

    def synced(self, descriptor: int) -> None:
        """A step: a file or folder was synced."""
        found = os.fstat(descriptor)
        number = found.st_ino
        if stat.S_ISDIR(found.st_mode):
            self.held.setdefault(number, os.dup(descriptor))

            def settle() -> None:
                place = self.folders.setdefault(number, Folder())
                for change in place.pending:
                    place.synced = _after(place.synced, change)
                place.pending = []

            self.steps.append(settle)
        else:
            if number not in self.held:
                self.held[number] = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
            content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self.steps.append(lambda: self.contents.__setitem__(number, content))

    def cuts(self, folder: Path) -> Iterator[tuple[int, Path]]:
        """Every disk that a power cut may leave, written below `folder`: how many steps were made, and the disk.

        After each step: all that is in doubt is lost, or kept; or one of it is kept, or lost.
        """
        made = 0
        for number in range(len(self.steps) + 1):
            if number:
                self.steps[number - 1]()
            doubts = [(place, at) for place, known in self.folders.items() for at in range(len(known.pending))]
            kept = {frozenset(), frozenset(doubts), *(frozenset([doubt]) for doubt in doubts)}
            kept |= {frozenset(doubts) - {doubt} for doubt in doubts}
            for choice in sorted(kept, key=sorted):
                made += 1
                target = folder / f"{made:05d}"
                target.mkdir()
                self._write(os.stat(self.root).st_ino, target, choice)
                yield number, target

    def _write(self, place: int, target: Path, kept: frozenset[tuple[int, int]]) -> None:
        known = self.folders.get(place, Folder())
        names = known.synced
        for at, change in enumerate(known.pending):
            if (place, at) in kept:
                names = _after(names, change)
        for name, node in names.items():
            if stat.S_ISDIR(os.fstat(self.held[node]).st_mode):
                (target / name).mkdir()
                self._write(node, target / name, kept)
            else:
                (target / name).write_bytes(self.contents.get(node, b""))


def recording(root: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:  # noqa: C901  one short function for each call
    """The disk below `root`, which is still empty; from now on it sees what this process does there."""
    disk = Disk(root)
    disk.folders[disk.node(root)] = Folder()

    def ours(path: Any) -> bool:
        return Path(path).is_relative_to(root)

    def moving(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Any, target: Any, **more: Any) -> None:
            move(source, target, **more)
            if ours(target):
                old, new = Path(source), Path(target)
                assert ours(source)
                gone: tuple[tuple[str, int | None], ...] = ((old.name, None),) if old.parent == new.parent else ()
                disk.changed(new.parent, *gone, (new.name, disk.node(new)))
                if not gone:
                    disk.changed(old.parent, (old.name, None))

        return moved

    def linked(source: Any, target: Any, **more: Any) -> None:
        link(source, target, **more)
        if ours(target):
            disk.changed(Path(target).parent, (Path(target).name, disk.node(target)))

    def made(path: Any, *mode: Any, **more: Any) -> None:
        mkdir(path, *mode, **more)
        if ours(path):
            disk.changed(Path(path).parent, (Path(path).name, disk.node(path)))

    def removed(path: Any, **more: Any) -> None:
        unlink(path, **more)
        if "dir_fd" not in more and ours(path):
            disk.changed(Path(path).parent, (Path(path).name, None))

    def synced(descriptor: int) -> None:
        sync(descriptor)
        if ours(os.readlink(f"/proc/self/fd/{descriptor}")):
            disk.synced(descriptor)

    link, mkdir, unlink, sync = os.link, os.mkdir, os.unlink, os.fsync
    for name, seen in {"link": linked, "mkdir": made, "unlink": removed, "fsync": synced}.items():
        monkeypatch.setattr(os, name, seen)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, moving(getattr(os, name)))
    return disk


def _after(names: dict[str, int], change: Change) -> dict[str, int]:
    after = dict(names)
    for name, node in change:
        if node is None:
            after.pop(name, None)
        else:
            after[name] = node
    return after
